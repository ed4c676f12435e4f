"""What to do when memory runs out: the same work in smaller batches, with a note, and nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from impdistill.errors import ModelError

T = TypeVar("T")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch means that memory ran out: a class of its own, or a bare `RuntimeError` of the CPU's or CUDA's own allocator."""
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in str(error) for words in ("can't allocate memory", "CUDA error: out of memory")
    )


def in_halving_batches(rows: Sequence[T], most: int, run: Callable[[Sequence[T]], None], notes: list[str], what: str) -> None:
    """Run over all rows in batches of at most `most`, half as many from where memory runs out.

    Args:
        run: takes a batch; what it does before it runs out of memory must not count.
        notes: gets a line for each halving: other batches mean other roundings.
        what: is done with a row, for the note: "sampling".

    Raises:
        ModelError: there is no memory for a single row.
    """
    done = 0
    while done < len(rows):
        batch = rows[done : done + most]
        if _fits(run, batch):
            done += len(batch)
            continue
        if len(batch) == 1:
            raise ModelError(f"{what}: no memory left for a single row; use a smaller model, fewer tokens or device cpu")
        most = len(batch) // 2
        notes.append(f"{what}: out of memory at {len(batch)} rows; batches of {most} now")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def taken(notes: list[str]) -> tuple[str, ...]:
    """The notes since the last call, for the manifest of the block in which they came up."""
    found = tuple(notes)
    notes.clear()
    return found


def _fits(run: Callable[[Sequence[T]], None], batch: Sequence[T]) -> bool:
    """The error's frames hold the tensors that filled the memory: they must be gone before the next attempt."""
    try:
        run(batch)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True
