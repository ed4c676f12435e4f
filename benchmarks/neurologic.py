"""What lexical constraints cost: NeuroLogic beside the same search without clauses, transformers' beam search, and a per-candidate one.

All take the same number of steps (no text may end before the last), after the same prefixes, with five clauses each: five content words
of a text that the teacher wrote after the prefix, in all their forms. `per candidate` is the same search in the manner of the published
code: the score table copied to numpy, every cell ranked, every row sorted, one Python object a candidate, and cache rows copied when
beams are chosen. `model alone` takes the same steps without choosing; it is the ceiling, and what is left without it is the choice
of beams. All take turns, and ratios are of times of the same turn, on an idle machine. On a CPU the ratios of processor time stand
beside them: there, what keeps all cores busy counts as often as there are cores.

What one object a candidate costs grows with the vocabulary, since every cell is ranked. So one row is of the same layers with a
vocabulary as large as GPT-2's, 50,257 tokens, and random weights; tokens that the tokenizer does not have are scored, and never chosen.

Run: python benchmarks/neurologic.py [--model starter:teacher] [--contexts 8] [--beams 20] [--steps 32] [--rounds 5]
        [--shape gpt2-xl] [--smoke]
`--shape gpt2-xl` measures a model of that shape with random weights.
"""

from __future__ import annotations

import argparse
import copy
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from transformers import DynamicCache, GenerationConfig

from impdistill.decode.beams import Beams, RowBeams, attends_by_mask, open_beams
from impdistill.decode.constraints import Clause, Constraints
from impdistill.decode.finished import Constrained
from impdistill.decode.neurologic import NeuroLogic, decode_constrained
from impdistill.decode.nucleus import Nucleus, sample_continuations
from impdistill.decode.vocabulary import inside_tokens, read_vocabulary
from impdistill.generate.keywords import inflections
from impdistill.models.generative import with_cache
from impdistill.models.teacher import Teacher
from made_up import made_teacher
from result import Row, print_result
from sampling import shaped_like

OVERHEAD_BAR = 1.2
"""Time with clauses / without, at most."""
PER_CANDIDATE_BAR = 10.0
"""Time of the per-candidate search / ours, at least, on a CPU. The model alone may leave no room for it: see its ceiling."""
PROMPTS_BAR = 300.0
"""Prompts a second in GPT-2 XL's shape on an H200, at least."""

GPT2_VOCABULARY = 50_257

Tokens = tuple[int, ...]
Phrase = tuple[int, Tokens]
"""A clause's number and the tokens of one of its phrases."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One candidate of the per-candidate search; `begun` are phrases with how many of their tokens are matched."""

    tokens: Tokens
    log_prob: float
    met: frozenset[int]
    begun: frozenset[tuple[Phrase, int]]

    def followed_by(self, token: int, log_prob: float, phrases: Sequence[Phrase]) -> Hypothesis:
        matched = [(phrase, length + 1) for phrase, length in self.begun if phrase[1][length] == token]
        matched += [(phrase, 1) for phrase in phrases if phrase[1][0] == token]
        met = self.met | {phrase[0] for phrase, length in matched if length == len(phrase[1])}
        begun = frozenset((phrase, length) for phrase, length in matched if length < len(phrase[1]))
        return Hypothesis((*self.tokens, token), log_prob, met, begun)

    def useful(self, phrases: Sequence[Phrase]) -> set[int]:
        starts = {phrase[1][0] for phrase in phrases if phrase[0] not in self.met}
        return starts | {phrase[1][length] for phrase, length in self.begun if phrase[0] not in self.met}

    def score(self, progress_weight: float) -> float:
        progress = max((length / len(phrase[1]) for phrase, length in self.begun if phrase[0] not in self.met), default=0.0)
        return self.log_prob / len(self.tokens) + progress_weight * progress


@torch.no_grad()
def per_candidate(
    teacher: Teacher, prefixes: Sequence[str], constraints: Sequence[Constraints], settings: NeuroLogic
) -> list[list[Hypothesis]]:
    """The beams after `max_new_tokens` steps, none of which ended."""
    _, logits = open_beams(teacher, prefixes, settings.max_new_tokens)
    beams = row_beams(teacher, prefixes)
    phrases = [phrases_of(teacher, each) for each in constraints]
    never = read_vocabulary(teacher.tokenizer, logits.shape[-1], sentences=False).banned
    never[list(teacher.end_token_ids)] = True
    never = never.nonzero().flatten().to(logits.device)
    living = [[Hypothesis((), 0.0, frozenset(), frozenset())] for _ in prefixes]
    for step in range(settings.max_new_tokens):
        table = torch.log_softmax(logits.float(), dim=-1)
        table.index_fill_(2, never, -torch.inf)
        scores = table.cpu().numpy()
        parents = []
        for i, hypotheses in enumerate(living):
            living[i], rows = next_beam(hypotheses, scores[i], phrases[i], settings)
            parents.append(rows)
        if step + 1 < settings.max_new_tokens:
            tokens = [[hypothesis.tokens[-1] for hypothesis in hypotheses] for hypotheses in living]
            logits = beams.step(torch.tensor(parents, device=teacher.device), torch.tensor(tokens, device=teacher.device))
    return living


def next_beam(
    hypotheses: Sequence[Hypothesis], scores: np.ndarray[Any, Any], phrases: Sequence[Phrase], settings: NeuroLogic
) -> tuple[list[Hypothesis], list[int]]:
    candidates: list[tuple[Hypothesis, int]] = []
    size, total = settings.no_repeat_ngram, np.array([hypothesis.log_prob for hypothesis in hypotheses])
    ranks = rankdata(-(scores + total[:, None]), method="dense").reshape(scores.shape)
    for row, hypothesis in enumerate(hypotheses):
        past = hypothesis.tokens
        for i in range(len(past) - size + 1):
            if past[i : i + size - 1] == past[len(past) - size + 1 :]:
                scores[row, past[i + size - 1]] = -np.inf
        best = np.argsort(scores[row])[::-1][: settings.beam_size]
        candidates.extend(
            (hypothesis.followed_by(token, hypothesis.log_prob + float(scores[row, token]), phrases), row)
            for token in {*best.tolist(), *hypothesis.useful(phrases)}
            if np.isfinite(scores[row, token]) and ranks[row, token] <= (settings.prune_factor or np.inf)
        )
    if settings.tolerance is not None:
        most = max(len(candidate.met) for candidate, _ in candidates)
        candidates = [found for found in candidates if len(found[0].met) >= most - settings.tolerance]
    groups: dict[frozenset[int], list[tuple[float, Hypothesis, int]]] = {}
    for candidate, row in candidates:
        groups.setdefault(candidate.met, []).append((candidate.score(settings.progress_weight), candidate, row))
    ranked = [
        (rank, -score, candidate, row)
        for group in groups.values()
        for rank, (score, candidate, row) in enumerate(sorted(group, key=lambda found: -found[0]))
    ]
    ranked.sort(key=lambda found: found[:2])
    return [found[2] for found in ranked[: settings.beam_size]], [found[3] for found in ranked[: settings.beam_size]]


def phrases_of(teacher: Teacher, constraints: Constraints) -> list[Phrase]:
    written = [(number, phrase) for number, clause in enumerate(constraints.clauses) for phrase in clause.phrases]
    tokens = inside_tokens(teacher.tokenizer, [phrase for _, phrase in written])
    return [(number, tuple(ids)) for (number, _), ids in zip(written, tokens, strict=True)]


@torch.no_grad()
def row_beams(teacher: Teacher, prefixes: Sequence[str]) -> RowBeams:
    ids = [teacher.encode(prefix) for prefix in prefixes]
    longest = max(map(len, ids))
    padded = torch.tensor([[0] * (longest - len(each)) + each for each in ids], device=teacher.device)
    mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in ids], device=teacher.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=teacher.model.config)
    teacher.model(input_ids=padded, attention_mask=mask, position_ids=positions, use_cache=True, **with_cache(teacher.model, cache))
    return RowBeams(teacher.model, cache, {"attention_mask": mask}, positions[:, -1])


@torch.no_grad()
def model_alone(teacher: Teacher, beams: Beams, prefixes: Sequence[str], settings: NeuroLogic) -> None:
    """As many steps of as many rows, beams going straight on."""
    rows = torch.arange(settings.beam_size, device=teacher.device).expand(len(prefixes), -1)
    for step in range(settings.max_new_tokens - 1):
        beams.step(rows if step else torch.zeros_like(rows), rows + 5)


@torch.no_grad()
def straight_on(teacher: Teacher, prefixes: Sequence[str], settings: NeuroLogic) -> None:
    model_alone(teacher, open_beams(teacher, prefixes, settings.max_new_tokens)[0], prefixes, settings)


def ours(teacher: Teacher, prefixes: Sequence[str], constraints: Sequence[Constraints], settings: NeuroLogic) -> list[list[Constrained]]:
    return decode_constrained(teacher, prefixes, constraints, settings, returned=settings.beam_size, sentences=False)


def transformers_beams(teacher: Teacher, prefixes: Sequence[str], settings: NeuroLogic) -> None:
    ids = [teacher.encode(prefix) for prefix in prefixes]
    longest = max(map(len, ids))
    config = GenerationConfig(
        num_beams=settings.beam_size,
        num_return_sequences=settings.beam_size,
        no_repeat_ngram_size=settings.no_repeat_ngram,
        min_new_tokens=settings.max_new_tokens,
        max_new_tokens=settings.max_new_tokens,
        length_penalty=settings.length_penalty,
        pad_token_id=0,
        eos_token_id=list(teacher.end_token_ids),
    )
    teacher.model.generate(
        input_ids=torch.tensor([[0] * (longest - len(each)) + each for each in ids], device=teacher.device),
        attention_mask=torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in ids], device=teacher.device),
        generation_config=config,
    )


def made_tasks(teacher: Teacher, opening: str, count: int) -> tuple[list[str], list[Constraints]]:
    """Prefixes of one or two sentences by the teacher, and five words of what it writes next."""
    nucleus = Nucleus(top_p=0.8, max_new_tokens=120)
    texts = sample_continuations(
        teacher, [opening], keys=[(0, 0)], samples=4 * count, sentences=[4], nucleus=nucleus, seed=0, stage="made"
    )[0]
    prefixes, constraints = [], []
    for text in texts:
        words = text.text.split()
        content = dict.fromkeys(re.findall(r"\b[a-z]{5,}\b", " ".join(words[25:])))
        if len(content) >= 5 and len(prefixes) < count:
            prefixes.append(f"{opening} {' '.join(words[:25])}")
            constraints.append(Constraints(tuple(Clause(inflections(word)) for word in list(content)[:5])))
    if len(prefixes) < count:
        raise SystemExit(f"the model wrote only {len(prefixes)} texts of some length; ask for fewer --contexts")
    return prefixes, constraints


def with_vocabulary(teacher: Teacher, size: int) -> Teacher:
    """The same layers with so many tokens, and random weights."""
    config = copy.deepcopy(teacher.model.config)
    config.vocab_size = size
    torch.manual_seed(0)
    return replace(teacher, model=type(teacher.model)(config).to(teacher.device, teacher.dtype).eval())


@dataclass(frozen=True, slots=True)
class Times:
    """Of every contestant, a turn each."""

    seconds: dict[str, list[float]]
    processor: dict[str, list[float]]

    def ratio(self, over: str, under: str) -> float:
        return _ratio(self.seconds[over], self.seconds[under])

    def processor_ratio(self, over: str, under: str) -> float:
        return _ratio(self.processor[over], self.processor[under])


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def in_turns(contestants: dict[str, Callable[[], object]], turns: int, *, warm_up: bool, device: torch.device) -> Times:
    times = Times({name: [] for name in contestants}, {name: [] for name in contestants})
    for turn in range(turns + warm_up):
        for name, run in contestants.items():
            start, busy = time.perf_counter(), time.process_time()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn >= warm_up:
                times.seconds[name].append(time.perf_counter() - start)
                times.processor[name].append(time.process_time() - busy)
    return times


def assert_equal(teacher: Teacher, prefixes: Sequence[str], constraints: Sequence[Constraints], settings: NeuroLogic) -> None:
    """Every beam of ours is one of the plain search's.

    Raises:
        AssertionError: it is not, or no beam is left.
    """
    plainly = per_candidate(teacher, prefixes, constraints, settings)
    for found, living in zip(ours(teacher, prefixes, constraints, settings), plainly, strict=True):
        beam = {text.token_ids for text in found if not text.finished}
        assert beam, "every beam ended"
        assert beam <= {hypothesis.tokens for hypothesis in living}, "the searches differ"


def vocabulary_row(teacher: Teacher | None, prefixes: Sequence[str], constraints: Sequence[Constraints], settings: NeuroLogic) -> Row:
    """`teacher`: with GPT-2's vocabulary; None: not measured."""
    row = Row(name="NeuroLogic: beside one object a candidate, GPT-2's vocabulary", bar=PER_CANDIDATE_BAR, bar_on="ratio", unit="prompts/s")
    if teacher is None:
        return row
    contestants: dict[str, Callable[[], object]] = {
        "NeuroLogic": lambda: ours(teacher, prefixes, constraints, settings),
        "model alone": lambda: straight_on(teacher, prefixes, settings),
        "per candidate": lambda: per_candidate(teacher, prefixes, constraints, settings),
    }
    times = in_turns(contestants, 2, warm_up=True, device=teacher.device)
    rate, ceiling = (len(prefixes) / statistics.median(times.seconds[name]) for name in ("NeuroLogic", "model alone"))
    row = replace(
        row,
        conditions=f"{settings.beam_size} beams, 5 clauses, random weights; "
        f"ratio of processor time {times.processor_ratio('per candidate', 'NeuroLogic'):.2f}",
        measured=rate,
        ratio=times.ratio("per candidate", "NeuroLogic"),
        beside="per-candidate Python",
        ceiling=ceiling,
        ceiling_of="model alone",
        share=rate / ceiling,
    )
    ceiling_ratio = times.ratio("per candidate", "model alone")
    print(f"  per candidate : NeuroLogic, {GPT2_VOCABULARY:,} tokens {row.ratio:8.2f}   ceiling {ceiling_ratio:.2f}")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:teacher")
    parser.add_argument("--opening", default="<|endoftext|>News:", help="what the prefixes begin with")
    parser.add_argument("--shape", choices=["own", "gpt2-xl"], default="own")
    parser.add_argument("--contexts", type=int, default=8)
    parser.add_argument("--beams", type=int, default=20)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--smoke", action="store_true", help="a made-up model, 2 contexts x 5 beams x 8 steps in fp32: equal results only")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.contexts, arguments.beams, arguments.steps, arguments.rounds, arguments.dtype = 2, 5, 8, 1, "float32"
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as work:
        model = made_teacher(Path(work)) if arguments.smoke else arguments.model
        teacher = Teacher.load(model, device=arguments.device, dtype=arguments.dtype)
    prefixes, constraints = made_tasks(teacher, arguments.opening, arguments.contexts)
    teacher = shaped_like(arguments.shape, teacher)
    settings = NeuroLogic(beam_size=arguments.beams, min_new_tokens=arguments.steps, max_new_tokens=arguments.steps)

    wide = with_vocabulary(teacher, GPT2_VOCABULARY) if arguments.shape == "own" and teacher.device.type == "cpu" else None
    if arguments.smoke:
        for each in (teacher, wide or teacher):
            assert_equal(each, prefixes, constraints, settings)

    contestants: dict[str, Callable[[], object]] = {
        "NeuroLogic": lambda: ours(teacher, prefixes, constraints, settings),
        "without clauses": lambda: ours(teacher, prefixes, [Constraints()] * len(prefixes), settings),
        "model alone": lambda: straight_on(teacher, prefixes, settings),
        "transformers": lambda: transformers_beams(teacher, prefixes, settings),
        "per candidate": lambda: per_candidate(teacher, prefixes, constraints, settings),
        "model, copied rows": lambda: model_alone(teacher, row_beams(teacher, prefixes), prefixes, settings),
    }
    on_cpu = teacher.device.type == "cpu"
    times = in_turns(contestants, arguments.rounds, warm_up=not arguments.smoke, device=teacher.device)
    seconds, processor, ratio = times.seconds, times.processor, times.ratio
    turns = zip(*(seconds[name] for name in ("per candidate", "model, copied rows", "NeuroLogic", "model alone")), strict=True)
    choice = statistics.median((theirs - rows) / max(own - model, 1e-9) for theirs, rows, own, model in turns)
    prompts = len(prefixes) / statistics.median(seconds["NeuroLogic"])
    bars = {
        "NeuroLogic : without clauses": (ratio("NeuroLogic", "without clauses"), f"bar {OVERHEAD_BAR} at most"),
        "transformers : NeuroLogic": (ratio("transformers", "NeuroLogic"), "above 1: cheaper than beam search without clauses"),
        "per candidate : NeuroLogic": (ratio("per candidate", "NeuroLogic"), f"bar {PER_CANDIDATE_BAR} at least"),
        "the same, choice of beams only": (choice, "without the model's time on both sides"),
        "per candidate : model alone": (ratio("per candidate", "model alone"), "ceiling of per candidate : NeuroLogic"),
        "model alone : NeuroLogic": (ratio("model alone", "NeuroLogic"), "ceiling 1"),
    }
    print(
        f"{len(prefixes)} contexts x {settings.beam_size} beams x {settings.max_new_tokens} steps, 5 clauses, {teacher.dtype} on "
        f"{teacher.device}, {torch.get_num_threads()} threads, {'shared keys' if attends_by_mask(teacher.model) else 'copied rows'}, "
        f"{len(seconds['NeuroLogic'])} rounds"
    )
    for name, values in seconds.items():
        print(
            f"  {name:20}{statistics.median(values):9.3f} s"
            + (f", of processors {statistics.median(processor[name]):9.3f} s" if on_cpu else "")
        )
    for name, (value, bar) in bars.items():
        print(f"  {name:32}{value:8.2f}   {bar}")
    on_gpu = not on_cpu and arguments.shape == "gpt2-xl"
    on_bar = f"{prompts:.0f}" if on_gpu else "not measured"
    print(f"  prompts/s in GPT-2 XL's shape on a GPU: {on_bar}   bar {PROMPTS_BAR:.0f} at least, on an H200")
    conditions = f"{settings.beam_size} beams, 5 clauses" + (", GPT-2 XL's shape" if arguments.shape == "gpt2-xl" else "")

    def by_processor(over: str, under: str) -> str:
        return f"; ratio of processor time {times.processor_ratio(over, under):.2f}" if on_cpu else ""

    alone = len(prefixes) / statistics.median(seconds["model alone"])
    share = ratio("model alone", "NeuroLogic")
    rows = [
        Row(
            name="NeuroLogic: cost of constraints",
            conditions=conditions + by_processor("NeuroLogic", "without clauses"),
            bar=OVERHEAD_BAR,
            bar_on="ratio",
            at_least=False,
            unit="prompts/s",
            measured=prompts,
            ratio=ratio("NeuroLogic", "without clauses"),
            beside="time without clauses",
            ceiling=alone,
            ceiling_of="model alone",
            share=share,
        ),
        Row(
            name="NeuroLogic: beside one object a candidate",
            conditions=conditions + by_processor("per candidate", "NeuroLogic"),
            bar=PER_CANDIDATE_BAR,
            bar_on="ratio",
            unit="prompts/s",
            measured=prompts,
            ratio=ratio("per candidate", "NeuroLogic"),
            beside="per-candidate Python",
            ceiling=alone,
            ceiling_of="model alone",
            share=share,
        ),
        vocabulary_row(wide, prefixes, constraints, settings),
        Row(
            name="NeuroLogic in GPT-2 XL's shape on a GPU",
            bar=PROMPTS_BAR,
            bar_on="measured",
            unit="prompts/s",
            measured=prompts if on_gpu else None,
            ceiling=alone if on_gpu else None,
            ceiling_of="model alone",
            share=share if on_gpu else None,
        ),
    ]
    more = {
        "seconds": {name: round(statistics.median(values), 4) for name, values in seconds.items()},
        "processor_seconds": {name: round(statistics.median(values), 4) for name, values in processor.items()},
        "ratios": {name: round(value, 3) for name, (value, _) in bars.items()},
        "prompts_per_second": round(prompts, 2),
    }
    print_result("neurologic", "decoding", rows, arguments, device=str(teacher.device), dtype=str(teacher.dtype), **more)


if __name__ == "__main__":
    main()
