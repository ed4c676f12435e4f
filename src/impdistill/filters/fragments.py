"""The compiled kernel of Density: shared fragments of all ordered pairs of sentences, from word ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def compiled(function: Kernel) -> Kernel:
    """Compile to machine code on the first call, and keep the result on disk where there is a place for it."""
    try:
        return cast(Kernel, numba.njit(cache=True)(function))
    except RuntimeError:  # neither the package's folder nor $NUMBA_CACHE_DIR nor the user's cache can be written
        return cast(Kernel, numba.njit(function))


@compiled
def squared_fragments(flat: NDArray[np.int32], starts: NDArray[np.int64], distinct: int) -> NDArray[np.int64]:
    """Sum of squared lengths of the greedy fragments of y shared with x, (n, n) int64, `[x, y]`.

    Args:
        flat: word ids of all sentences, one after the other.
        starts: (n + 1,) where each sentence starts in `flat`.
        distinct: ids lie in [0, distinct).
    """
    n = len(starts) - 1
    squares = np.zeros((n, n), dtype=np.int64)
    # occurrences of a word in x, as a list linked through `later`: first[word] -> position -> later[position] -> ...
    first = np.full(distinct, -1, dtype=np.int64)
    later = np.empty(len(flat), dtype=np.int64)
    for x in range(n):
        x_start, x_end = starts[x], starts[x + 1]
        for position in range(x_end - 1, x_start - 1, -1):
            later[position] = first[flat[position]]
            first[flat[position]] = position
        for y in range(n):
            y_end = starts[y + 1]
            i = starts[y]
            while i < y_end:
                longest = 0
                j = first[flat[i]]
                while j >= 0:
                    length = 1
                    while i + length < y_end and j + length < x_end and flat[i + length] == flat[j + length]:
                        length += 1
                    longest = max(longest, length)
                    j = later[j]
                squares[x, y] += longest * longest
                i += max(longest, 1)
        for position in range(x_start, x_end):
            first[flat[position]] = -1
    return squares
