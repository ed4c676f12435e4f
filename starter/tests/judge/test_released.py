"""The judge and the embedder that are shipped: files, size, and that they work."""

import json

import numpy as np
import pytest
from model2vec import StaticModel
from safetensors import safe_open

from impdistill_starter import UnknownModelError, path
from recipe.embedder.distill import ranks_meaning
from recipe.judge.pairs import LABELS, LabelledPair
from recipe.judge.score import logits, probabilities


@pytest.fixture(scope="module")
def judge():
    try:
        return path("judge")
    except UnknownModelError:
        pytest.skip("no judge in this distribution: build it with recipe.judge")


def test_judge_files_are_small_plain_and_bfloat16(judge) -> None:
    assert sum(file.stat().st_size for file in judge.iterdir()) <= 46_000_000
    config = json.loads((judge / "config.json").read_text(encoding="utf-8"))
    assert set(config["id2label"].values()) == set(LABELS)
    with safe_open(judge / "model.safetensors", "pt") as tensors:
        assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"BF16"}  # noqa: SIM118


@pytest.mark.parametrize(
    ("premise", "entailed", "not_entailed"),
    [
        ("The committee approved the new budget on Tuesday.", "The committee approved the budget.", "The committee rejected the budget."),
        ("In 2004, two men stole a red car in Denver.", "Two men stole a car.", "Three men stole a red car in Denver."),
        ("My brother bought an old house near the river.", "My brother bought a house.", "My sister bought an old house."),
    ],
)
def test_judge_tells_plain_cases_apart(judge, premise: str, entailed: str, not_entailed: str) -> None:
    pairs = [LabelledPair(premise, hypothesis, "neutral", "x") for hypothesis in (entailed, not_entailed)]
    high, low = probabilities(logits(judge, pairs))[:, LABELS.index("entailment")]
    assert high > 0.85 > low  # where the starter recipe draws the line


def test_embedder_is_small_and_ranks_meaning() -> None:
    try:
        folder = path("embedder")
    except UnknownModelError:
        pytest.skip("no embedder in this distribution: build it with recipe.embedder")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12_000_000
    model = StaticModel.from_pretrained(folder)
    assert ranks_meaning(model)
    assert np.isfinite(model.encode(["The senator spoke."])).all()
