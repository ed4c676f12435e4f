from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from impdistill.errors import ModelError
from impdistill.models.critic import Critic, fluent_column
from tests.models.tiny_judges import SENTENCES, bert, roberta, save

LABELS = {0: "garbled", 1: "fluent"}


@pytest.mark.parametrize("make", [bert, roberta])
def test_batches_answer_as_single_sentences_do(tmp_path: Path, make: object) -> None:
    model, tokenizer = make(LABELS)  # type: ignore[operator]
    critic = Critic.load(save(tmp_path / "critic", model, tokenizer), device="cpu", dtype="float32", max_batch_tokens=600)
    critic.max_batch_tokens = 60  # several batches, of sentences of different length
    with torch.inference_mode():
        alone = [model(**tokenizer(text, return_tensors="pt", truncation=True)).logits.softmax(1)[0, 1].item() for text in SENTENCES]
    found = critic.fluency(SENTENCES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, alone, atol=1e-5)
    assert np.ptp(found) > 0.05  # answers differ, so an order lost would show
    assert critic.fluency([]).shape == (0,)


class Scarce:
    """A model for which memory runs out above so many tokens a batch."""

    def __init__(self, model: Any, most_tokens: int, error: Callable[[], Exception]) -> None:
        self.model, self.most_tokens, self.error = model, most_tokens, error
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, **batch: torch.Tensor) -> Any:
        if batch["input_ids"].numel() > self.most_tokens:
            self.failures += 1
            raise self.error()
        return self.model(**batch)


def made() -> Critic:
    model, tokenizer = bert(LABELS)
    return Critic("made", model, tokenizer, fingerprint="")


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError, lambda: RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")],
)
def test_out_of_memory_halves_batches_and_loses_nothing(error: Callable[[], Exception]) -> None:
    critic = made()
    texts = SENTENCES * 8
    whole = critic.fluency(texts)
    scarce = Scarce(critic.model, 700, error)
    critic.max_batch_tokens = 2_048
    critic.model = scarce  # type: ignore[assignment]
    np.testing.assert_allclose(critic.fluency(texts), whole, atol=2e-6)
    assert scarce.failures == len(critic.notes) > 0
    assert critic.notes[0].startswith("critic: out of memory at ")
    critic.fluency(texts)
    assert scarce.failures == len(critic.notes)  # the smaller batches stay


def test_no_memory_for_one_sentence_is_an_error_that_says_so() -> None:
    critic = made()
    critic.model = Scarce(critic.model, 3, torch.OutOfMemoryError)  # type: ignore[assignment]
    with pytest.raises(ModelError, match="no memory left for a single row"):
        critic.fluency(SENTENCES)


def test_the_fluent_label_is_found_by_name() -> None:
    assert fluent_column("any", {0: "Acceptable", 1: "unacceptable"}) == 0
    assert fluent_column("any", {0: "generated", 1: "Well-formed"}) == 1


@pytest.mark.parametrize("labels", [{0: "LABEL_0", 1: "LABEL_1"}, {0: "fluent"}, {0: "fluent", 1: "natural"}])
def test_labels_that_do_not_tell_are_refused(labels: dict[int, str]) -> None:
    with pytest.raises(ModelError, match="id2label"):
        fluent_column("any", labels)
