"""Pairs for people to read: some of every group at random, the judge's best and worst, and dropped ones by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from impdistill.run import StageStore

PER_GROUP = 20
EXTREMES = 5
PER_REASON = 3


@dataclass(frozen=True, slots=True)
class ReadPair:
    """A pair and its scores. fluency: the lower P(fluent) of x and y. reason: why it was dropped; None: it was kept."""

    x: str
    y: str
    task: str
    process: str
    domain: str
    compression: float
    rouge_l: float
    density: float
    entailment: float | None
    reverse_entailment: float | None
    fluency: float | None = None
    group: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PairsToRead:
    """Out of one dataset.

    Attributes:
        groups: group -> up to `PER_GROUP` of its pairs, drawn at random.
        best, worst: highest and lowest by the judge: P(x => y), or the lower of both directions where both were asked.
    """

    round_: int
    groups: Mapping[str, tuple[ReadPair, ...]]
    best: tuple[ReadPair, ...]
    worst: tuple[ReadPair, ...]


@dataclass(frozen=True, slots=True)
class Drops:
    """What a round's filters dropped: (task, reason, how many, examples), most frequent first."""

    round_: int
    reasons: tuple[tuple[str, str, int, tuple[ReadPair, ...]], ...]


def pairs_to_read(table: pa.Table, round_: int, groups: Sequence[str], *, seed: int = 0) -> PairsToRead:
    """Choose from a dataset's table."""
    generator = np.random.default_rng(seed)
    order = pa.array(generator.permutation(table.num_rows))
    shuffled = table["group"].take(order).to_numpy(zero_copy_only=False)
    chosen = {}
    for group in groups:
        rows = order.take(pa.array(np.flatnonzero(shuffled == group)[:PER_GROUP]))
        chosen[group] = _pairs(table.take(rows))
    judged = np.asarray(
        pc.min_element_wise(table["entailment"], table["reverse_entailment"], skip_nulls=True).to_numpy(), dtype=np.float64
    )  # (pairs,), nan: no filter asked the judge
    known = np.flatnonzero(~np.isnan(judged))
    ranked = known[np.argsort(judged[known], kind="stable")]
    worst, best = ranked[:EXTREMES], ranked[::-1][:EXTREMES]
    return PairsToRead(round_, chosen, _pairs(table.take(pa.array(best))), _pairs(table.take(pa.array(worst))))


def drops_to_read(stores: Iterable[StageStore], round_: int, seed: int = 0) -> Drops:
    """Examples of what a round's filters dropped, of those kept for reading; refusals before the filters have none."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[ReadPair]] = {}
    for store in stores:
        for key, count in store.counts().items():
            parts = key.split("/")
            if len(parts) == 4 and parts[2] == "dropped":
                counts[parts[0], parts[3]] += count
        if store.complete_blocks():
            table = store.read("pairs", partial=True)
            table = table.filter(pc.is_valid(table["reason"]))
            domain = store.stage.rpartition(".")[2]
            for pair in _pairs(table.append_column("domain", pa.array([domain] * table.num_rows, pa.string()))):
                examples.setdefault((pair.task, str(pair.reason)), []).append(pair)
    generator = np.random.default_rng(seed)
    reasons = []
    for (task, reason), count in counts.most_common():
        found = examples.get((task, reason), [])
        drawn = [found[index] for index in generator.permutation(len(found))[:PER_REASON]]
        reasons.append((task, reason, count, tuple(drawn)))
    return Drops(round_, tuple(reasons))


def _pairs(table: pa.Table) -> tuple[ReadPair, ...]:
    names = [name for name in ReadPair.__slots__ if name in table.column_names]
    rows: list[dict[str, Any]] = table.select(names).to_pylist()
    return tuple(ReadPair(**row) for row in rows)
