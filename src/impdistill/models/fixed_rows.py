"""Rows in buffers that stay where they are, so that a GPU can repeat a step without being told its kernels one by one.

A step of many small layers takes a GPU less time than it takes Python to ask for it. Here all that a step reads and writes lies in an
`Arena` that is kept from one batch to the next of the same shape: the new tokens, their positions, the keys and values of prefixes and
rows. So a step of so many rows is recorded once, as a CUDA graph, and from then on replayed. What it computes is what `SharedRows`
computes; shorter prefixes are hidden, not copied. Where a graph cannot be recorded, and on a CPU, the same step runs as it is.

The shapes of an arena follow from its batch alone, so that a text's last bits never depend on what was sampled before it. All
rows have room for all new tokens from the beginning: that is more memory than `SharedRows` take.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from impdistill.models.generative import logits_of
from impdistill.models.memory import is_out_of_memory
from impdistill.models.shared_attention import SharedPrefix, SuffixLayer, attending_to_shared_prefix, grid_of, with_room

_LEAST_PREFIX = 128
"""An arena's prefixes have so many places, or a power of two that is larger: most batches then have one shape."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an arena holds: prefixes, tokens of each, rows, rows of one prefix, and new tokens of a row."""

    prefixes: int
    prefix_tokens: int
    rows: int
    rows_of_prefix: int
    new_tokens: int


class _FixedLayer(SuffixLayer):  # type: ignore[no-untyped-call]
    """The arena's keys and values of one layer, of the first rows and tokens: a view, into which the newest token is written.

    Its `length` stays 0: positions are given with every call, and nothing else may depend on a number that a graph would freeze.
    """

    def __init__(self, keys: Tensor, values: Tensor, place: Tensor) -> None:
        super().__init__()
        self.keys, self.values, self._place = keys, values, place
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        self.keys.index_copy_(2, self._place, key_states)
        self.values.index_copy_(2, self._place, value_states)
        return self.keys, self.values


class Arena:
    """The buffers of a model, and the steps recorded on them."""

    def __init__(self, model: PreTrainedModel, cache: DynamicCache, capacity: Capacity) -> None:
        self.capacity = capacity
        self._model = weakref.ref(model)  # it is the key under which its arena is known: that must not keep it alive
        layers: list[Any] = cache.layers
        device, dtype = layers[0].keys.device, layers[0].keys.dtype
        self.device = device

        def buffers(states: Sequence[Tensor], first: int, tokens: int) -> list[Tensor]:
            return [torch.zeros(first, each.shape[1], tokens, each.shape[3], device=device, dtype=dtype) for each in states]

        keys, values = [layer.keys for layer in layers], [layer.values for layer in layers]
        self.prefix_keys = buffers(keys, capacity.prefixes, capacity.prefix_tokens)
        self.prefix_values = buffers(values, capacity.prefixes, capacity.prefix_tokens)
        self.hidden = torch.zeros(capacity.prefixes, 1, 1, capacity.prefix_tokens, device=device, dtype=dtype)
        self.keys = buffers(keys, capacity.rows, capacity.new_tokens)
        self.values = buffers(values, capacity.rows, capacity.new_tokens)
        self.tokens = torch.zeros(capacity.rows, 1, device=device, dtype=torch.int64)
        self.positions = torch.zeros_like(self.tokens)
        self.place = torch.zeros(1, device=device, dtype=torch.int64)  # of the newest token among a row's new ones
        self.room = torch.zeros(capacity.new_tokens, device=device, dtype=dtype)  # 0 up to `place`, -inf after it
        self.slots = torch.zeros(capacity.prefixes * capacity.rows_of_prefix, device=device, dtype=torch.int64)
        self.places = torch.zeros(capacity.rows, device=device, dtype=torch.int64)
        self.logits: Tensor | None = None  # (rows, vocab), made in the first step
        self._graphs: dict[tuple[int, int], torch.cuda.CUDAGraph | None] = {}
        self._pool: Any = None
        self._records = device.type == "cuda" and model not in _NOT_RECORDED

    def most(self, rows: int) -> int:
        """Rows of a prefix for which a step of so many rows has places."""
        return min(rows, self.capacity.rows_of_prefix)

    def step(self, rows: int, new_tokens: int) -> Tensor:
        """Read `tokens` of the first rows, whose new tokens, this one included, are fewer than or equal to `new_tokens`; (rows, vocab).

        A shape is run once, recorded the second time, and replayed from then on.
        """
        shape = rows, new_tokens
        if not self._records or shape not in self._graphs:
            self.forward(rows, new_tokens)
            self._graphs[shape] = None
        else:
            graph = self._graphs[shape] or self._recorded(rows, new_tokens)
            if graph is None:
                self.forward(rows, new_tokens)
            else:
                graph.replay()
        assert self.logits is not None
        return self.logits[:rows]

    def forward(self, rows: int, new_tokens: int) -> None:
        """The step itself: no copy from or to the host, no shape that depends on data, nothing new that outlives it but the logits."""
        model = self._model()
        assert model is not None
        own: list[Any] = [
            _FixedLayer(keys[:rows, :, :new_tokens], values[:rows, :, :new_tokens], self.place)
            for keys, values in zip(self.keys, self.values, strict=True)
        ]
        prefix = SharedPrefix(
            self.prefix_keys,
            self.prefix_values,
            self.hidden,
            self.slots[: self.capacity.prefixes * self.most(rows)],
            self.places[:rows],
            self.room[:new_tokens],
        )
        with attending_to_shared_prefix(model):
            logits = logits_of(
                model, input_ids=self.tokens[:rows], cache=Cache(layers=own), position_ids=self.positions[:rows], shared_prefix=prefix
            )[:, -1]
        if self.logits is None:
            self.logits = torch.empty(self.capacity.rows, logits.shape[1], device=self.device, dtype=logits.dtype)
        self.logits[:rows].copy_(logits)
        self.positions += 1
        self.place += 1
        self.room.index_fill_(0, self.place.clamp(max=self.capacity.new_tokens - 1), 0)

    def _recorded(self, rows: int, new_tokens: int) -> torch.cuda.CUDAGraph | None:
        """The step as a graph; None, now and from then on, where the model or the memory does not allow that."""
        model = self._model()
        assert model is not None
        try:
            with _on(self.device):
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=self._pool, stream=_stream(model), capture_error_mode="thread_local"):
                    self.forward(rows, new_tokens)
        except RuntimeError as error:
            self._records, self._graphs, self._pool = False, {}, None
            _NOT_RECORDED.add(model)
            if not is_out_of_memory(error):
                warnings.warn(f"decoding without CUDA graphs, since a step could not be recorded: {error}", stacklevel=2)
            return None
        self._graphs[rows, new_tokens] = graph
        return graph


@contextmanager
def _on(device: torch.device) -> Iterator[None]:
    """Record on this device, and leave its stream as it was: a recording that fails leaves its own as the current one."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device):
        stream = torch.cuda.current_stream()
        try:
            yield
        finally:
            torch.cuda.set_stream(stream)


_ARENAS: weakref.WeakKeyDictionary[PreTrainedModel, Arena] = weakref.WeakKeyDictionary()
"""One a model: that of its last batch."""

_STREAMS: weakref.WeakKeyDictionary[PreTrainedModel, torch.cuda.Stream] = weakref.WeakKeyDictionary()
"""Where a model's steps are recorded. Each has its own: with a stream go buffers of the matrix library, which are freed with a graph."""

_NOT_RECORDED: weakref.WeakSet[PreTrainedModel] = weakref.WeakSet()
"""Models of which a step could not be recorded."""


def _stream(model: PreTrainedModel) -> torch.cuda.Stream:
    if model not in _STREAMS:
        _STREAMS[model] = torch.cuda.Stream(model.device)  # type: ignore[no-untyped-call]
    return _STREAMS[model]


def arena_for(model: PreTrainedModel, cache: DynamicCache, needed: Capacity) -> Arena:
    """The model's arena, if it is of just this capacity; else a new one in its place."""
    if model not in _ARENAS or _ARENAS[model].capacity != needed:
        _ARENAS.pop(model, None)  # first, so that both need not fit into memory
        with torch.inference_mode(False):  # else nothing but inference mode could ever write into it
            _ARENAS[model] = Arena(model, cache, needed)
    return _ARENAS[model]


class FixedRows:
    """`Rows` in an arena. One at a time: opening others of the same model overwrites these."""

    def __init__(self, model: PreTrainedModel, cache: DynamicCache, mask: Tensor, owner: Tensor, new_tokens: int) -> None:
        """`cache`, `mask` (n, longest): of the prefixes. `owner` (b,): the prefix of each row. `new_tokens`: most of a row."""
        prefixes, longest = mask.shape
        needed = Capacity(
            prefixes=prefixes,
            prefix_tokens=max(_LEAST_PREFIX, 1 << (longest - 1).bit_length()),
            rows=len(owner),
            rows_of_prefix=int(owner.bincount().max()),
            new_tokens=with_room(new_tokens),
        )
        self._arena = arena = arena_for(model, cache, needed)
        self._model = model  # which the arena itself does not keep alive
        self._owner = owner
        self._length = 0
        layers: list[Any] = cache.layers
        for buffers, states in (
            (arena.prefix_keys, [layer.keys for layer in layers]),
            (arena.prefix_values, [layer.values for layer in layers]),
        ):
            for buffer, state in zip(buffers, states, strict=True):
                buffer[:prefixes, :, -longest:] = state
        arena.hidden.zero_()
        arena.hidden[:prefixes].fill_(-torch.inf)
        arena.hidden[:prefixes, 0, 0, -longest:].masked_fill_(mask == 1, 0)
        arena.positions[: len(owner), 0] = mask.sum(1).index_select(0, owner)
        arena.place.zero_()
        arena.room.fill_(-torch.inf)
        arena.room[0] = 0
        self._arrange()

    def step(self, tokens: Tensor) -> Tensor:
        self._arena.tokens[: len(tokens), 0] = tokens
        self._length += 1
        return self._arena.step(len(tokens), with_room(self._length))

    def keep(self, rows: Tensor) -> None:
        arena, count, room = self._arena, len(rows), with_room(self._length)
        self._owner = self._owner.index_select(0, rows)
        arena.positions[:count] = arena.positions.index_select(0, rows)
        for buffer in (*arena.keys, *arena.values):
            buffer[:count, :, :room] = buffer[:, :, :room].index_select(0, rows)
        self._arrange()

    def _arrange(self) -> None:
        arena, count = self._arena, len(self._owner)
        slots, places = grid_of(self._owner, arena.capacity.prefixes, arena.most(count))
        arena.slots[: len(slots)] = slots
        arena.places[:count] = places
