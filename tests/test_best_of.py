"""Which of several rewrites is taken, and that the draws behind them depend on the texts' numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from impdistill.best_of import BestOf, Chosen
from impdistill.errors import ModelError, RecipeError
from impdistill.models.student import Decoding
from impdistill.tasks import Group

X = "The old cat sat on the warm mat in 1999."
GROUPS = {
    "short": Group("short", "Shorten: ", compression=(0.0, 0.7)),
    "paraphrase": Group("paraphrase", "Paraphrase: ", compression=(0.8, 1.5), similarity=(0.0, 0.9)),
}


@dataclass
class WrittenStudent:
    """Writes what it was told to: the first text greedily, the others one after another; keeps the numbers it was handed."""

    outputs: Sequence[str]
    name: str = "written"
    numbers: list[list[float]] = field(default_factory=list)

    def check(self, texts: Sequence[str], group: str) -> None:
        pass

    def rewrite(
        self, texts: Sequence[str], group: str, *, decoding: Decoding | None = None, uniforms: Callable[..., Any] | None = None
    ) -> list[str]:
        if uniforms is None:
            return [self.outputs[0] for _ in texts]
        assert decoding == Decoding(top_p=0.9)
        self.numbers += [[float(uniforms(group, torch.tensor([row]), position)[0]) for position in range(3)] for row in range(len(texts))]
        return [self.outputs[1 + row % (len(self.outputs) - 1)] for row in range(len(texts))]


class WrittenJudge:
    """Holds for true what it was told to, in one direction."""

    def __init__(self, **beliefs: float) -> None:
        self.beliefs = {(X, y): p for y, p in beliefs.items()}

    def probabilities(self, premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float32]:
        p = [1.0 if x == y else self.beliefs.get((x, y), 0.1) for x, y in zip(premises, hypotheses, strict=True)]
        return np.array([[each, 1 - each, 0] for each in p], dtype=np.float32)


def best(outputs: Sequence[str], beliefs: dict[str, float], group: str = "short") -> Chosen:
    student: Any = WrittenStudent(outputs)
    judge: Any = WrittenJudge(**beliefs)
    (chosen,) = BestOf(student, judge, GROUPS, candidates=len(outputs)).choose([X], group)
    return chosen


def test_the_likeliest_of_those_that_pass() -> None:
    beliefs = {"A cat sat.": 0.8, "The cat sat on the mat.": 0.95, "The cat slept.": 0.6}
    assert best(["The cat slept.", "A cat sat.", "The cat sat on the mat."], beliefs) == Chosen(
        "The cat sat on the mat.", pytest.approx(0.95), True, True, 3
    )


def test_what_is_faithful_before_what_is_in_the_group() -> None:
    chosen = best(["A dog ran.", "The old cat sat on the warm mat."], {"The old cat sat on the warm mat.": 0.8, "A dog ran.": 0.69})
    assert chosen.output == "The old cat sat on the warm mat."
    assert not chosen.in_group
    assert not chosen.passes


def test_an_invented_number_loses_where_nothing_is_faithful() -> None:
    assert best(["A cat sat in 2001.", "A cat ran."], {"A cat sat in 2001.": 0.95, "A cat ran.": 0.4}).output == "A cat ran."


def test_a_copy_only_where_nothing_else_is_faithful() -> None:
    longer = "In 1999 the old cat sat on the warm mat."
    assert best([X, longer], {longer: 0.75}).output == longer
    assert best([X, longer], {longer: 0.6}).output == X


@pytest.mark.parametrize("new", ["A cat sat in 2001.", "I sat on a mat.", "The cat sat on Tom.", "Did a cat sit?"])
def test_new_numbers_names_and_persons_and_another_mood_do_not_pass(new: str) -> None:
    chosen = best([new, "A cat sat."], {new: 0.99, "A cat sat.": 0.7})
    assert chosen.output == "A cat sat."
    assert chosen.passes


def test_a_group_as_long_as_its_source_must_entail_it_too() -> None:
    y = "In 1999 an aged cat was sitting on the mat."
    student: Any = WrittenStudent([y, y])
    judge: Any = WrittenJudge(**{y: 0.9})
    of_two = BestOf(student, judge, GROUPS, candidates=2)
    assert of_two.choose([X], "paraphrase")[0].entailment == pytest.approx(0.1)
    judge.beliefs[y, X] = 0.8
    (chosen,) = of_two.choose([X], "paraphrase")
    assert chosen.entailment == pytest.approx(0.8)
    assert chosen.passes


def test_each_candidate_counts_once_and_empty_ones_not_at_all() -> None:
    assert best(["", "A cat sat.", "A cat sat."], {"A cat sat.": 0.9}).candidates == 1
    assert best(["", "", ""], {}) == Chosen("", 0.0, False, False, 0)


def test_draws_depend_on_the_texts_number_alone() -> None:
    judge: Any = WrittenJudge()
    whole: Any = WrittenStudent(["A.", "B.", "C."])
    BestOf(whole, judge, GROUPS, candidates=3).choose([X] * 4, "short")
    parts: Any = WrittenStudent(["A.", "B.", "C."])
    in_parts = BestOf(parts, judge, GROUPS, candidates=3)
    in_parts.choose([X], "short")
    in_parts.choose([X] * 3, "short", first=1)
    assert parts.numbers == whole.numbers
    assert len({number for row in whole.numbers for number in row}) == 4 * 2 * 3


def test_mistakes() -> None:
    student: Any = WrittenStudent(["A.", "B."])
    judge: Any = WrittenJudge()
    with pytest.raises(ModelError, match="the borders of 'haiku' are not known"):
        BestOf(student, judge, GROUPS).choose([X], "haiku")
    for wrong in ({"candidates": 0}, {"threshold": 1.1}, {"top_p": 0.0}):
        with pytest.raises(RecipeError, match="are needed"):
            BestOf(student, judge, GROUPS, **wrong)  # type: ignore[arg-type]
