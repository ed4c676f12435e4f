"""What a good pair is: a task is its chain of filters, the groups its pairs fall into, and an instruction for each group.

Knows nothing of decoding, files or training. The five groups and their borders are those of Jung et al. 2023, appendix A.3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from impdistill.errors import RecipeError
from impdistill.filters.funnel import Filter


@dataclass(frozen=True, slots=True)
class Group:
    """One control class: pairs whose compression and similarity lie in half-open intervals, and the instruction put before x.

    Attributes:
        name: e.g. "short-abstractive".
        instruction: what the student reads before x, trailing space included.
        compression: (lo, hi), lo <= |y| / |x| < hi in words.
        similarity: (lo, hi), lo <= max(normalised Density, ROUGE-L) < hi; nothing is above 1, and an interval that ends there includes it.
    """

    name: str
    instruction: str
    compression: tuple[float, float] = (0.0, math.inf)
    similarity: tuple[float, float] = (0.0, math.inf)

    def contains(self, compression: NDArray[np.float64], similarity: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of n pairs belong here, (n,) bool from two (n,) arrays."""
        inside: NDArray[np.bool_] = (
            (self.compression[0] <= compression)
            & (compression < self.compression[1])
            & (self.similarity[0] <= similarity)
            & ((similarity < self.similarity[1]) | (self.similarity[1] >= 1))
        )
        return inside


@dataclass(frozen=True, slots=True)
class Task:
    """What a good pair (x, y) is.

    Attributes:
        name: e.g. "summary".
        filters: the chain, in the order in which drops are counted. Cheap filters first; a diversity filter, which looks at what
            the others kept, last. Each has a name of its own.
        groups: must not overlap; a kept pair outside all of them is counted and left out of the dataset.
    """

    name: str
    filters: tuple[Filter, ...]
    groups: tuple[Group, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.filters]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise RecipeError(f"task {self.name}: two filters are called {twice!r}, and drops are counted by name; rename one")

    def group_of(self, compression: NDArray[np.float64], similarity: NDArray[np.float64]) -> NDArray[np.int64]:
        """Index into `groups` of each of n pairs, (n,); -1 where a pair is in none."""
        found = np.full(len(compression), -1, dtype=np.int64)
        for index, group in enumerate(self.groups):
            found[group.contains(compression, similarity) & (found < 0)] = index
        return found


def instructions(tasks: Sequence[Task]) -> Mapping[str, str]:
    """Group name -> instruction, over all tasks, in order."""
    return {group.name: group.instruction for task in tasks for group in task.groups}


def borders(tasks: Sequence[Task]) -> dict[str, dict[str, tuple[float, float | None]]]:
    """Group name -> "compression" and "similarity" -> (lo, hi) in JSON's numbers, None for no upper end; over all tasks."""
    return {
        group.name: {
            axis: (low, None if math.isinf(high) else high)
            for axis, (low, high) in (("compression", group.compression), ("similarity", group.similarity))
        }
        for task in tasks
        for group in task.groups
    }
