"""One token for each of many rows from the nucleus of its distribution (Holtzman et al. 2020), without sorting the vocabulary.

The nucleus is the set of tokens such that all likelier ones together have less than `top_p`. A token drawn from all of them is
accepted if it is in the nucleus, which takes one sum; if not, neither is any token that is no likelier, and the draw is
repeated among the rest. So the accepted token has exactly the nucleus's distribution, at the cost of a few sums over the
vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from impdistill.errors import ModelError

_BLOCK = 64
"""Tokens of the vocabulary that are first added up: a cumulative sum over all of it is several times slower than a sum."""
_CELLS_AT_ONCE = 1 << 20
"""On a CPU so many cells of the table rows x vocabulary are worked on at a time, so that they stay in its cache."""


def draw(
    logits: Tensor, top_p: float, temperature: float, banned: Tensor, numbers: Callable[[Tensor, int], Tensor]
) -> tuple[Tensor, Tensor]:
    """A token for each row from its nucleus.

    Args:
        logits: (b, vocab), any floating type. top_p: in (0, 1]. temperature: > 0. banned: (m,) int64, tokens of probability 0.
        numbers: (rows (m,) int64, repetition from 0) -> (m,) numbers uniform in [0, 1); one call for every repetition that is
        needed.

    Returns:
        The tokens, (b,) int64, and their probabilities among all tokens, those outside the nucleus and banned ones too, (b,) float32.

    Raises:
        ModelError: a row's logits are not finite.
    """
    rows_at_once = max(1, _CELLS_AT_ONCE // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    tokens = torch.empty(len(logits), dtype=torch.int64, device=logits.device)
    probabilities = torch.empty(len(logits), device=logits.device)
    for start in range(0, len(logits), rows_at_once):
        rows = torch.arange(start, min(start + rows_at_once, len(logits)), device=logits.device)
        scores = logits[start : start + rows_at_once].float()
        if temperature != 1:
            scores = scores / temperature
        cells = scores.softmax(dim=1).index_fill_(1, banned, 0)
        cells = pad(cells, (0, -cells.shape[1] % _BLOCK)).view(len(rows), -1, _BLOCK)
        block_sums = cells.sum(dim=2)
        total = block_sums.sum(dim=1)
        if not bool(total.isfinite().all()):
            raise ModelError("the model's outputs are not finite numbers; load it in bfloat16 or float32")
        needed = total * top_p
        spare = total - needed
        repetition = 0
        while len(rows):
            # 1. A token from all that are left: first its block of the vocabulary, then its place there.
            sums = block_sums.cumsum(dim=1)
            targets = numbers(rows, repetition)[:, None].float() * sums[:, -1:]
            block = torch.searchsorted(sums, targets, right=True).clamp_(max=cells.shape[1] - 1)  # (m, 1)
            chosen = cells[torch.arange(len(rows), device=rows.device), block[:, 0]]  # (m, _BLOCK)
            targets -= sums.gather(1, block) - block_sums.gather(1, block)
            place = torch.searchsorted(chosen.cumsum(dim=1), targets, right=True).clamp_(max=_BLOCK - 1)
            tokens[rows] = (block * _BLOCK + place)[:, 0]
            weight = chosen.gather(1, place)
            probabilities[rows] = weight[:, 0]

            # 2. Surely in the nucleus if all other tokens together do not fill it; else the likelier ones are added up.
            unsure = (weight[:, 0] <= spare).nonzero()[:, 0]
            likelier = cells[unsure]
            likelier.masked_fill_(likelier <= weight[unsure, :, None], 0)
            outside = (likelier.sum(dim=2).sum(dim=1) >= needed[unsure]).nonzero()[:, 0]

            # 3. Again for the others, among the likelier tokens.
            again = unsure[outside]
            rows, cells, needed, spare, repetition = rows[again], likelier[outside], needed[again], spare[again], repetition + 1
            block_sums = cells.sum(dim=2)
    return tokens, probabilities
