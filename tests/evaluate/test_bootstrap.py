from __future__ import annotations

import itertools

import numpy as np
import pytest

from impdistill.errors import BenchmarkError
from impdistill.evaluate import bootstrap
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.bootstrap import compare, estimate
from impdistill.evaluate.metrics.bleu import bleu
from impdistill.evaluate.metrics.distinct import distinct
from impdistill.evaluate.metrics.entropy import entropy
from impdistill.evaluate.metrics.rouge import rouge
from impdistill.evaluate.metrics.sari import sari
from impdistill.evaluate.statistic import Metric, mean_of
from tests.evaluate.sentences import random_answers

RESAMPLES = 20


def drawn(answers: Answers, rows: np.ndarray) -> Answers:
    return Answers(*(tuple(column[row] for row in rows) for column in (answers.sources, answers.outputs, answers.references)))


@pytest.mark.parametrize("metric", [rouge, bleu(0.7), sari, entropy, distinct])
def test_resampled_scores_are_those_of_the_metric_on_resampled_texts(metric: Metric) -> None:
    answers = random_answers(3, items=12)
    draws = np.random.default_rng(5).integers(0, 12, size=(RESAMPLES, 12))
    plain = np.array([[statistic.value for statistic in metric(drawn(answers, rows))] for rows in draws])
    for column, statistic in enumerate(metric(answers)):
        low, high = np.quantile(plain[:, column], [0.025, 0.975])
        shift = statistic.value - plain[:, column].mean() if statistic.plug_in else 0
        found = estimate(statistic, resamples=RESAMPLES, seed=5)
        most = 1.0 if metric is distinct else np.inf
        assert (found.low, found.high) == pytest.approx((low + shift, min(high + shift, most)), abs=1e-9)


def test_interval_of_a_mean_has_the_width_of_theory() -> None:
    values = np.random.default_rng(0).normal(50, 10, size=400)
    found = estimate(mean_of("x", values), resamples=4000)
    assert found.low is not None
    assert found.high is not None
    half = 1.96 * values.std() / 20
    assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half), rel=0.08)
    assert found == estimate(mean_of("x", values), resamples=4000)


def test_interval_of_an_entropy_surrounds_it() -> None:
    for statistic in entropy(random_answers(0)):
        found = estimate(statistic, resamples=200)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high


def test_no_interval_passes_the_highest_score_there_can_be() -> None:
    texts = tuple(f"w{number} v{number}" for number in range(30))
    for statistic in distinct(Answers(texts, texts, tuple((text,) for text in texts))):
        found = estimate(statistic, resamples=50)
        assert found.low is not None and found.low < found.value == found.high == 1


def test_the_size_of_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = bleu()(random_answers(1))[0], bleu()(random_answers(2))[0]
    whole = estimate(first, resamples=50), compare(first, second, resamples=50)
    monkeypatch.setattr(bootstrap, "MAX_CELLS", 7 * len(first))
    assert (estimate(first, resamples=50), compare(first, second, resamples=50)) == whole


def test_one_item_has_a_score_and_no_interval() -> None:
    found = estimate(mean_of("x", [3.0]))
    assert (found.value, found.low, found.high, found.items) == (3.0, None, None, 1)


def test_randomisation_agrees_with_all_exchanges() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.normal(0.6, 1, size=9), generator.normal(0, 1, size=9)
    observed = (first - second).mean()
    signs = np.array(list(itertools.product([1, -1], repeat=9)))  # (512, 9)
    exact = np.mean(np.abs((signs * (first - second)).mean(axis=1)) >= abs(observed) - 1e-12)
    found = compare(mean_of("x", first), mean_of("x", second), resamples=5000)
    assert found.difference == pytest.approx(observed)
    assert found.p_randomisation == pytest.approx(exact, abs=0.02)


def test_a_steady_difference_is_found_and_none_is_not() -> None:
    values = np.random.default_rng(2).normal(50, 10, size=100)
    same = compare(mean_of("x", values), mean_of("x", values))
    assert (same.difference, same.low, same.high, same.p_bootstrap, same.p_randomisation) == (0, 0, 0, 1, 1)
    better = compare(mean_of("x", values + np.resize([0.5, 1.5], 100)), mean_of("x", values))
    assert better.low > 0.8
    assert better.high < 1.2
    assert better.p_bootstrap < 0.01
    assert better.p_randomisation is not None
    assert better.p_randomisation < 0.01


def test_vocabularies_of_their_own_cannot_be_exchanged() -> None:
    found = compare(entropy(random_answers(1))[0], entropy(random_answers(2))[0], resamples=50)
    assert found.p_randomisation is None
    assert found.low < found.difference < found.high


def test_systems_on_different_items_are_not_compared() -> None:
    with pytest.raises(BenchmarkError, match="3 items"):
        compare(mean_of("x", [1.0, 2.0, 3.0]), mean_of("x", [1.0, 2.0]))
    with pytest.raises(BenchmarkError, match="two items"):
        compare(mean_of("x", [1.0]), mean_of("x", [1.0]))
