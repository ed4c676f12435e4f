"""Intervals and paired tests for any `Statistic`, by resampling its items.

Efron 1979 (bootstrap); Koehn 2004 (paired bootstrap for translation); Riezler and Maxwell 2005 (approximate randomisation).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from impdistill.errors import BenchmarkError
from impdistill.evaluate.statistic import Floats, Statistic

MAX_CELLS = 4_000_000
"""Cells (resamples x columns, or resamples x items) held at once: 32 MB of float64."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its bootstrap interval; `low` and `high` are None where fewer than two items leave nothing to resample."""

    value: float
    low: float | None
    high: float | None
    items: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same items.

    Attributes:
        difference: score of the first minus score of the second.
        low, high: bootstrap interval of the difference.
        p_bootstrap: two-sided: the share of resamples whose difference lies at least as far from their mean as `difference`
            from 0.
        p_randomisation: two-sided: the share of random exchanges of the two systems' items with a difference at least as large.
            None where items cannot be exchanged (scores over a vocabulary of their own).
        items: how many items both share.
    """

    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomisation: float | None
    items: int


def estimate(statistic: Statistic, *, resamples: int = 1000, seed: int = 0, level: float = 0.95) -> Estimate:
    """The score and its percentile bootstrap interval.

    For a `plug_in` score the percentiles are shifted by the difference between the score and the resamples' mean: a resample of
    n items holds about 63% of them, and its entropy would lie below the score with certainty.
    """
    value, items = statistic.value, len(statistic)
    if items < 2:
        return Estimate(value, None, None, items)
    scores = _resampled(statistic, resamples, seed)
    shift = value - float(scores.mean()) if statistic.plug_in else 0.0
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2]) + shift
    if statistic.most is not None:  # the shift knows no bound
        low, high = min(low, statistic.most), min(high, statistic.most)
    return Estimate(value, float(low), float(high), items)


def compare(first: Statistic, second: Statistic, *, resamples: int = 1000, seed: int = 0, level: float = 0.95) -> Comparison:
    """Whether two systems differ, item by item on the same benchmark.

    Raises:
        BenchmarkError: the two have different numbers of items, or fewer than two.
    """
    if len(first) != len(second):
        raise BenchmarkError(
            f"{first.name}: one system was measured on {len(first)} items, the other on {len(second)}; compare them on the same ones"
        )
    if len(first) < 2:
        raise BenchmarkError(f"{first.name}: a comparison needs at least two items")
    difference = first.value - second.value
    differences = _resampled(first, resamples, seed) - _resampled(second, resamples, seed)  # same seed: same resamples
    spread = differences - differences.mean()
    if first.plug_in:
        differences = spread + difference
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return Comparison(
        difference,
        float(low),
        float(high),
        _tail(spread, difference),
        _randomisation(first, second, difference, resamples, seed),
        len(first),
    )


def _resampled(statistic: Statistic, resamples: int, seed: int) -> Floats:
    """Scores of `resamples` draws of n items with replacement, (resamples,)."""
    items, columns = statistic.items.shape
    generator = np.random.default_rng(seed)
    scores = []
    for drawn in _slices(resamples, items):
        rows = drawn.stop - drawn.start
        draws = generator.integers(0, items, size=(rows, items))
        draws += np.arange(rows)[:, None] * items  # one bincount for all rows
        weights = np.bincount(draws.ravel(), minlength=rows * items).reshape(rows, items).astype(np.float64)
        scores += [statistic.of_sums(weights[part] @ statistic.items) for part in _slices(rows, columns)]
    return np.concatenate(scores)


def _randomisation(first: Statistic, second: Statistic, difference: float, resamples: int, seed: int) -> float | None:
    ours, theirs = first.items, second.items
    if not (isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray)) or ours.shape != theirs.shape:
        return None
    generator = np.random.default_rng(seed)
    ours_sum, theirs_sum, gap = ours.sum(axis=0), theirs.sum(axis=0), theirs - ours
    found = []
    for drawn in _slices(resamples, len(ours)):
        moved = generator.integers(0, 2, size=(drawn.stop - drawn.start, len(ours))).astype(np.float64) @ gap
        found.append(first.of_sums(ours_sum + moved) - second.of_sums(theirs_sum - moved))
    return _tail(np.concatenate(found), difference)


def _tail(differences: Floats, difference: float) -> float:
    # the observed arrangement counts as one of them, so p is never 0; the tolerance keeps exact ties in
    beyond = np.abs(differences) >= abs(difference) - 1e-12
    return float((beyond.sum() + 1) / (len(differences) + 1))


def _slices(rows: int, columns: int) -> Iterator[slice]:
    """Cut `rows` so that no part holds more than MAX_CELLS cells."""
    size = max(1, MAX_CELLS // columns)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))
