"""What filters share that ask whether a sentence holds nothing that the other does not: one way, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from impdistill.errors import RecipeError
from impdistill.filters.scores import Pairs

T = TypeVar("T")
Direction: TypeAlias = Literal["y in x", "both"]


def check_direction(filter_name: str, direction: str) -> None:
    """Raises `RecipeError` if it is none."""
    if direction not in ("y in x", "both"):
        raise RecipeError(f"{filter_name}: direction {direction!r}; use 'y in x' or 'both'")


def supported(found: Sequence[T], pairs: Pairs, supports: Callable[[T, T], bool], direction: Direction) -> NDArray[np.bool_]:
    """Of m pairs, whether x supports y, (m,); for "both" also whether y supports x.

    Args:
        found: of n sentences, what they hold.
        pairs: (m, 2) indices of x and y.
        supports: whether what x holds, the first argument, supports what y holds.
    """
    matrix = np.array([[supports(x, y) for y in found] for x in found], dtype=bool).reshape(len(found), len(found))
    kept: NDArray[np.bool_] = matrix[pairs[:, 0], pairs[:, 1]]
    return kept & matrix[pairs[:, 1], pairs[:, 0]] if direction == "both" else kept
