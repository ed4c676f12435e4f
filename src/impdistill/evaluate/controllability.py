"""Does a student do what it is asked? Outputs of every group, and what they turned out to be (Jung et al. 2023, table 8).

Asked for long and short, extractive and abstractive rewritings of the same sources: how far apart are the lengths and the
wordings got, and how often does an output fall into the group asked for? Falling into it is easy for whoever may write anything, so
that an output counts for more where the source entails it too. ROUGE-L here is between output and source, the measure that defines
the groups; no reference is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from impdistill.errors import BenchmarkError
from impdistill.evaluate.bootstrap import Comparison, Estimate, compare, estimate
from impdistill.evaluate.pair_shape import PairShapes, pair_shapes
from impdistill.evaluate.statistic import Floats, mean_of
from impdistill.evaluate.systems import Rewriter
from impdistill.tasks import Group
from impdistill.text.intervals import shown_interval

LENGTH = ("long", "short")
WORDING = ("extractive", "abstractive")
"""Words in a group's name, between hyphens, that say which end of an axis it asks for."""


@dataclass(frozen=True, slots=True)
class GroupControl:
    """What outputs asked for as one group turned out to be.

    Attributes:
        compression: mean words of output / words of source.
        rouge_l: mean ROUGE-L of output and source, 0-100.
        accuracy: per cent of outputs that lie in the group asked for.
        faithful_accuracy: per cent of outputs that lie there and are entailed by their source; None: no judge was asked.
        empty_outputs: outputs without text; they lie in no group.
        got: group -> outputs that lie in it; "no group" for the rest.
    """

    group: str
    compression: Estimate
    rouge_l: Estimate
    accuracy: Estimate
    faithful_accuracy: Estimate | None
    empty_outputs: int
    got: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Gap:
    """How far two opposite requests come apart: `high` is asked to score more than `low`.

    Attributes:
        measure: "compression" (ratio) or "ROUGE-L" (0-100).
        high, low: names of the requests, e.g. "long" and "short".
        high_value, low_value: means over the sources.
        difference: of the two, paired by source.
    """

    measure: str
    high: str
    low: str
    high_value: Estimate
    low_value: Estimate
    difference: Comparison


@dataclass(frozen=True, slots=True)
class Control:
    """A student's controllability on some sources.

    Attributes:
        sources: how many.
        groups: in the order asked.
        accuracy: per cent of all outputs that lie in the group asked for; its interval comes from resampling sources.
        faithful_accuracy: of those that lie there and are entailed by their source; None: no judge was asked.
        gaps: of length and wording, as far as there are groups that ask for both ends; none on fewer than two sources.
        version: hash of the model's files, by which cards find its figures; None: not known.
        origin: of the sources: the benchmark's file or hub name; None: not known.
    """

    sources: int
    groups: tuple[GroupControl, ...]
    accuracy: Estimate
    faithful_accuracy: Estimate | None
    gaps: tuple[Gap, ...]
    version: str | None = None
    origin: str | None = None


def measure_control(
    rewriter: Rewriter,
    groups: Sequence[Group],
    sources: Sequence[str],
    *,
    entailed: Mapping[str, NDArray[np.bool_]] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    version: str | None = None,
    origin: str | None = None,
) -> Control:
    """Ask for every group on every source, and measure what comes.

    Args:
        groups: what to ask for, and the intervals that say whether it was got.
        entailed: group -> (sources,) whether the judge says that the source entails its output; None: it was not asked.
        version, origin: of the model and of the sources, kept with the figures.

    Raises:
        BenchmarkError: no group, no source, or the model returned another number of texts; `entailed` lacks a group or source.
    """
    if not groups or not sources:
        raise BenchmarkError(f"controllability needs groups and sources; there are {len(groups)} and {len(sources)}")
    # 1. ask
    outputs = {group.name: tuple(rewriter.rewrite(sources, group.name)) for group in groups}
    for name, written in outputs.items():
        if len(written) != len(sources):
            raise BenchmarkError(f"{len(written)} texts were returned for {len(sources)} sources of group {name}")
        if entailed is not None and (name not in entailed or len(entailed[name]) != len(sources)):
            raise BenchmarkError(f"what the judge says of the outputs of group {name} is needed for each of {len(sources)} sources")

    # 2. measure what came
    shapes = {name: pair_shapes(sources, written) for name, written in outputs.items()}
    empty = {name: np.array([not output.strip() for output in written]) for name, written in outputs.items()}
    found = {name: np.where(empty[name], -1, shapes[name].groups(groups)) for name in outputs}
    hits = np.stack([100.0 * (found[group.name] == index) for index, group in enumerate(groups)], axis=1)  # (sources, groups)
    faithful = None if entailed is None else hits * np.stack([entailed[group.name] for group in groups], axis=1)  # (sources, groups)

    def mean(values: Floats) -> Estimate:
        return estimate(mean_of("mean", values), resamples=resamples, seed=seed)

    # 3. compare requests
    names = [group.name for group in groups]
    gaps = [
        _gap(shapes, ends, measure, resamples, seed)
        for ends, measure in ((LENGTH, "compression"), (WORDING, "ROUGE-L"))
        if len(sources) > 1 and all(_asking_for(names, end) for end in ends)
    ]
    return Control(
        len(sources),
        tuple(
            GroupControl(
                name,
                mean(shapes[name].compression),
                mean(100 * shapes[name].rouge_l),
                mean(hits[:, index]),
                None if faithful is None else mean(faithful[:, index]),
                int(empty[name].sum()),
                {got: int((found[name] == place).sum()) for place, got in [*enumerate(names), (-1, "no group")]},
            )
            for index, name in enumerate(names)
        ),
        mean(hits.mean(axis=1)),
        None if faithful is None else mean(faithful.mean(axis=1)),
        tuple(gaps),
        version,
        origin,
    )


def control_tables(control: Control) -> list[Table]:
    """The gaps, what each group got, and the confusion matrix, for a terminal."""
    gaps = Table(title=f"Control over {control.sources} sources", caption="mean (95% bootstrap interval)")
    for column in ("measure", "asked for more", "asked for less", "difference"):
        gaps.add_column(column, justify="left" if column == "measure" else "right")
    for gap in control.gaps:
        digits = 2 if gap.measure == "compression" else 1
        gaps.add_row(
            gap.measure,
            f"{gap.high} {_shown(gap.high_value, digits)}",
            f"{gap.low} {_shown(gap.low_value, digits)}",
            shown_interval(gap.difference.difference, gap.difference.low, gap.difference.high, digits),
        )
    title = f"Outputs in the group asked for: {_shown(control.accuracy, 1)}%"
    if control.faithful_accuracy is not None:
        title += f"; faithful and in group: {_shown(control.faithful_accuracy, 1)}%"
    confusion = Table(title=title)
    confusion.add_column("asked for")
    faithful = ["faithful and in group, %"] if control.faithful_accuracy is not None else []
    for column in (*control.groups[0].got, "compression", "ROUGE-L to source", "% got", *faithful):
        confusion.add_column(Text(column), justify="right", overflow="fold")
    for group in control.groups:
        values = [f"{group.compression.value:.2f}", f"{group.rouge_l.value:.1f}", f"{group.accuracy.value:.1f}"]
        if group.faithful_accuracy is not None:
            values.append(f"{group.faithful_accuracy.value:.1f}")
        confusion.add_row(Text(group.group), *(str(count) for count in group.got.values()), *values)
    return [gaps, confusion] if control.gaps else [confusion]


def _gap(shapes: Mapping[str, PairShapes], ends: tuple[str, str], measure: str, resamples: int, seed: int) -> Gap:
    sides = []
    for end in ends:
        asked = [shapes[name] for name in _asking_for(shapes, end)]
        values = [one.compression if measure == "compression" else 100 * one.rouge_l for one in asked]
        sides.append(mean_of(f"{measure} of {end}", np.mean(values, axis=0)))  # (sources,): one value a source, over its groups
    high, low = (estimate(side, resamples=resamples, seed=seed) for side in sides)
    return Gap(measure, *ends, high, low, compare(*sides, resamples=resamples, seed=seed))


def _asking_for(names: Sequence[str] | Mapping[str, object], end: str) -> list[str]:
    return [name for name in names if end in name.split("-")]


def _shown(estimated: Estimate, digits: int) -> str:
    return shown_interval(estimated.value, estimated.low, estimated.high, digits)
