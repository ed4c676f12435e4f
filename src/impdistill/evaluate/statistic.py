"""A score as a function of what its items contribute.

A mean, corpus BLEU, SARI and the entropy of n-grams are all functions of a sum over items of some vector: of (score, 1), of
matched and total n-grams, of n-gram counts. Kept in this form, every score can be computed again on any resample of the items
without looking at the text again, which is what intervals and tests need (bootstrap.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from impdistill.errors import BenchmarkError
from impdistill.evaluate.answers import Answers

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats: TypeAlias = NDArray[np.float64]
Direction = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """One score of one system on one benchmark.

    Attributes:
        name: as printed, e.g. "ROUGE-L".
        items: (n, k) contributions, dense or sparse.
        of_sums: turns r sums of contributions, (r, k), into r scores, (r,).
        direction: which way is better; "neither" for a property that has no good end.
        digits: decimals worth printing.
        note: what a reader needs to compute the same number: signature, model and layer, tokens.
        plug_in: the score grows with the number of different items (entropy, distinct-n), so that a resample, which repeats
            items, scores below the sample. Its interval is then centred on the score.
        most: the highest score there can be; None: there is no bound, or none that an interval could pass.
    """

    name: str
    items: Floats | csr_array
    of_sums: Callable[[Floats], Floats]
    direction: Direction = "higher"
    digits: int = 1
    note: str = ""
    plug_in: bool = False
    most: float | None = None

    def __len__(self) -> int:
        return int(self.items.shape[0])

    @property
    def value(self) -> float:
        """The score of all items together."""
        return float(self.of_sums(np.asarray(self.items.sum(axis=0), dtype=np.float64).reshape(1, -1))[0])


Metric: TypeAlias = Callable[[Answers], Sequence[Statistic]]
"""Reads answers, returns one or more scores. Metrics with parameters or models are functions that return one of these."""


def mean_of(
    name: str, values: ArrayLike, *, direction: Direction = "higher", digits: int = 1, note: str = "", weights: ArrayLike = 1.0
) -> Statistic:
    """The mean of a score per item, or with `weights` the ratio sum(values) / sum(weights).

    Args:
        values: (n,) finite numbers, one per item.
        weights: (n,) non-negative numbers. The score is 0 where they sum to 0.

    Raises:
        BenchmarkError: no item, or a value is not finite.
    """
    numerators = np.asarray(values, dtype=np.float64)
    if not len(numerators):
        raise BenchmarkError(f"{name}: nothing to average (0 items)")
    if not np.isfinite(numerators).all():
        raise BenchmarkError(f"{name}: the score of item {int(np.argmin(np.isfinite(numerators)))} is not a finite number")
    denominators = np.broadcast_to(np.asarray(weights, dtype=np.float64), numerators.shape)
    return Statistic(name, np.stack([numerators, denominators], axis=1), _ratio, direction, digits, note)


def _ratio(sums: Floats) -> Floats:
    return np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0)
