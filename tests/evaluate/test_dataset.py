from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from impdistill.errors import BenchmarkError
from impdistill.evaluate.benchmarks import read_benchmark
from impdistill.evaluate.dataset import group_counts, lexical_diversity, process_yields, strategy_map
from impdistill.evaluate.pair_shape import PairShapes, pair_shapes
from impdistill.tasks import Group

SHAPES = PairShapes(np.array([0.4, 0.4, 0.6, 0.9, 2.0]), np.array([0.1, 0.7, 0.5, 1.0, 0.2]), np.array([0.7, 0.1, 0.1, 1.0, 0.0]))
GROUPS = (
    Group("short-abstractive", "", (0.0, 0.5), (0.0, 0.6)),
    Group("short-extractive", "", (0.0, 0.5), (0.6, math.inf)),
    Group("long-abstractive", "", (0.5, 0.8), (0.0, 0.6)),
)


def test_group_counts_add_up() -> None:
    assert group_counts(SHAPES, GROUPS) == {"short-abstractive": 0, "short-extractive": 2, "long-abstractive": 1, "no group": 2}
    assert group_counts(pair_shapes([], []), GROUPS)["no group"] == 0


def test_strategy_map_counts_every_pair_once() -> None:
    found = strategy_map(SHAPES, bins=10)
    assert (found.pairs, found.outside) == (5, 1)
    counts = np.array(found.counts)
    assert counts.sum() == 4
    assert counts[2, 1] == 1  # compression .4 in .30-.45, ROUGE-L .1 in .1-.2
    assert counts[6, 9] == 1  # ROUGE-L 1 belongs to the last cell
    assert found.spread == pytest.approx(2)
    single = PairShapes(*(values[:1] for values in (SHAPES.compression, SHAPES.rouge_l, SHAPES.density)))
    assert f"{strategy_map(single).spread:.2f}" == "0.00"
    with pytest.raises(BenchmarkError, match="at least one pair"):
        strategy_map(pair_shapes([], []))


def test_diversity_compares_equal_numbers_of_tokens() -> None:
    varied = [f"w{number} w{number + 1} w{number + 2}" for number in range(400)]
    dull = ["the same words again"] * 2000
    first, second = lexical_diversity({"varied": varied, "dull": dull}, resamples=20)
    assert (first.tokens, second.tokens, first.all_texts, second.all_texts) == (1200, 1200, 400, 2000)
    assert second.entropy[0].value == pytest.approx(2)
    assert second.entropy[2].value == pytest.approx(1)
    assert first.entropy[0].value > 8
    assert first.msttr is not None
    assert second.msttr is not None
    assert (second.msttr.value, second.msttr.items) == (pytest.approx(0.04), 12)
    assert lexical_diversity({"varied": varied}, max_tokens=50, resamples=20)[0].msttr is None
    with pytest.raises(BenchmarkError, match="empty: no token"):
        lexical_diversity({"varied": varied, "empty": [""]})


def test_a_small_guest_does_not_cut_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [f"w{number} w{number + 1} w{number + 2}" for number in range(400)]
    sets = {"own": own, "guest": own[:100], "large": own[:300]}
    monkeypatch.setattr("impdistill.evaluate.dataset.GUEST_TOKENS", 500)
    found = {one.name: one for one in lexical_diversity(sets, guests=("guest", "large"), resamples=20)}
    assert {name: (one.texts, one.tokens, one.small) for name, one in found.items()} == {
        "own": (300, 900, False),
        "guest": (100, 300, True),
        "large": (300, 900, False),
    }
    assert {one.tokens for one in lexical_diversity(sets, resamples=20)} == {300}


def test_published_diversity_of_turk(shared: Path) -> None:
    turk = read_benchmark(str(shared / "benchmarks/turkcorpus_tune_truecased.jsonl"))
    (found,) = lexical_diversity({"Turk": turk.sources}, resamples=20)
    assert [one.value for one in found.entropy] == pytest.approx([9.92, 14.25, 15.11], abs=0.01)
    assert found.texts == 2000


def test_yields_per_context_and_per_candidate() -> None:
    sequential, parallel, none = process_yields(
        10,
        {"sequential": 100, "parallel": 9900, "self-distillation": 0},
        {"sequential": np.full(3, 0.8), "parallel": np.array([0.5, 0.7])},
        resamples=20,
    )
    assert (sequential.kept_per_context, sequential.kept_per_candidate) == pytest.approx((0.3, 0.03))
    assert parallel.rouge_l is not None
    assert parallel.rouge_l.value == pytest.approx(60)
    assert (none.kept, none.kept_per_candidate, none.rouge_l) == (0, 0, None)
    with pytest.raises(BenchmarkError, match="2 pairs kept of 1"):
        process_yields(1, {"parallel": 1}, {"parallel": np.ones(2)})
    with pytest.raises(BenchmarkError, match="needs contexts"):
        process_yields(0, {}, {})
