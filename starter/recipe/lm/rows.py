"""Packed rows on their way into a model: which rows a step reads, and what a row's tokens may see.

Row order is a pure function of (seed, epoch), so a step's number is the whole position in the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recipe.lm.errors import RecipeError

IGNORED_LABEL = -100


@dataclass(frozen=True, slots=True)
class PackedRows:
    """`tokens` (rows, row_tokens) uint16 and `learn` (rows, row_tokens) bool, as `recipe.lm.pack` writes them."""

    tokens: npt.NDArray[np.uint16]
    learn: npt.NDArray[np.bool_]

    @classmethod
    def open(cls, *folders: Path) -> "PackedRows":
        """The rows of all folders, in this order; memory-mapped where it is one.

        Raises:
            RecipeError: a folder holds no packed rows, or rows of another length.
        """
        for folder in folders:
            if not (folder / "tokens.npy").exists():
                raise RecipeError(f"{folder}: no packed rows; write them with python -m recipe.lm.pack")
        found = [(np.load(folder / "tokens.npy", mmap_mode="r"), np.load(folder / "learn.npy", mmap_mode="r")) for folder in folders]
        if len({tokens.shape[1] for tokens, _ in found}) > 1:
            raise RecipeError(f"rows of different length in {', '.join(map(str, folders))}; pack them with one --row-tokens")
        if len(found) == 1:
            return cls(*found[0])
        return cls(np.concatenate([tokens for tokens, _ in found]), np.concatenate([learn for _, learn in found]))

    def target_count(self, rows: npt.NDArray[np.int64]) -> int:
        """How many tokens of `rows` a causal model is asked to predict: its first token never is."""
        return int(self.learn[np.sort(rows)][:, 1:].sum())

    def micro_batches(self, rows: npt.NDArray[np.int64], micro_rows: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
        """Model inputs for `rows`, `micro_rows` at a time, on `device`."""
        for start in range(0, len(rows), micro_rows):
            chosen = np.sort(rows[start : start + micro_rows])  # in file order: the arrays are memory-mapped
            yield masked_rows(
                torch.from_numpy(self.tokens[chosen].astype(np.int64)).to(device), torch.from_numpy(self.learn[chosen]).to(device)
            )


def rows_of_step(step: int, rows: int, rows_per_step: int, seed: int) -> npt.NDArray[np.int64]:
    """Which of `rows` rows step `step` reads, (rows_per_step,): the epochs' orders end to end, none lost at a border."""
    places = np.arange(step * rows_per_step, (step + 1) * rows_per_step)
    orders = {epoch: np.random.default_rng((seed, epoch)).permutation(rows) for epoch in sorted({int(p) // rows for p in places})}
    return np.array([orders[int(place) // rows][int(place) % rows] for place in places])


def masked_rows(tokens: Tensor, learn: Tensor) -> dict[str, Tensor]:
    """Inputs of a transformers causal model for packed rows: `tokens` (B, T) int64, `learn` (B, T) bool.

    Positions restart at each document, and a token sees only its own document up to itself: the mask (B, 1, T, T) is added to
    attention scores, 0 where a token looks and minus infinity elsewhere, in bf16 as autocast computes them.
    """
    starts_here = tokens == 0
    documents = starts_here.cumsum(1)  # (B, T)
    index = torch.arange(tokens.shape[1], device=tokens.device)
    starts = torch.where(starts_here, index, 0).cummax(1).values  # (B, T)
    visible = (documents[:, :, None] == documents[:, None, :]) & (index[:, None] >= index[None, :])  # (B, T, T)
    return {
        "input_ids": tokens,
        "position_ids": index - starts,
        "attention_mask": torch.where(visible, 0.0, -torch.inf).to(torch.bfloat16)[:, None],
        "labels": tokens.masked_fill(~learn, IGNORED_LABEL),
    }
