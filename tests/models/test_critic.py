from __future__ import annotations

from pathlib import Path

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


def test_the_fluent_label_is_found_by_name() -> None:
    assert fluent_column("any", {0: "Acceptable", 1: "unacceptable"}) == 0
    assert fluent_column("any", {0: "generated", 1: "Well-formed"}) == 1


@pytest.mark.parametrize("labels", [{0: "LABEL_0", 1: "LABEL_1"}, {0: "fluent"}, {0: "fluent", 1: "natural"}])
def test_labels_that_do_not_tell_are_refused(labels: dict[int, str]) -> None:
    with pytest.raises(ModelError, match="id2label"):
        fluent_column("any", labels)
