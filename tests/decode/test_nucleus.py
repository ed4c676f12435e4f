"""Sampled continuations: equal to sampling them one by one, stopped at their sentence, independent of everything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from impdistill.decode import nucleus as nucleus_module
from impdistill.decode.nucleus import Continuation, Nucleus, sample_continuations
from impdistill.errors import ModelError, TextError
from impdistill.models import rows as rows_module
from impdistill.models.fixed_rows import FixedRows
from impdistill.models.memory import taken
from impdistill.models.rows import Rows
from impdistill.models.teacher import Teacher
from tests.decode.toy_teachers import plain_continuation, toy_teacher

NUCLEUS = Nucleus(top_p=0.9, temperature=1.1, max_new_tokens=24)
PREFIXES = ["The cat", "A dog and then it sat.", "The U.S"]
KEYS = [(4, 0), (2**40, 1), (4, 3)]


def sampled(teacher: Teacher, samples: int = 12, stage: str = "pools", max_rows: int = 800) -> list[list[Continuation]]:
    return sample_continuations(
        teacher, PREFIXES, keys=KEYS, samples=samples, sentences=[1, 2, 1], nucleus=NUCLEUS, seed=5, stage=stage, max_rows=max_rows
    )


@pytest.mark.parametrize("kind", ["llama", "gpt2", "biogpt", "ctrl", "bloom"])
def test_equal_to_sampling_one_by_one(kind: str) -> None:
    teacher = toy_teacher(kind)
    found = sampled(teacher)
    for prefix, (context, attempt), sentences, continuations in zip(PREFIXES, KEYS, [1, 2, 1], found, strict=True):
        for sample, continuation in enumerate(continuations):
            plain = plain_continuation(teacher, prefix, context, attempt, sample, sentences, NUCLEUS, 5, "pools")
            assert continuation == plain
            assert continuation.log_probability == pytest.approx(plain.log_probability, abs=1e-4)
    every = [continuation for pool in found for continuation in pool]
    assert {continuation.finished for continuation in every} == {True, False}
    assert len({continuation.token_count for continuation in every}) > 5


@pytest.mark.parametrize("max_rows", [1, 7, 12, 20])
def test_texts_do_not_depend_on_what_is_decoded_together(max_rows: int) -> None:
    teacher = toy_teacher()
    assert sampled(teacher, max_rows=max_rows) == sampled(teacher)


def test_texts_depend_on_their_key_and_stage_only() -> None:
    teacher = toy_teacher()
    torch.manual_seed(1)
    first = sampled(teacher)
    torch.manual_seed(2)
    torch.rand(3)
    assert sampled(teacher) == first
    assert [pool[:5] for pool in first] == sampled(teacher, samples=5)
    assert sampled(teacher, stage="sources") != first


def test_the_end_of_text_is_never_sampled() -> None:
    teacher = toy_teacher()
    with torch.no_grad():
        teacher.model.get_output_embeddings().weight[0] *= 0
        teacher.model.get_output_embeddings().weight[0] += 3 * teacher.model.get_output_embeddings().weight[4]
    assert all(continuation.text for pool in sampled(teacher) for continuation in pool)


def test_a_prefix_beyond_the_models_positions_is_an_error() -> None:
    with pytest.raises(TextError, match="41 tokens and 24 new ones exceed the 64 positions"):
        sample_continuations(toy_teacher(), ["cat " * 41], keys=[(0, 0)], samples=1, sentences=[1], nucleus=NUCLEUS, seed=0, stage="pools")


class ScarceRows:
    """Rows on a device with room for so many of them after their first token."""

    def __init__(self, rows: Rows, count: int, room: int) -> None:
        self.rows, self.count, self.room = rows, count, room

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.count > self.room:
            raise torch.OutOfMemoryError
        return self.rows.step(tokens)

    def keep(self, rows: torch.Tensor) -> None:
        self.rows.keep(rows)


def test_out_of_memory_halves_batches_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = toy_teacher()
    whole = sampled(teacher)
    assert taken(teacher.notes) == ()
    room = 10
    real = nucleus_module.open_rows

    def open_scarce(model: PreTrainedModel, prefixes: list[list[int]], counts: list[int], most: int) -> tuple[ScarceRows, torch.Tensor]:
        rows, logits = real(model, prefixes, counts, most)
        return ScarceRows(rows, sum(counts), room), logits

    monkeypatch.setattr(nucleus_module, "open_rows", open_scarce)
    assert sampled(teacher) == whole
    halvings = [f"sampling: out of memory at {rows} rows; batches of {rows // 2} now" for rows in (36, 18)]
    assert taken(teacher.notes) == tuple(halvings)
    assert taken(teacher.notes) == ()
    room = 0
    with pytest.raises(ModelError, match="sampling: no memory left for a single row"):
        sampled(teacher)


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(nucleus_module, "open_rows", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        sampled(toy_teacher())


def test_rows_of_fixed_size_write_the_same_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sampled(toy_teacher())

    def open_fixed(model: PreTrainedModel, prefixes: list[list[int]], counts: list[int], most: int) -> tuple[FixedRows, torch.Tensor]:
        cache, mask, owner, logits = rows_module._encode(model, prefixes, counts)
        return FixedRows(model, cache, mask, owner, most), logits.index_select(0, owner)

    monkeypatch.setattr(nucleus_module, "open_rows", open_fixed)
    assert sampled(toy_teacher()) == whole


def test_nothing_in_nothing_out() -> None:
    assert sample_continuations(toy_teacher(), [], keys=[], samples=3, sentences=[], nucleus=NUCLEUS, seed=0, stage="pools") == []


@pytest.mark.parametrize("change", [{"top_p": 0.0}, {"top_p": 1.1}, {"temperature": 0.0}, {"max_new_tokens": 0}])
def test_settings_out_of_range_are_errors(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="are needed"):
        replace(NUCLEUS, **change)


def test_a_real_teacher_in_both_number_formats(shared: Path) -> None:
    prefixes = ["<|endoftext|>News: The senator spoke today.", "<|endoftext|>Reddit: I bought a new phone last week."]
    nucleus = Nucleus(top_p=0.9, max_new_tokens=32)
    pools = {}
    for dtype in ("float32", "bfloat16"):
        teacher = Teacher.load(str(shared / "models" / "teacher"), device="cpu", dtype=dtype)
        arguments = {"keys": [(0, 0), (1, 0)], "sentences": [1, 1], "nucleus": nucleus, "seed": 0, "stage": "pools"}
        pools[dtype] = sample_continuations(teacher, prefixes, samples=40, **arguments)
        if dtype == "float32":
            for prefix in range(2):
                assert pools[dtype][prefix][7] == plain_continuation(teacher, prefixes[prefix], prefix, 0, 7, 1, nucleus, 0, "pools")
    for exact, rough in zip(pools["float32"], pools["bfloat16"], strict=True):
        lengths = [torch.tensor([float(each.token_count) for each in pool]) for pool in (exact, rough)]
        standard_error = (lengths[0].var() / 20).sqrt()
        assert abs(lengths[0].mean() - lengths[1].mean()) < 3 * standard_error
        assert abs(sum(each.finished for each in exact) - sum(each.finished for each in rough)) < 10
