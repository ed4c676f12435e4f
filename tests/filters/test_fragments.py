"""The compiled kernel where its machine code cannot be kept."""

from __future__ import annotations

import numba
import pytest

from impdistill.filters.fragments import compiled


def test_without_a_place_for_the_cache_it_is_compiled_all_the_same() -> None:
    """Of a function that is in no file numba has nowhere to put the code, as where no cache folder can be written."""
    scope: dict[str, object] = {}
    exec("def doubled(number):\n    return 2 * number\n", scope)
    doubled = scope["doubled"]
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(doubled)
    assert compiled(doubled)(21) == 42  # type: ignore[type-var, operator]
