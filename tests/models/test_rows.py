"""Rows that share their prefixes compute what the model computes for the whole texts."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedModel

from impdistill.models import rows as module
from impdistill.models.generative import with_cache
from impdistill.models.rows import ExpandedRows, Rows, SharedRows, can_share, few_sizes, open_rows, open_shared_rows
from impdistill.models.shared_attention import NAME, ROOM
from tests.decode.toys import toy_model

KINDS = {"llama": True, "gpt2": True, "biogpt": True, "ctrl": True, "bloom": False, "grouped": True, "windowed": False}
"""Whether each kind of model can share prefixes."""

PREFIXES = [[5, 6, 7, 8, 9], [3], [4, 2, 6]]
STEPS = 2 * ROOM + 3


def model_of(kind: str) -> PreTrainedModel:
    small = {"vocab_size": 10, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "initializer_range": 0.4}
    torch.manual_seed(0)
    if kind == "grouped":
        return LlamaForCausalLM(LlamaConfig(**small, num_attention_heads=4, num_key_value_heads=2)).eval()
    if kind == "windowed":
        return MistralForCausalLM(MistralConfig(**small, num_attention_heads=2, num_key_value_heads=1, sliding_window=4)).eval()
    return toy_model(kind)


@torch.no_grad()
def check_against_whole_texts(
    model: PreTrainedModel, rows: Rows, logits: torch.Tensor, counts: list[int], own: list[list[int]] | None = None
) -> None:
    """`own`: what every row has read since its prefix."""
    generator = torch.Generator().manual_seed(0)
    texts = [list(ids) for ids, count in zip(PREFIXES, counts, strict=True) for _ in range(count)]
    for text, ids in zip(texts, own or [[] for _ in texts], strict=True):
        text += ids
    for step in range(STEPS):
        right = torch.stack([model(input_ids=torch.tensor([text])).logits[0, -1] for text in texts])
        torch.testing.assert_close(logits, right, atol=2e-5, rtol=1e-4)
        if step in (4, 9, 20):  # the first time all of the middle prefix's rows go, then some, then all but one
            kept = {4: [row for row, text in enumerate(texts) if text[0] != 3], 9: [0, 2], 20: [1]}[step]
            rows.keep(torch.tensor(kept))
            texts = [texts[row] for row in kept]
        tokens = torch.randint(2, 10, (len(texts),), generator=generator)
        logits = rows.step(tokens)
        for text, token in zip(texts, tokens.tolist(), strict=True):
            text.append(token)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_whole_texts(kind: str) -> None:
    model = model_of(kind)
    rows, logits = open_rows(model, PREFIXES, [3, 2, 4])
    assert isinstance(rows, SharedRows if KINDS[kind] else ExpandedRows)
    check_against_whole_texts(model, rows, logits, [3, 2, 4])


@pytest.mark.parametrize("shortest", [1, 20])
@pytest.mark.parametrize("kind", [kind for kind, shares in KINDS.items() if shares])
@torch.no_grad()
def test_several_tokens_of_different_number_read_at_once(kind: str, shortest: int) -> None:
    model = model_of(kind)
    lengths = [shortest, 20, shortest, 19, 20, shortest, 20, 20]  # from 16 on a row's room grows while it is read
    generator = torch.Generator().manual_seed(1)
    own = [torch.randint(2, 10, (length,), generator=generator).tolist() for length in lengths]
    ids = torch.tensor([[7] * (20 - len(each)) + each for each in own])
    mask = torch.tensor([[0] * (20 - len(each)) + [1] * len(each) for each in own])
    rows, logits = open_shared_rows(model, PREFIXES, [3, 2, 3], ids, mask)
    check_against_whole_texts(model, rows, logits, [3, 2, 3], own)


@torch.no_grad()
def test_equally_many_tokens_read_at_once_need_no_filling() -> None:
    model = model_of("llama")
    own = [[4, 5], [6, 7], [8, 9], [3, 2]]
    rows, logits = open_shared_rows(model, PREFIXES, [2, 1, 1], torch.tensor(own), torch.ones(4, 2, dtype=torch.int64))
    check_against_whole_texts(model, rows, logits, [2, 1, 1], own)
    assert isinstance(rows, SharedRows)
    assert rows._filled is None


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_both_ways_agree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "can_share", lambda model: False)
    model = model_of(kind)
    rows, logits = open_rows(model, PREFIXES, [1, 5, 2])
    assert isinstance(rows, ExpandedRows)
    check_against_whole_texts(model, rows, logits, [1, 5, 2])


def test_a_prefix_is_held_once_however_many_rows_it_has() -> None:
    rows, _ = open_rows(toy_model("llama"), PREFIXES, [200, 200, 200])
    assert isinstance(rows, SharedRows)
    assert all(keys.shape[0] == len(PREFIXES) for keys in rows._keys)
    rows.step(torch.zeros(600, dtype=torch.int64))
    held = sum(layer.keys.shape[2] for layer in rows._cache._suffixes)
    assert held == 2 * ROOM  # of each row only its new tokens


def test_first_rows_may_be_retired_before_any_step() -> None:
    model = toy_model("llama")
    rows, logits = open_rows(model, PREFIXES, [2, 1, 1])
    rows.keep(torch.tensor([1, 3]))
    stepped = rows.step(torch.tensor([4, 5]))
    right = [model(input_ids=torch.tensor([text])).logits[0, -1] for text in ([*PREFIXES[0], 4], [*PREFIXES[2], 5])]
    torch.testing.assert_close(stepped, torch.stack(right), atol=2e-5, rtol=1e-4)
    assert logits.shape == (4, 10)


def test_the_model_is_left_as_it_was() -> None:
    model = toy_model("llama")
    before = model.config._attn_implementation
    rows, _ = open_rows(model, PREFIXES, [1, 1, 1])
    rows.step(torch.tensor([4, 5, 6]))
    assert model.config._attn_implementation == before != NAME
    model(input_ids=torch.tensor([[1, 2]]), **with_cache(model, DynamicCache(config=model.config)))


def test_whether_a_model_can_share_is_tried_once() -> None:
    model = toy_model("llama")
    assert can_share(model)
    model.forward = None  # type: ignore[assignment]
    assert can_share(model)


def test_few_sizes_are_few_and_little_larger() -> None:
    rounded = [few_sizes(size) for size in range(1, 1025)]
    assert all(size <= larger <= size * 9 / 8 for size, larger in enumerate(rounded, start=1))
    assert all(few_sizes(size) == size for size in rounded)
    assert len(set(rounded)) < 70
