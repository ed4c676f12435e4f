"""What each round adds."""

from __future__ import annotations

import pyarrow as pa
import pytest

from impdistill.report.rounds import rounds_of


def table(pairs: list[tuple[str, str]], entailment: list[float | None]) -> pa.Table:
    return pa.table(
        {
            "x": [x for x, _ in pairs],
            "y": [y for _, y in pairs],
            "compression": [0.5] * len(pairs),
            "rouge_l": [0.25 * number for number in range(len(pairs))],
            "density": [0.1] * len(pairs),
            "entailment": pa.array(entailment, pa.float64()),
        }
    )


def test_new_pairs_and_means() -> None:
    first = table([("a cat sat", "a cat"), ("a cat sat", "cat"), ("a dog ran", "a dog")], [0.9, 1.0, None])
    second = table([("a cat sat", "a cat"), ("a hen ate", "a hen"), ("a hen ate", "a hen"), ("a dog ran", "dog")], [0.8, 0.6, 0.6, 0.8])
    found = rounds_of({1: second, 0: first, 2: second.slice(0, 0), 3: first})
    assert [(one.round_, one.pairs, one.new_pairs, one.new_sources) for one in found] == [(0, 3, 3, 2), (1, 4, 2, 1), (3, 3, 0, 0)]
    assert found[0].entailment == pytest.approx(0.95) and found[1].entailment == pytest.approx(0.7)
    assert found[0].rouge_l == pytest.approx(0.25)
    sizes = {one.diversity.tokens for one in found if one.diversity is not None}
    assert sizes and max(sizes) - min(sizes) <= 1  # a last text may go over


def test_without_judge_or_words() -> None:
    (one,) = rounds_of({0: table([("a", " ")], [None])})
    assert one.entailment is None and one.diversity is None
    assert rounds_of({}) == ()
