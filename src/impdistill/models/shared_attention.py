"""Attention of many rows to a prefix that several of them share, whose keys and values are stored once.

Registered with transformers as one more attention implementation, so that every model that goes through its attention interface
(Llama, GPT-2, BioGPT, CTRL and most others) can use it. The new tokens' keys lie in a `SuffixCache`, a row each; the prefix's
keys come with the model's call as `shared_prefix`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "impdistill_shared_prefix"
ROOM = 16
"""A row's cache grows by this many tokens at a time, so that it is copied seldom."""


@dataclass(slots=True)
class SharedPrefix:
    """Keys and values of n prefixes, and which of the b rows goes on from which.

    Attributes:
        keys: a layer each, (n, key heads, longest prefix, width). values: likewise. hidden: (n, 1, 1, longest), added to
        scores: -inf where a shorter prefix is padded, else 0; None if all are equally long. slots: (n * most rows of a
        prefix,): the row in each place of the grid prefixes x rows; spare places repeat row 0. places: (b,): each row's place
        in that grid. room: (t,), (b, 1, 1, 1, t) or (b, 1, 1, q, t), added to the scores of a row's own tokens: 0 where it (or its q-th new
        token) may look, -inf at padding, at later tokens, and in the room ahead of them in the cache.
    """

    keys: list[Tensor]
    values: list[Tensor]
    hidden: Tensor | None
    slots: Tensor
    places: Tensor
    room: Tensor


class SuffixLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of the new tokens of b rows, with room ahead.

    The whole buffers are handed out, room included: a view of the filled part is not contiguous, and a product with it is
    several times slower. `SharedPrefix.room` hides the rest.
    """

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        if end > self.keys.shape[2]:
            more = (0, 0, 0, with_room(end) - self.keys.shape[2])
            self.keys, self.values = pad(self.keys, more), pad(self.values, more)
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys, self.values

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these."""
        if self.is_initialized:
            self.keys, self.values = self.keys.index_select(0, rows), self.values.index_select(0, rows)

    def get_seq_length(self) -> int:
        return self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_max_length(self) -> int:
        return -1


class SuffixCache(Cache):
    """The cache that goes with `shared_prefix_attention`; one `SuffixLayer` a layer of the model."""

    def __init__(self, layers: int) -> None:
        self._suffixes = [SuffixLayer() for _ in range(layers)]
        super().__init__(layers=list(self._suffixes))

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these, (m,) int64."""
        for layer in self._suffixes:
            layer.keep(rows)

    def room(self, model: PreTrainedModel) -> Tensor:
        """`SharedPrefix.room` for the next token of rows without padding, (t,)."""
        length = self.get_seq_length() + 1
        room = torch.full((with_room(length),), -torch.inf, dtype=model.dtype, device=model.device)
        room[:length] = 0
        return room


def with_room(length: int) -> int:
    """How many tokens the buffers of a row hold that has so many."""
    return -(-length // ROOM) * ROOM


def grid_of(owner: Tensor, prefixes: int, most: int) -> tuple[Tensor, Tensor]:
    """`SharedPrefix.slots` and `.places` of rows that go on from the prefixes `owner` (b,), at most `most` from each."""
    counts = owner.bincount(minlength=prefixes)
    first = counts.cumsum(0) - counts
    rows = torch.arange(len(owner), device=owner.device)
    places = owner * most + rows - first.index_select(0, owner)
    slots = torch.zeros(prefixes * most, dtype=torch.int64, device=owner.device)
    slots[places] = rows
    return slots, places


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    shared_prefix: SharedPrefix,
    scaling: float | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """The q newest tokens of each row attend to its prefix and to its own new tokens; the two answers are merged by their shares.

    Args:
        module: the attention layer; its `layer_idx` says which.
        query: (b, heads, q, width).
        key: of the row's new tokens, (b, key heads, t, width); heads is a multiple of key heads.
        value: likewise.
        attention_mask: always None.
        shared_prefix: see there.
        scaling: of the scores; None is width ** -0.5.
        unused: what other implementations take.

    Returns:
        (b, q, heads, width), and no weights.
    """
    rows, heads, count, width = query.shape
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    prefix_keys, prefix_values = shared_prefix.keys[layer], shared_prefix.values[layer]
    prefixes, key_heads, _, _ = prefix_keys.shape
    group = heads // key_heads * count  # questions that meet the same keys
    scaling = width**-0.5 if scaling is None else scaling

    def by_row(states: Tensor) -> Tensor:  # (n, key heads, rows of a prefix * group, k) -> (b, key heads, group, k)
        grid = states.view(prefixes, key_heads, -1, group, states.shape[-1]).transpose(1, 2)
        return grid.reshape(-1, key_heads, group, states.shape[-1]).index_select(0, shared_prefix.places)

    # 1. To the prefix: all rows of a prefix in one product.
    question = query.reshape(rows, key_heads, group, width)
    grid = question.index_select(0, shared_prefix.slots).view(prefixes, -1, key_heads, group, width)
    together = grid.transpose(1, 2).reshape(prefixes, key_heads, -1, width)
    scores = torch.matmul(together, prefix_keys.transpose(2, 3)).float() * scaling  # (n, key heads, rows * group, prefix)
    if shared_prefix.hidden is not None:
        scores += shared_prefix.hidden
    prefix_answer, prefix_sum = _mean(scores, prefix_values)  # (n, key heads, rows * group, width)

    # 2. To the row's own tokens.
    scores = torch.matmul(question, key.transpose(2, 3)).float() * scaling  # (b, key heads, group, t)
    scores = (scores.view(rows, key_heads, -1, count, key.shape[2]) + shared_prefix.room).view(scores.shape)
    own_answer, own_sum = _mean(scores, value)  # (b, key heads, group, width)

    # 3. One softmax over both is the mean of the two, weighted by the sums of exponentials.
    share = (by_row(prefix_sum) - own_sum).sigmoid().to(value.dtype)
    return own_answer.lerp(by_row(prefix_answer), share).view(rows, heads, count, width).transpose(1, 2), None


def _mean(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(scores) @ values, and the logarithm of the sum of exponentials, (..., 1); uses `scores` up."""
    highest = scores.amax(dim=-1, keepdim=True)
    weights = scores.sub_(highest).exp_()
    total = weights.sum(dim=-1, keepdim=True)
    return torch.matmul(weights.div_(total).to(values.dtype), values), highest + total.log()


ALL_ATTENTION_FUNCTIONS.register(NAME, shared_prefix_attention)


@contextmanager
def attending_to_shared_prefix(model: PreTrainedModel) -> Iterator[None]:
    """Let the model use `shared_prefix_attention`; its calls need `shared_prefix` and a `SuffixCache`."""
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
