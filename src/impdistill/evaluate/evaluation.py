"""A system on a benchmark, measured: the record that tables, reports and cards take their figures from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from impdistill.errors import BenchmarkError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.benchmarks import Benchmark
from impdistill.evaluate.bootstrap import Comparison, compare, estimate
from impdistill.evaluate.statistic import Direction, Metric, Statistic
from impdistill.evaluate.systems import Rewriting, System

UNREAD = "longer than this system reads"
"""Why a system left out items that others answered."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number of a table.

    Attributes:
        low, high: 95% bootstrap interval; None where there is only one item.
        items: how many items (for MSTTR: windows) the number rests on.
        note: what it takes to compute the same number.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    items: int
    direction: Direction
    digits: int
    note: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one system scored on one benchmark.

    Attributes:
        origin: the benchmark's file or hub name.
        items: answered and measured.
        skipped: records of the benchmark that were not, by reason; those that only this system left out are among them.
        empty_outputs: outputs without text; they are measured as what they are.
        seconds: the system's time for all its answers.
        version: hash of the model's files; None for a system without, or where it is not known.
        answers, statistics: kept for comparisons and examples, in no exported record.
    """

    system: str
    benchmark: str
    origin: str
    items: int
    skipped: Mapping[str, int]
    empty_outputs: int
    seconds: float
    scores: tuple[Score, ...]
    answers: Answers = field(repr=False)
    statistics: tuple[Statistic, ...] = field(repr=False)
    version: str | None = None

    def score(self, name: str) -> Score:
        """The score of that name.

        Raises:
            BenchmarkError: it was not measured.
        """
        for score in self.scores:
            if score.name == name:
                return score
        raise BenchmarkError(f"{name} was not measured; there are {', '.join(score.name for score in self.scores)}")


@dataclass(frozen=True, slots=True)
class SystemComparison:
    """One score of two systems on one benchmark, paired by item. origin: the benchmark's file or hub name."""

    system: str
    against: str
    benchmark: str
    score: str
    comparison: Comparison
    origin: str


def evaluate(system: System, benchmark: Benchmark, metrics: Sequence[Metric], *, resamples: int = 1000, seed: int = 0) -> Evaluation:
    """Let a system answer a benchmark and measure its answers.

    Args:
        metrics: e.g. `standard_metrics()`; each gives one or more scores.
        resamples: bootstrap draws behind every interval.
        seed: of the draws. Results are the same for the same seed.
    """
    started = time.perf_counter()
    answers = system.answer(benchmark)
    seconds = time.perf_counter() - started
    statistics = tuple(statistic for metric in metrics for statistic in metric(answers))
    unanswered = len(benchmark) - len(answers)
    return Evaluation(
        system.name,
        benchmark.name,
        benchmark.origin,
        len(answers),
        {**benchmark.skipped, UNREAD: unanswered} if unanswered else benchmark.skipped,
        answers.empty_outputs,
        seconds,
        tuple(_score(statistic, resamples, seed) for statistic in statistics),
        answers,
        statistics,
        system.version if isinstance(system, Rewriting) else None,
    )


def compare_systems(
    evaluations: Sequence[Evaluation], against: str, *, resamples: int = 1000, seed: int = 0
) -> tuple[SystemComparison, ...]:
    """Every system against one, for every score that both have on the same items of a benchmark, against the same references.

    A human is measured against one reference less than the others, and so is compared with none of them.

    Args:
        against: name of the system to compare with, e.g. "copy".

    Raises:
        BenchmarkError: that system was not evaluated, or one of its name was evaluated twice on a benchmark.
    """
    counts = Counter((evaluation.system, evaluation.origin) for evaluation in evaluations)
    for (system, origin), count in counts.items():
        if count > 1:
            raise BenchmarkError(f"{count} systems are called {system} on {origin}; give each a name of its own")
    rivals = {evaluation.origin: evaluation for evaluation in evaluations if evaluation.system == against}
    if not rivals:
        raise BenchmarkError(f"{against} was not evaluated; there are {', '.join(sorted({one.system for one in evaluations}))}")
    found = []
    for evaluation in evaluations:
        rival = rivals.get(evaluation.origin)
        if rival is None or rival is evaluation:
            continue
        ours, theirs = evaluation.answers, rival.answers
        if evaluation.items < 2 or (ours.sources, ours.references) != (theirs.sources, theirs.references):
            continue  # nothing to resample, or one of them left out items or references
        known = {statistic.name: statistic for statistic in rival.statistics}
        for one in evaluation.statistics:
            if one.name in known and len(one) == len(known[one.name]) == evaluation.items:  # paired by item only
                comparison = compare(one, known[one.name], resamples=resamples, seed=seed)
                found.append(SystemComparison(evaluation.system, against, evaluation.benchmark, one.name, comparison, evaluation.origin))
    return tuple(found)


def _score(statistic: Statistic, resamples: int, seed: int) -> Score:
    estimated = estimate(statistic, resamples=resamples, seed=seed)
    return Score(
        statistic.name,
        estimated.value,
        estimated.low,
        estimated.high,
        estimated.items,
        statistic.direction,
        statistic.digits,
        statistic.note,
    )
