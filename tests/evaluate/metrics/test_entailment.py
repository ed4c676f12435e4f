from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from impdistill.errors import BenchmarkError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.metrics.entailment import entailed_outputs, entailment, entailment_both_ways


class SubsetJudge:
    """A judge with a rule that can be seen through: a premise entails what is made of its own words."""

    fingerprint = "subset-of-words-rule"
    most_words = 99
    pairs_truncated = 0

    def entailment(self, texts: Sequence[str], pairs: np.ndarray) -> np.ndarray:
        self.pairs_truncated += sum(len(f"{texts[one]} {texts[other]}".split()) > self.most_words for one, other in pairs)
        assert all(text.strip() for text in texts), "an empty text was asked about"
        found = [0.9 if set(texts[hypothesis].split()) <= set(texts[premise].split()) else 0.2 for premise, hypothesis in pairs]
        return np.array(found, dtype=np.float32)


ANSWERS = Answers(("a b c", "a", "a b", "a b"), ("a b", "a b", "b a", " "), (("x",),) * 4)


def test_both_directions_are_kept_apart() -> None:
    found = entailment_both_ways(SubsetJudge(), ANSWERS.sources, ANSWERS.outputs)
    np.testing.assert_allclose(found, [[0.9, 0.2], [0.2, 0.9], [0.9, 0.9], [0, 0]], atol=1e-6)


def test_rates_are_per_cent_of_all_items_empty_outputs_included() -> None:
    forward, backward = entailment(SubsetJudge(), threshold=0.75)(ANSWERS)
    assert (forward.value, backward.value) == (50, 50)
    assert (forward.direction, backward.direction) == ("higher", "neither")
    assert "0.75" in forward.note
    assert "subset-of-wo" in forward.note


def test_what_was_judged_is_told_for_each_output() -> None:
    found = entailed_outputs(entailment(SubsetJudge())(ANSWERS))
    assert found is not None and found.tolist() == [True, False, True, False]
    assert entailed_outputs(()) is None


def test_pairs_that_were_cut_are_counted_in_the_note() -> None:
    judge = SubsetJudge()
    assert "cut" not in entailment(judge)(ANSWERS)[0].note
    judge.most_words = 4
    for statistic in (*entailment(judge)(ANSWERS), *entailment(judge)(ANSWERS)):
        assert "; 2 of 6 pairs, both ways, cut at the judge's limit" in statistic.note


def test_nothing_written_asks_nothing() -> None:
    np.testing.assert_allclose(entailment_both_ways(SubsetJudge(), ["a"], [""]), [[0, 0]])


@pytest.mark.parametrize("threshold", [0.0, 1.0, 90.0])
def test_threshold_out_of_range(threshold: float) -> None:
    with pytest.raises(BenchmarkError, match="threshold"):
        entailment(SubsetJudge(), threshold)


def test_a_real_judge_finds_a_shortened_sentence_entailed(shared: Path) -> None:
    from impdistill.models.judge import Judge

    judge = Judge.load(str(shared / "models/judge"), device="cpu", dtype="float32")
    sources = ["A man in a red shirt is playing the guitar on the street in Berlin.", "Two dogs are running across the field."]
    outputs = ["A man is playing the guitar.", "Nobody is outside and the dogs are asleep."]
    found = entailment_both_ways(judge, sources, outputs)
    assert found[0, 0] > 0.5
    assert found[1, 0] < 0.2
    assert found[0, 1] < found[0, 0]
