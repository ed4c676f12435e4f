"""Questions that the funnel asks the judge, beside the plain algorithm's, over pools of real sentences; what is kept must be identical.

The plain algorithm shares and caches nothing between its tasks. It judges every ordered pair of a pool for the summaries, every ordered
pair in both directions for the paraphrases, and then, for the diversity graph of each task, every two of the pairs that are left, by
their x's and, where those are no duplicates, by their y's. The bar is a share of all these. So that nobody takes it for more than it is,
the same questions are also held against
  matrix       the k * (k - 1) ordered pairs of the k sentences sampled, each judged once for both tasks: 9,900 for k = 100
  distinct     the same, after sentences that are refused or equal are gone
  floor        pairs that the cheap filters leave, of which any algorithm that changes no decision must ask one direction at least

No decision of the plain algorithm depends on its answers about pairs that a cheap filter refuses for both tasks. They count, but after
the first `--whole` pools the judge is spared them: the answer is NaN, and whoever reads one stops the benchmark.

Run: python benchmarks/funnel.py [--model starter:judge] [--pools FILE] [--teacher starter:teacher] [--count 200] [--whole 8]
       [--answers DIR] [--smoke]
The teacher samples the pools. FILE keeps them, a JSON list of objects with "sentences" and "teacher"; where it is there, they are read
from it. DIR keeps the answers, so that a second call need not judge again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impdistill.decode.nucleus import MAX_ROWS, Nucleus
from impdistill.filters import (
    Abstractiveness,
    Candidates,
    Diversity,
    Entailment,
    Filter,
    Length,
    Numbers,
    Scores,
    run_block,
)
from impdistill.generate.contexts import ContextSettings, sample_contexts
from impdistill.generate.parallel import sample_pools
from impdistill.models.judge import Judge
from impdistill.models.teacher import Teacher
from impdistill.text.wellformed import refusal
from made_up import made_judge
from result import Row, print_result

BAR = 0.25
SAMPLES = 100
BLOCK = 8
OPENINGS = ("News", "Reddit", "Biomedical")

Matrix = NDArray[np.float32]
Chains = dict[str, list[Filter]]


def chains(threshold: float, numbers: bool) -> Chains:
    """Both tasks with the paper's other settings."""
    summary: list[Filter] = [Length(0, 0.8), Numbers("y in x"), Entailment(threshold), Diversity(threshold)]
    paraphrase: list[Filter] = [
        Length(0.8, 1.5),
        Numbers("both"),
        Abstractiveness(0.6),
        Entailment(threshold, "both"),
        Diversity(threshold),
    ]
    return {
        task: [rule for rule in chain if numbers or not isinstance(rule, Numbers)]
        for task, chain in (("summary", summary), ("paraphrase", paraphrase))
    }


class Answers:
    """A judge that has answered everything already."""

    def __init__(self, sentences: Sequence[str], matrix: Matrix) -> None:
        self.index = {sentence: number for number, sentence in enumerate(sentences)}
        self.matrix = matrix

    def entailment(self, texts: Sequence[str], pairs: NDArray[np.integer]) -> Matrix:
        known = np.array([self.index[text] for text in texts])
        answers: Matrix = self.matrix[known[pairs[:, 0]], known[pairs[:, 1]]]
        assert not np.isnan(answers).any(), "an answer that no decision of the plain algorithm depends on"
        return answers


def made_up_pool(seed: int) -> dict[str, Any]:
    """A hundred sentences about one event, some of them saying part of what others say."""
    rng = np.random.default_rng(seed)
    parts = (
        ("On Monday, ", "After two hours of debate, ", "", ""),
        ("the city council", "the council", "a committee of five members", "the mayor"),
        ("approved", "rejected", "discussed", "voted for"),
        ("the new budget", "a plan to repair 12 old bridges", "the plan", "higher fees for water"),
        ("", "", " in a public meeting", " because the river had risen again"),
    )
    texts = ["".join((a, b, " ", c, " ", d, e, ".")) for a, b, c, d, e in zip(*(rng.choice(p, 100) for p in parts), strict=True)]
    return {"sentences": [text[0].upper() + text[1:] for text in texts]}


def sampled_pools(model: str, count: int, device: str) -> list[dict[str, Any]]:
    """Pools of a hundred sentences that a teacher writes after contexts of its own, domains in turn; refused ones stay in."""
    teacher = Teacher.load(model, device=device)
    settings = ContextSettings(1, 3, 8, Nucleus(top_p=0.8, max_new_tokens=128))
    pools: list[dict[str, Any]] = []
    for first in itertools.count(0, BLOCK):
        rule = f"literal:<|endoftext|>{OPENINGS[first // BLOCK % len(OPENINGS)]}:"
        rows = sample_contexts(teacher, rule, range(first, first + BLOCK), settings, max_rows=MAX_ROWS, seed=0, stage="contexts")
        contexts = [(row.context, row.prefix, row.text) for row in rows if row.text]
        found = sample_pools(teacher, contexts, samples=SAMPLES, nucleus=Nucleus(top_p=0.7), max_rows=MAX_ROWS, seed=0, stage="pools")
        pools += [{"teacher": model, "sentences": pool.sentences, "refusals": pool.refusals} for pool in found]
        if len(pools) >= count:
            break
    return pools[:count]


def read_pools(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    count = 2 if arguments.smoke else arguments.count
    file: Path | None = arguments.pools
    if arguments.smoke:
        return [made_up_pool(seed) for seed in range(count)]
    if file is None:
        return sampled_pools(arguments.teacher, count, arguments.device)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(sampled_pools(arguments.teacher, count, arguments.device), ensure_ascii=False))
    pools: list[dict[str, Any]] = json.loads(file.read_text())
    return pools[:count]


def judge_everything(judge: Judge, candidates: Candidates) -> Matrix:
    matrix = np.ones((len(candidates.sentences),) * 2, dtype=np.float32)
    matrix[tuple(candidates.pairs.T)] = judge.entailment(candidates.sentences, candidates.pairs)
    return matrix


def judge_what_matters(judge: Judge, candidates: Candidates, least: float) -> Matrix:
    """The answers that decisions from the threshold `least` on can depend on; NaN for the others."""
    size = len(candidates.sentences)
    matrix = np.full((size, size), np.nan, dtype=np.float32)
    np.fill_diagonal(matrix, 1)
    scores = Scores(candidates.sentences)
    tasks = chains(least, numbers=False)  # these ask whatever the chains with a filter on numbers ask
    wanted = np.zeros((size, size), dtype=bool)
    for chain in tasks.values():
        left = np.ones(len(candidates), dtype=bool)
        for rule in chain:
            if not isinstance(rule, Entailment | Diversity):
                left &= verdict(rule, scores, candidates.pairs)
        x, y = candidates.pairs[left].T
        wanted[x, y] = True
        if any(isinstance(rule, Entailment) and rule.direction == "both" for rule in chain):
            wanted[y, x] = True
    pairs = np.argwhere(wanted)
    matrix[wanted] = judge.entailment(candidates.sentences, pairs)
    scores.entailment[:] = matrix
    wanted[:] = False
    for chain in tasks.values():  # the diversity graph: every two x's, and every two y's, of what is left
        kept = sorted(plain_kept(candidates, [rule for rule in chain if not isinstance(rule, Diversity)], scores))
        for side in candidates.pairs[kept].T:
            wanted[np.ix_(side, side)] = True
    wanted &= np.isnan(matrix)
    matrix[wanted] = judge.entailment(candidates.sentences, np.argwhere(wanted))
    return matrix


def plain_kept(candidates: Candidates, chain: Sequence[Filter], scores: Scores) -> set[int]:
    """Kept candidates with every answer known: each filter over whole matrices, then all pairs of pairs."""
    pairs, p = candidates.pairs, scores.entailment
    kept = np.ones(len(pairs), dtype=bool)
    for rule in sorted(chain, key=lambda rule: isinstance(rule, Entailment)):  # last, to see which answers it depends on
        if isinstance(rule, Diversity):
            continue
        if isinstance(rule, Entailment):
            read = p + p.T if rule.direction == "both" else p
            assert not np.isnan(read[tuple(pairs[kept].T)]).any()
            passed = p >= rule.threshold
            passed = passed & passed.T if rule.direction == "both" else passed
            kept &= passed[pairs[:, 0], pairs[:, 1]]
        else:
            kept &= verdict(rule, scores, pairs)
    left = np.flatnonzero(kept)
    for rule in chain:
        if isinstance(rule, Diversity):
            left = left[algorithm_1(pairs[left], p, rule.threshold)]
    return set(left.tolist())


def verdict(rule: Filter, scores: Scores, pairs: NDArray[np.integer]) -> NDArray[np.bool_]:
    try:
        next(rule.keep(scores, pairs))
    except StopIteration as end:
        decided: NDArray[np.bool_] = end.value
        return decided
    raise AssertionError(f"{rule.name} asks")


def algorithm_1(pairs: NDArray[np.integer], p: Matrix, threshold: float) -> NDArray[np.integer]:
    """Breadth-first search over all pairs of pairs."""
    same = np.eye(len(p), dtype=bool) | (p > threshold)
    same |= same.T
    x, y = pairs.T
    assert not any(np.isnan(p[np.ix_(side, side)]).any() for side in (x, y))
    edges = same[np.ix_(x, x)] | same[np.ix_(y, y)]
    unseen = set(range(len(pairs)))
    best = []
    while unseen:
        component, frontier = [], [unseen.pop()]
        while frontier:
            node = frontier.pop()
            component.append(node)
            reached = [other for other in np.flatnonzero(edges[node]).tolist() if other in unseen]
            unseen.difference_update(reached)
            frontier.extend(reached)
        best.append(min(component, key=lambda k: (-p[x[k], y[k]], k)))
    return np.array(sorted(best), dtype=np.int64)


def asked_plainly(candidates: Candidates, tasks: Chains, scores: Scores) -> Counter[str]:
    """Questions of the plain algorithm by `task/filter`."""
    questions: Counter[str] = Counter()
    for task, chain in tasks.items():
        for rule in chain:
            if isinstance(rule, Entailment):
                questions[f"{task}/entailment"] += sum(candidates.generated.values()) * (2 if rule.direction == "both" else 1)
            if isinstance(rule, Diversity):
                before = [link for link in chain if not isinstance(link, Diversity)]
                x = candidates.pairs[sorted(plain_kept(candidates, before, scores)), 0]
                by_x = scores.entailment[np.ix_(x, x)] > rule.threshold
                questions[f"{task}/diversity"] += 2 * len(x) * (len(x) - 1) - int(by_x.sum() - len(x))
    return questions


def floor_of(candidates: Candidates, tasks: Chains, scores: Scores) -> int:
    """The fewest questions that can do: forward ones of a one-way task, and one of two for each pair of a two-way task."""
    forward: set[tuple[int, int]] = set()
    either: set[tuple[int, int]] = set()
    for chain in tasks.values():
        left = np.ones(len(candidates), dtype=bool)
        for rule in chain:
            if isinstance(rule, Entailment):
                one_way = rule.direction == "forward"
            elif not isinstance(rule, Diversity):
                left &= verdict(rule, scores, candidates.pairs)
        survivors = {(int(a), int(b)) for a, b in candidates.pairs[left]}
        if one_way:
            forward |= survivors
        else:
            either |= {(min(pair), max(pair)) for pair in survivors}
    return len(forward) + sum(pair not in forward and pair[::-1] not in forward for pair in either)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:judge")
    parser.add_argument("--pools", type=Path)
    parser.add_argument("--teacher", default="starter:teacher")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--whole", type=int, default=8, help="pools of which the judge answers every ordered pair (default 8)")
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.9, 0.75, 0.5])
    parser.add_argument("--smoke", action="store_true", help="a made-up model, two pools of 12 sentences; also the judge asked lazily")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if arguments.smoke:
            arguments.model = made_judge(Path(work))
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:

    judge: Judge | None = None
    contexts: list[tuple[Candidates, Matrix]] = []
    pools = read_pools(arguments)
    for context, pool in enumerate(pools):
        most = 12 if arguments.smoke else None
        samples = pool["sentences"][:most]
        refusals = pool["refusals"][:most] if "refusals" in pool else [refusal(sample) for sample in samples]
        candidates = Candidates.from_pool(context, samples, refusals)
        file = None if arguments.answers is None else arguments.answers / f"{context}.npz"
        if file is not None and file.exists():
            stored = np.load(file)
            place = {sentence: number for number, sentence in enumerate(stored["sentences"].tolist())}
            if all(sentence in place for sentence in candidates.sentences):
                chosen = [place[sentence] for sentence in candidates.sentences]
                contexts.append((candidates, stored["entailment"][np.ix_(chosen, chosen)]))
                continue
        judge = judge or Judge.load(arguments.model, device=arguments.device, dtype=arguments.dtype)
        whole = context < arguments.whole
        matrix = judge_everything(judge, candidates) if whole else judge_what_matters(judge, candidates, min(arguments.thresholds))
        contexts.append((candidates, matrix))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, sentences=np.array(candidates.sentences), entailment=matrix)

    rows = [compare(contexts, threshold, numbers) for threshold in arguments.thresholds for numbers in (False, True)]
    print(f"{len(contexts)} pools, {np.mean([len(c.sentences) for c, _ in contexts]):.1f} sentences each after refusals; both tasks")
    print("tau  numbers       asked  |       plain      matrix    distinct       floor  | asked is of these         kept a pool  seconds")
    for row in rows:
        counts = [row[name] for name in ("plain", "matrix", "distinct", "floor")]
        print(
            f"{row['threshold']:<5}{row['numbers']!s:6}{row['asked']:12,}  |"
            + "".join(f"{count:12,}" for count in counts)
            + "  |"
            + "".join(f"{row['asked'] / max(count, 1):8.1%}" for count in counts)
            + f"{row['kept']:10.2f}{row['seconds']:9.2f}"
        )
    for row in rows:
        print(f"{row['threshold']} {row['numbers']}: plain " + ", ".join(f"{name} {count:,}" for name, count in row["plain_by"].items()))
        print(f"{row['threshold']} {row['numbers']}: ours  " + ", ".join(f"{name} {count:,}" for name, count in row["questions"].items()))
    share = max(row["asked"] / max(row["plain"], 1) for row in rows)
    alone = max(row["asked"] / max(row["matrix"], 1) for row in rows)
    print(
        f"asked: at most {share:.1%} of the plain algorithm's questions over both tasks (bar {BAR:.0%}), and {alone:.1%} of the ordered "
        "pairs alone; what is kept is identical everywhere"
    )
    if arguments.smoke:
        judge = judge or Judge.load(arguments.model, device=arguments.device, dtype=arguments.dtype)
        lazily(contexts, judge)
    teachers = {pool.get("teacher", "unnamed") for pool in pools}
    source = f"by {', '.join(sorted(teachers))}"
    ratios = {"of the plain algorithm": round(share, 4), "of the ordered pairs alone": round(alone, 4)}
    most = max(rows, key=lambda row: row["asked"] / max(row["plain"], 1))
    result = Row(
        name="Funnel: questions to the judge",
        conditions=f"{len(contexts)} pools of {SAMPLES} {source}, both tasks",
        bar=BAR,
        bar_on="ratio",
        at_least=False,
        unit="questions a pool",
        measured=most["asked"] / len(contexts),
        ratio=share,
        beside="the plain algorithm",
        ceiling=most["floor"] / len(contexts),
        ceiling_of="fewest that can do",
        share=most["floor"] / max(most["asked"], 1),
    )
    more = {"pools": len(contexts), "ratios": ratios, "thresholds": rows}
    print_result("funnel", "judging", [result], arguments, device=arguments.device, dtype=arguments.dtype, **more)


def compare(contexts: Sequence[tuple[Candidates, Matrix]], threshold: float, numbers: bool) -> dict[str, Any]:
    tasks = chains(threshold, numbers)
    questions: Counter[str] = Counter()
    plainly: Counter[str] = Counter()
    floor = kept = matrix_cells = 0
    seconds = 0.0
    for candidates, matrix in contexts:
        start = time.perf_counter()
        [outcome] = run_block([candidates], tasks, lambda c=candidates, m=matrix: Answers(c.sentences, m))  # type: ignore[misc]
        seconds += time.perf_counter() - start
        known = Scores(candidates.sentences)
        known.entailment[:] = matrix
        for task, chain in tasks.items():
            assert set(outcome.tasks[task].kept.tolist()) == plain_kept(candidates, chain, known), (candidates.context, task)
            kept += len(outcome.tasks[task].kept)
        questions.update({key.removeprefix("questions/"): n for key, n in outcome.counts.items() if key.startswith("questions/")})
        matrix_cells += sum(candidates.generated.values())
        plainly.update(asked_plainly(candidates, tasks, known))
        floor += floor_of(candidates, tasks, known)
    return {
        "threshold": threshold,
        "numbers": numbers,
        "asked": sum(count for name, count in questions.items() if name.startswith("asked/")),
        "plain": plainly.total(),
        "matrix": matrix_cells,
        "distinct": questions.pop("all"),
        "floor": floor,
        "kept": kept / len(contexts),
        "seconds": round(seconds, 3),
        "plain_by": dict(plainly),
        "questions": dict(questions),
    }


def lazily(contexts: Sequence[tuple[Candidates, Matrix]], judge: Judge) -> None:
    """The real judge, asked in the funnel's own batches: the same pairs kept."""
    tasks = chains(0.5, False)
    for (candidates, matrix), outcome in zip(contexts, run_block([c for c, _ in contexts], tasks, lambda: judge), strict=True):
        known = Scores(candidates.sentences)
        known.entailment[:] = matrix
        for task, chain in tasks.items():
            assert set(outcome.tasks[task].kept.tolist()) == plain_kept(candidates, chain, known)
    print("the judge asked lazily keeps the same pairs")


if __name__ == "__main__":
    main()
