"""From contexts to the kept pairs of D0: our loop beside a plain one with the same models and settings.

The plain loop works as the paper's own code does: fp32, one context a call of transformers' `generate`, all models loaded anew every ten
contexts, all ordered pairs of a pool judged (batches of 32 as they come) before any cheap filter looks at them, filters pair by pair,
and Algorithm 1 over every two pairs. It is spared what would only make it slower: rows stop at their sentence end as ours do, one judging
serves both tasks and the diversity graph, filters that the paper has not are ours, and neither loop does sequential generation,
for which transformers has no decoder any more, or refuses sentences that the teacher finds unlikely.

Two settings: the starter recipe, and the paper's filters alone (with the starter recipe's thresholds). The second leaves ours little
to save: without a filter on names, numbers or fluency every two sentences of a pool need one answer at least, half of what the plain
loop asks, and judging is nearly all of the time.

Ours runs the stages of a recipe into a run directory, loading, writing and checksums included: once in the number format that it
chooses for the machine, once in fp32. Of the starter recipe it takes three turns, of which the median counts; of the other setting, and of
the plain loop, which take by far the longest, one. There is no ceiling: the bar is the ratio of seconds a context.

Run: python benchmarks/plain_loop.py [--teacher starter:teacher] [--judge starter:judge] [--contexts 24] [--few 3] [--smoke]
`--contexts` are those of ours, in whole blocks of eight a domain; the plain loop has `--few`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    StoppingCriteria,
    StoppingCriteriaList,
)

from impdistill.decode.nucleus import _token_kinds
from impdistill.filters import Abstractiveness, Candidates, Diversity, Entailment, Filter, Length, Scores, run_block
from impdistill.generate.contexts import context_refusal
from impdistill.generate.prefixes import joined
from impdistill.models.critic import Critic
from impdistill.models.generative import quiet_transformers
from impdistill.models.judge import Judge, label_columns
from impdistill.models.loading import resolve
from impdistill.models.teacher import Teacher
from impdistill.pipeline import _Maker, loop
from impdistill.recipe import Recipe
from impdistill.recipe_student import NucleusSampling
from impdistill.run import RunDirectory
from impdistill.stages.step import FolderStep, RowStep
from impdistill.tasks import tasks_of
from impdistill.text.sentences import scan, split_sentences
from impdistill.text.wellformed import refusal, without_lone_quote
from impdistill.text.words import word_count, words
from made_up import WORDS, made_judge, made_teacher
from result import Row, print_result

BAR = 10.0
CONTEXTS_PER_LOAD = 10
JUDGE_BATCH = 32
TURNS = 3
"""Of ours, of the starter recipe."""
STARTER, PAPER = "the starter recipe", "the paper's filters alone"
ROUGE = RougeScorer(["rougeL"], use_stemmer=False)

AnyStep = TypeVar("AnyStep", RowStep, FolderStep)
Matrix = NDArray[np.float32]
Kept = dict[str, set[tuple[str, str]]]
"""Task -> kept pairs of one context."""


# The plain loop


class SentenceStop(StoppingCriteria):
    """A row is done when its sentences are complete; looked at only when its last token could end one."""

    def __init__(self, teacher: Teacher, prefix_tokens: int, rows: int, sentences: int) -> None:
        self.teacher, self.prefix_tokens, self.sentences = teacher, prefix_tokens, sentences
        self.could_stop, _ = _token_kinds(teacher.tokenizer, teacher.model.config.vocab_size)
        self.done = [False] * rows
        self.unsettled = [False] * rows

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if not self.done[row] and (self.could_stop[token] or self.unsettled[row]):
                text = self.teacher.decode(input_ids[row, self.prefix_tokens :].tolist())
                seen = scan(text.rstrip("\ufffd"), self.sentences)
                self.done[row], self.unsettled[row] = seen.end is not None, not seen.settled
        return torch.tensor(self.done, device=input_ids.device)


@torch.no_grad()
def generated(teacher: Teacher, prefix: str, samples: int, sentences: int, sampling: NucleusSampling) -> list[tuple[str, bool]]:
    """(text up to its last sentence end, whether that came) of each sample."""
    ids = torch.tensor([teacher.encode(prefix)], device=teacher.device)
    stop = SentenceStop(teacher, ids.shape[1], samples, sentences)
    settings = GenerationConfig(
        do_sample=True,
        top_p=sampling.top_p,
        top_k=0,
        temperature=sampling.temperature,
        max_new_tokens=sampling.max_new_tokens,
        num_return_sequences=samples,
        suppress_tokens=list(teacher.end_token_ids) or None,
        pad_token_id=0,
    )
    rows = teacher.model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings, stopping_criteria=StoppingCriteriaList([stop])
    )
    texts = [teacher.decode(row) for row in rows[:, ids.shape[1] :].tolist()]
    ends = [scan(text, sentences, final=True).end for text in texts]
    return [(text[:end].strip(), end is not None) for text, end in zip(texts, ends, strict=True)]


class PlainJudge:
    """All pairs through tokenizer and model, in batches as they come."""

    def __init__(self, name: str, device: torch.device) -> None:
        source = resolve(name)
        self.tokenizer = AutoTokenizer.from_pretrained(source)
        with quiet_transformers():
            self.model = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32).to(device).eval()
        self.column = label_columns(name, self.model.config.id2label)[0]

    @torch.no_grad()
    def matrix(self, sentences: Sequence[str]) -> Matrix:
        """P(premise => hypothesis) of all ordered pairs of k sentences, (k, k)."""
        pairs = list(permutations(range(len(sentences)), 2))
        found = np.ones((len(sentences),) * 2, dtype=np.float32)
        for start in range(0, len(pairs), JUDGE_BATCH):
            batch = pairs[start : start + JUDGE_BATCH]
            texts = [[sentences[pair[side]] for pair in batch] for side in (0, 1)]
            encoded = self.tokenizer(*texts, padding=True, truncation=True, return_tensors="pt").to(self.model.device)
            answers = self.model(**encoded).logits.softmax(1)[:, self.column].tolist()
            for pair, answer in zip(batch, answers, strict=True):
                found[pair] = answer
        return found


def plain_kept(sentences: Sequence[str], refused: Sequence[str | None], p: Matrix, recipe: Recipe, critic: Critic | None) -> Kept:
    """Both tasks' filters pair by pair, everything judged already."""
    first: dict[str, int] = {}
    for index, sentence in enumerate(sentences):
        if refused[index] is None:
            first.setdefault(" ".join(sentence.split()).casefold(), index)
    scores = Scores(sentences)
    if critic is not None:
        for start in range(0, len(sentences), JUDGE_BATCH):
            scores.fluency[start : start + JUDGE_BATCH] = critic.fluency(sentences[start : start + JUDGE_BATCH])
    ordered = list(permutations(first.values(), 2))
    kept: Kept = {}
    for task in tasks_of(recipe):
        filters = recipe.tasks[task.name].filters
        assert filters.length and filters.entailment and filters.diversity
        both = filters.entailment.direction == "both"
        ours = ours_alone(task.filters, scores, ordered)
        pairs = []
        for (x, y), passes in zip(ordered, ours, strict=True):
            ratio = word_count(sentences[y]) / word_count(sentences[x])
            if not passes or not filters.length.minimum <= ratio < filters.length.maximum:
                continue
            if filters.abstractiveness and similarity(sentences[x], sentences[y]) > filters.abstractiveness.maximum:
                continue
            if p[x, y] >= filters.entailment.threshold and (not both or p[y, x] >= filters.entailment.threshold):
                pairs.append((x, y))
        kept[task.name] = {(sentences[x], sentences[y]) for x, y in algorithm_1(pairs, p, filters.diversity.threshold)}
    return kept


def ours_alone(chain: Sequence[Filter], scores: Scores, pairs: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which pairs the filters that the paper has not let pass."""
    passed = np.ones(len(pairs), dtype=bool)
    for rule in chain:
        if isinstance(rule, Length | Abstractiveness | Entailment | Diversity) or not pairs:
            continue
        decision = rule.keep(scores, np.array(pairs))
        try:
            while True:
                next(decision)  # what it asks of the critic is known
        except StopIteration as end:
            passed &= end.value
    return passed


def similarity(x: str, y: str) -> float:
    """max(ROUGE-L, Density / |y|)."""
    a, b = words(x), words(y)
    total = start = 0
    while start < len(b):
        longest = 0
        for other in range(len(a)):
            length = 0
            while start + length < len(b) and other + length < len(a) and b[start + length] == a[other + length]:
                length += 1
            longest = max(longest, length)
        total += longest**2
        start += max(longest, 1)
    return max(float(ROUGE.score(x, y)["rougeL"].fmeasure), total / len(b) ** 2 if b else 0.0)


def algorithm_1(pairs: list[tuple[int, int]], p: Matrix, threshold: float) -> list[tuple[int, int]]:
    """The best of each component, by a breadth-first search over every two pairs."""

    def same(a: int, b: int) -> bool:
        return a == b or max(p[a, b], p[b, a]) > threshold

    unseen, best = set(range(len(pairs))), []
    while unseen:
        component, frontier = [], [min(unseen)]
        unseen.discard(frontier[0])
        while frontier:
            node = frontier.pop()
            component.append(node)
            x, y = pairs[node]
            reached = [other for other in unseen if same(x, pairs[other][0]) or same(y, pairs[other][1])]
            unseen.difference_update(reached)
            frontier.extend(reached)
        best.append(pairs[min(component, key=lambda k: (-p[pairs[k]], k))])
    return best


def plain_loop(recipes: dict[str, Recipe], contexts: int) -> tuple[dict[str, float], Counter[str]]:
    """Seconds and pairs kept of so many contexts by name of the recipe; what all of them share is done once, and counts for each."""
    kept, seconds = Counter(dict.fromkeys(recipes, 0)), dict.fromkeys(recipes, 0.0)
    [recipe, *_] = recipes.values()
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    least, most = recipe.contexts.sentences
    critic = None
    for number in range(contexts):
        started = time.perf_counter()
        wanted = recipe.teachers[number % len(recipe.teachers)]
        if number % CONTEXTS_PER_LOAD == 0:  # one model, whatever the domain
            teacher = Teacher.load(wanted.model, device=recipe.execution.device, dtype="float32")
            judge = PlainJudge(recipe.judge.model, teacher.device)
            named = recipe.critic.model
            critic = None if named is None else Critic.load(named, device=recipe.execution.device, dtype="float32")
        prefix = wanted.prefix.removeprefix("literal:")
        sentences = int(rng.integers(least, most + 1))
        for _ in range(recipe.contexts.attempts):
            [(context, finished)] = generated(teacher, prefix, 1, sentences, recipe.contexts.sampling)
            if finished and context_refusal(context) is None:
                break
        else:
            seconds = {name: spent + time.perf_counter() - started for name, spent in seconds.items()}
            continue
        samples = generated(teacher, joined(prefix, context), recipe.parallel.samples, 1, recipe.parallel.sampling)
        pool = [without_lone_quote(text) for text, _ in samples]
        said = {sentence.casefold() for sentence in split_sentences(context)}
        refused = [
            "unfinished" if not finished else "repetition" if text.casefold() in said else refusal(text)
            for text, (_, finished) in zip(pool, samples, strict=True)
        ]
        p = judge.matrix(pool)
        shared = time.perf_counter() - started
        for name, each in recipes.items():
            started = time.perf_counter()
            found = plain_kept(pool, refused, p, each, critic if each.critic.model else None)
            seconds[name] += shared + time.perf_counter() - started
            kept[name] += sum(map(len, found.values()))
    return seconds, kept


# Ours


class ReachedDatasetError(Exception):
    """The stages before the dataset are done."""


def our_loop(recipe: Recipe, folder: Path) -> tuple[int, int]:
    """Contexts done and pairs kept, by the stages of a run."""
    run = RunDirectory.create(folder, recipe.to_yaml())
    maker = _Maker(run, recipe, lambda progress: None)
    kept = contexts = 0

    def do(step: AnyStep, /) -> AnyStep:
        nonlocal kept, contexts
        if step.lineage.stage.startswith("dataset."):
            raise ReachedDatasetError
        maker(step)
        if isinstance(step, RowStep) and step.lineage.stage.startswith("filter."):
            counts = run.stage(step.lineage, step.blocks).counts()
            contexts += step.blocks * recipe.numerics.contexts_per_block
            kept += sum(number for key, number in counts.items() if key.endswith("/kept"))
        return step

    with run.lock(), suppress(ReachedDatasetError):
        loop(recipe, tasks_of(recipe), do)
    return contexts, kept


def our_kept(sentences: Sequence[str], refused: Sequence[str | None], judge: Judge, recipe: Recipe) -> Kept:
    """What the funnel keeps of one pool."""
    candidates = Candidates.from_pool(0, sentences, refused)
    chains: dict[str, Sequence[Filter]] = {task.name: task.filters for task in tasks_of(recipe)}
    [outcome] = run_block([candidates], chains, lambda: judge)
    text = candidates.sentences
    return {name: {(text[x], text[y]) for x, y in candidates.pairs[found.kept]} for name, found in outcome.tasks.items()}


def recipes_of(arguments: argparse.Namespace, teacher: str, judge: str, dtype: str) -> dict[str, Recipe]:
    """The two settings, parallel generation only."""
    common = [
        f"contexts.count={arguments.contexts}",
        "sequential.outputs=0",
        f"parallel.samples={arguments.samples}",
        f"judge.model={judge}",
        f"numerics.dtype={dtype}",
        f"execution.device={arguments.device}",
        *(f"teachers.{number}.model={teacher}" for number in range(3)),
        *(f"teachers.{number}.min_log_probability=null" for number in range(3)),
    ]
    if arguments.smoke:
        common += ["contexts.sampling.max_new_tokens=24", "parallel.sampling.max_new_tokens=16", "numerics.contexts_per_block=2"]
        common += ["critic.model=null", *(f"teachers.{number}.prefix=none" for number in range(3))]
    tasks = ("summary", "paraphrase")
    ours = ("mood=false", "echo=false", "numbers=null", "mentions=null", "standalone=null", "fluency=null")
    without_critic = [f"tasks.{task}.filters.fluency=null" for task in tasks] if arguments.smoke else []
    alone = ["critic.model=null", *(f"tasks.{task}.filters.{off}" for task in tasks for off in ours)]
    return {
        STARTER: Recipe.load("starter", [*common, *without_critic]),
        PAPER: Recipe.load("starter", [*common, *alone]),
    }


def assert_same_kept(recipe: Recipe) -> int:
    """On pools that are given, both loops keep the same pairs; how many."""
    kept = 0
    judge, plain = Judge.load(recipe.judge.model, device="cpu", dtype="float32"), PlainJudge(recipe.judge.model, torch.device("cpu"))
    plain_words = [word for word in WORDS[5:] if not word.startswith("#")]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        texts = [" ".join(["The", *rng.choice(plain_words, int(rng.integers(4, 12)))]) + "." for _ in range(24)]
        texts[5], texts[7] = texts[2], texts[3].upper()
        refused = [None] * 20 + ["list"] * 4
        p = plain.matrix(texts)
        levels = {"entailment": float(np.median(p)), "diversity": float(np.quantile(p, 0.995))}
        thresholds = [f"tasks.{task}.filters.{rule}.threshold={level}" for task in recipe.tasks for rule, level in levels.items()]
        wanted = Recipe.load(recipe.model_dump(mode="json"), thresholds)
        found = our_kept(texts, refused, judge, wanted)
        assert found == plain_kept(texts, refused, p, wanted, None), seed
        kept += sum(map(len, found.values()))
    assert kept, "nothing was kept, so nothing was compared"
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="starter:teacher")
    parser.add_argument("--judge", default="starter:judge")
    parser.add_argument("--contexts", type=int, default=24)
    parser.add_argument("--few", type=int, default=3)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--smoke", action="store_true", help="tiny made-up models; the same pairs kept of the same pools, no speed")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.contexts, arguments.few, arguments.samples = 3, 3, 6

    spent: dict[str, dict[str, float]] = {}  # setting -> who -> seconds a context
    kept: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        teacher, judge = arguments.teacher, arguments.judge
        if arguments.smoke:
            teacher, judge = made_teacher(folder / "teacher"), made_judge(folder / "judge")
        by_dtype = {f"ours {dtype}": recipes_of(arguments, teacher, judge, dtype) for dtype in ("auto", "float32")}
        plain = by_dtype["ours float32"]
        if arguments.smoke:
            print(f"of pools that are given both keep the same {sum(map(assert_same_kept, plain.values()))} pairs")
        for setting in plain:
            turns: dict[str, list[float]] = {who: [] for who in by_dtype}
            kept[setting] = {}
            for turn in range(TURNS if setting == STARTER and not arguments.smoke else 1):
                for who, recipes in by_dtype.items():
                    recipe = recipes[setting]
                    start = time.perf_counter()
                    contexts, pairs = our_loop(recipe, folder / f"{who} {setting} {turn}")
                    turns[who].append((time.perf_counter() - start) / contexts)
                    kept[setting][who] = pairs / contexts
            spent[setting] = {who: statistics.median(times) for who, times in turns.items()}
        seconds, pairs_kept = plain_loop(plain, arguments.few)
        for setting in plain:
            spent[setting]["plain"], kept[setting]["plain"] = seconds[setting] / arguments.few, pairs_kept[setting] / arguments.few

    rows = []
    for setting, times in spent.items():
        print(f"contexts to D0, {setting}, {arguments.samples} samples a context, {torch.get_num_threads()} threads")
        for who, each in times.items():
            beside = f"   plain is {times['plain'] / each:6.2f} times this   bar {BAR}" if who != "plain" else ""
            print(f"  {who:14}{each:10.3f} s a context   {kept[setting][who]:8.2f} pairs a context{beside}")
            if who == "plain":
                continue
            ours = f"{contexts} contexts, {f'median of {TURNS} turns' if setting == STARTER else 'once'}"
            rows.append(
                Row(
                    name=f"Contexts to D0, {setting}, {'as the machine likes' if who.endswith('auto') else 'both in fp32'}",
                    conditions=f"{arguments.samples} samples a context; ours {ours}; plain {arguments.few} contexts, once",
                    bar=BAR,
                    bar_on="ratio",
                    unit="s a context",
                    measured=each,
                    ratio=round(times["plain"] / each, 2),
                    beside="a plain loop",
                )
            )
    print_result("plain_loop", "loop", rows, arguments, device=arguments.device, dtype="auto", seconds_a_context=spent, kept=kept)


if __name__ == "__main__":
    main()
