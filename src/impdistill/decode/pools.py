"""Key/value caches of beam search that grow where they are.

transformers' dynamic cache copies all keys at every step; with the pools of twenty beams that is about an eighth of a small model's step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_ROOM = 1.5
"""A pool that is full moves to one this many times as long as what it must hold."""


class PoolLayer(DynamicLayer):
    """A `DynamicLayer` whose `keys` and `values`, (n, heads, slots, width), are the filled parts of longer tensors.

    Nothing that a layer has handed out ever changes: new slots are written behind the filled part by the layer that owns the longer
    tensors, and what else a layer does moves it to tensors of its own.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_initialized, self.device, self.dtype = True, keys.device, keys.dtype
        self.hold(keys, values)

    def hold(self, keys: Tensor, values: Tensor) -> None:
        """Go on from these; the next slots need longer tensors."""
        self.keys, self.values = keys, values
        self._pools: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        start = self.keys.shape[2]
        end = start + key_states.shape[2]
        if self._pools is None or end > self._pools[0].shape[2]:
            self._pools = _longer(self.keys, end), _longer(self.values, end)
        for pool, new in zip(self._pools, (key_states, value_states), strict=True):
            pool[:, :, start:end] = new
        self.keys, self.values = (pool[:, :, :end] for pool in self._pools)
        return self.keys, self.values

    def choose(self, slots: Tensor) -> None:
        """Keep the slots (n, m) only, in this order."""
        index = slots[:, None, :, None]
        self.hold(torch.take_along_dim(self.keys, index, dim=2), torch.take_along_dim(self.values, index, dim=2))

    def batch_select_indices(self, indices: Tensor) -> None:
        self.hold(self.keys[indices], self.values[indices])


class PoolCache(DynamicCache):
    """A cache of `PoolLayer`s; takes over the keys and values of a dynamic one."""

    def __init__(self, cache: DynamicCache) -> None:
        super().__init__()
        held: list[Any] = cache.layers
        self._pools = [PoolLayer(layer.keys, layer.values) for layer in held]
        self.layers = list(self._pools)

    def fork(self) -> PoolCache:
        """An independent continuation; nothing is copied before it grows."""
        return PoolCache(self)

    def choose(self, slots: Tensor) -> None:
        """Keep the slots (n, m) only, in this order."""
        for layer in self._pools:
            layer.choose(slots)


def _longer(filled: Tensor, least: int) -> Tensor:
    n, heads, slots, width = filled.shape
    pool = filled.new_empty(n, heads, int(_ROOM * least), width)
    pool[:, :, :slots] = filled
    return pool
