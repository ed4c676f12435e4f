"""Temperature, thresholds, reliability: against plain computations."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from recipe.judge.average import average
from recipe.judge.calibrate import expected_calibration_error, fit_temperature, fold_temperature, plot, reliability
from recipe.judge.errors import RecipeError
from recipe.judge.evaluate import by_kind, calibration_half, precision_recall, reported_half, three_way_accuracy, threshold_for
from recipe.judge.pairs import LABELS, LabelledPair
from recipe.judge.score import logits, probabilities
from recipe.judge.train import Schedule, Trainer, load_base, save_model


def test_the_temperature_is_the_lowest_that_is_precise_enough() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(40_000, 3)) * 5
    truth = generator.random(40_000) < probabilities(scores, 2.0)[:, LABELS.index("entailment")]
    found = fit_temperature(scores, truth)

    def precision(temperature: float) -> float:
        return float(truth[probabilities(scores, temperature)[:, LABELS.index("entailment")] >= 0.9].mean())

    assert precision(found) >= 0.92 > precision(found * 0.98)
    assert fit_temperature(scores, truth, precision=0.95) > found


def test_too_few_confident_pairs_or_too_few_right_ones_are_an_error() -> None:
    with pytest.raises(RecipeError, match="train longer"):
        fit_temperature(np.zeros((500, 3)), np.ones(500, bool))
    sure = np.zeros((500, 3))
    sure[:, LABELS.index("entailment")] = 30
    assert fit_temperature(sure, np.ones(500, bool)) == pytest.approx(0.5)
    with pytest.raises(RecipeError, match="train longer"):
        fit_temperature(sure, np.arange(500) < 400)


def test_a_folded_temperature_divides_the_logits(tiny_base: Path, tmp_path: Path) -> None:
    save_model(Trainer(load_base(tiny_base), Schedule(1)), tiny_base, tmp_path / "raw")
    fold_temperature(tmp_path / "raw", tmp_path / "folded", 2.0)
    pairs = [LabelledPair("the dog sleeps .", "a cat runs .", "neutral", "x"), LabelledPair("two", "three red", "neutral", "x")]
    # A power of two divides a bfloat16 without rounding.
    np.testing.assert_array_equal(logits(tmp_path / "raw", pairs) / 2, logits(tmp_path / "folded", pairs))


def test_threshold_is_the_lowest_with_that_precision() -> None:
    generator = np.random.default_rng(2)
    p = generator.random(4_000)
    truth = generator.random(4_000) < p
    found = threshold_for(p, truth, 0.9)
    assert found is not None
    allowed = [t for t in p if truth[p >= t].mean() >= 0.9 and (p >= t).sum() > 50]
    assert found == pytest.approx(min(allowed))
    assert threshold_for(p, np.zeros(4_000, bool), 0.9) is None


def test_precision_and_recall() -> None:
    assert precision_recall(np.array([0.95, 0.92, 0.3, 0.1]), np.array([True, False, True, False]), 0.9) == (0.5, 0.5)


def test_accuracy_leaves_two_way_labels_out() -> None:
    p = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    pairs = [LabelledPair("p", "h", "contradiction", "x"), LabelledPair("p", "h", "not_entailment", "x")]
    assert three_way_accuracy(p, pairs) == 1


def test_kinds_are_judged_by_their_own_truth() -> None:
    pairs = [LabelledPair("p", "h", "entailment", "passive"), LabelledPair("p", "h", "not_entailment", "number")]
    assert by_kind(np.array([0.95, 0.95]), pairs, 0.9) == {"passive": (1, 1.0), "number": (1, 0.0)}


def test_the_halves_share_no_premise() -> None:
    pairs = [LabelledPair(f"premise {n // 2}", f"h{n}", "neutral", "x") for n in range(40)]
    one, two = calibration_half(pairs), reported_half(pairs)
    assert len(one) + len(two) == 40
    assert {pair.premise for pair in one}.isdisjoint(pair.premise for pair in two)


def test_reliability_of_a_calibrated_judge_is_the_diagonal(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    p = generator.random(20_000)
    rows = reliability(p, generator.random(20_000) < p)
    assert sum(row["pairs"] for row in rows) == 20_000
    assert expected_calibration_error(rows) < 0.02
    plot({"NLI sets": rows}, tmp_path / "reliability.svg")
    assert "<svg" in (tmp_path / "reliability.svg").read_text(encoding="utf-8")


def test_the_average_of_judges_is_the_mean_of_their_weights(tiny_base: Path, tmp_path: Path) -> None:
    for name, shift in (("one", 1.0), ("two", 3.0)):
        trainer = Trainer(load_base(tiny_base), Schedule(1))
        trainer.averages["classifier.bias"].fill_(shift)
        save_model(trainer, tiny_base, tmp_path / name)
    average([tmp_path / "one", tmp_path / "two"], [0.25, 0.75], tmp_path / "mean")
    assert load_file(tmp_path / "mean" / "model.safetensors")["classifier.bias"].tolist() == [2.5, 2.5, 2.5]
    with pytest.raises(RecipeError, match="--weights"):
        average([tmp_path / "one", tmp_path / "two"], [0.5, 0.6], tmp_path / "mean")
