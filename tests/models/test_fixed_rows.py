"""Rows in fixed buffers compute what the model computes for the whole texts, and their step is one that a GPU can record."""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import PreTrainedModel

from impdistill.models import fixed_rows as module
from impdistill.models import rows as rows_module
from impdistill.models.fixed_rows import Arena, Capacity, FixedRows
from impdistill.models.shared_attention import ROOM
from tests.decode.toys import toy_model
from tests.models.test_rows import KINDS, PREFIXES, STEPS, check_against_whole_texts, model_of

SHARING = [kind for kind, shares in KINDS.items() if shares]


@torch.no_grad()
def opened(
    model: PreTrainedModel, counts: list[int], prefixes: list[list[int]] = PREFIXES, new_tokens: int = STEPS
) -> tuple[FixedRows, Tensor]:
    cache, mask, owner, logits = rows_module._encode(model, prefixes, counts)
    return FixedRows(model, cache, mask, owner, new_tokens), logits.index_select(0, owner)


@pytest.mark.parametrize("kind", SHARING)
def test_logits_are_those_of_the_whole_texts(kind: str) -> None:
    model = model_of(kind)
    rows, logits = opened(model, [3, 2, 4])
    check_against_whole_texts(model, rows, logits, [3, 2, 4])


@pytest.mark.parametrize("kind", SHARING)
def test_the_probe_accepts_what_it_accepts_of_shared_rows(kind: str) -> None:
    assert rows_module.can_share(model_of(kind), fixed=True)


def test_nothing_is_left_of_the_batch_before() -> None:
    model = model_of("llama")
    before, _ = opened(model, [3, 2, 4], [[2 + place % 8 for place in range(50)], [4, 5], [3] * 40])
    with torch.no_grad():
        for _ in range(ROOM + 2):
            before.step(torch.full((9,), 9))
    rows, logits = opened(model, [3, 2, 4])
    assert rows._arena is before._arena
    check_against_whole_texts(model, rows, logits, [3, 2, 4])


def test_shapes_follow_from_the_batch_alone() -> None:
    model = model_of("gpt2")
    first, _ = opened(model, [1, 1, 1])
    larger, _ = opened(model, [2, 2, 2])
    assert larger._arena.capacity == Capacity(prefixes=3, prefix_tokens=128, rows=6, rows_of_prefix=2, new_tokens=3 * ROOM)
    again, logits = opened(model, [3, 2, 4])
    check_against_whole_texts(model, again, logits, [3, 2, 4])
    assert opened(model, [1, 1, 1])[0]._arena.capacity == first._arena.capacity


class NothingForTheHost(TorchDispatchMode):
    """Fails where an operation would make a GPU wait for Python, or where the shape of its answer depends on data."""

    WAITING = ("_local_scalar_dense", "nonzero", "bincount", "unique", "masked_select", "is_nonzero", "equal")

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.removeprefix("aten::")
        assert not name.startswith(self.WAITING), name
        assert not (name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1])), name
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", SHARING)
def test_a_step_asks_nothing_of_the_host(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = opened(model_of(kind), [3, 2, 4])
    with torch.no_grad():
        rows.step(torch.full((9,), 5))
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)  # transformers then skips its warnings
        with NothingForTheHost():
            rows._arena.forward(9, ROOM)
        with pytest.raises(AssertionError, match="_local_scalar_dense"), NothingForTheHost():
            bool(rows._arena.room[0] == 0)


class Recording(TorchDispatchMode):
    """What a CUDA graph is, on a CPU: the operations of a step, to be repeated on the same memory, without Python in between."""

    def __init__(self, arena: Arena, rows: int, new_tokens: int) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        assert arena.logits is not None
        changing = (arena.positions, arena.place, arena.room, arena.logits, *arena.keys, *arena.values)
        before = [buffer.clone() for buffer in changing]
        with self:
            arena.forward(rows, new_tokens)
        for buffer, contents in zip(changing, before, strict=True):  # a GPU records without carrying out
            buffer.copy_(contents)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for function, args, kwargs, result in self.calls:
            for old, new in zip(tree_leaves(result), tree_leaves(function(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.mark.parametrize("kind", SHARING)
def test_recorded_steps_answer_for_what_is_in_the_buffers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[Recording] = []

    def record(arena: Arena, rows: int, new_tokens: int) -> Recording:
        arena._graphs[rows, new_tokens] = graph = Recording(arena, rows, new_tokens)  # type: ignore[assignment]
        recorded.append(graph)
        return graph

    monkeypatch.setattr(Arena, "_recorded", record)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    model = model_of(kind)
    for shapes in (6, 0):  # the second batch goes through the graphs of the first
        rows, logits = opened(model, [3, 2, 4])
        rows._arena._records = True
        check_against_whole_texts(model, rows, logits, [3, 2, 4])
        assert len(recorded) == shapes
        recorded.clear()


@pytest.mark.skipif(torch.cuda.is_available(), reason="checks what happens where no graph can be recorded")
def test_without_graphs_the_step_runs_as_it_is() -> None:
    model = model_of("llama")
    rows, logits = opened(model, [3, 2, 4])
    rows._arena._records = True
    with pytest.warns(UserWarning, match="decoding without CUDA graphs, since a step could not be recorded: "):
        check_against_whole_texts(model, rows, logits, [3, 2, 4])
    with warnings.catch_warnings():  # tried once a model
        warnings.simplefilter("error")
        check_against_whole_texts(model, *opened(model, [3, 3, 4]), [3, 3, 4])


def test_an_arena_goes_with_its_model() -> None:
    model = toy_model("llama")
    arena = weakref.ref(opened(model, [1, 1, 1])[0]._arena)
    assert arena() is module._ARENAS[model]
    del model
    gc.collect()
    assert arena() is None
