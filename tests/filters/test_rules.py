"""The filters that look at one pair at a time, each by itself."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from impdistill.errors import RecipeError
from impdistill.filters import (
    Abstractiveness,
    Diversity,
    Echo,
    Entailment,
    Filter,
    Length,
    Mentions,
    Mood,
    Numbers,
    PairRule,
    Scores,
    Standalone,
)


def decide(rule: Filter, scores: Scores, pairs: list[list[int]], answers: dict[tuple[int, int], float] | None = None) -> list[bool]:
    """Run a filter; `answers` loses what was asked."""
    decision = rule.keep(scores, np.array(pairs))
    while True:
        try:
            questions: NDArray[np.integer] = scores.missing(next(decision))
        except StopIteration as end:
            kept: list[bool] = end.value.tolist()
            return kept
        assert answers is not None, f"{rule.name} must not ask"
        found = [answers.pop((int(a), int(b))) for a, b in questions]
        scores.answer(questions, np.array(found, dtype=np.float32))


def test_length_borders_are_exact() -> None:
    scores = Scores([" ".join("a" * count) for count in (20, 16, 15, 35, 28, 30, 10)])
    shorter = Length(0, 0.8)
    assert decide(shorter, scores, [[0, 1], [0, 2], [3, 4]]) == [False, True, False]  # 16/20 and 28/35 are .8
    band = Length(0.8, 1.5)
    assert decide(band, scores, [[0, 1], [0, 2], [3, 4], [0, 5], [5, 0]]) == [True, False, True, False, False]


def test_a_sentence_without_words_is_too_short_for_anything() -> None:
    scores = Scores(["...", "a b"])
    assert decide(Length(0, 100), scores, [[0, 1], [1, 0]]) == [False, True]


def test_numbers_in_both_directions() -> None:
    scores = Scores(["Two of 1,000 cats.", "2 cats.", "12% of cats.", "Cats."])
    pairs = [[0, 1], [1, 0], [0, 2], [0, 3], [3, 0]]
    assert decide(Numbers("y in x"), scores, pairs) == [True, False, False, True, False]
    assert decide(Numbers("both"), scores, pairs) == [False] * 5
    assert decide(Numbers("both"), Scores(["Two cats.", "2 dogs."]), [[0, 1]]) == [True]


def test_mentions_in_both_directions() -> None:
    scores = Scores(["The mayor met Ann Lee.", "He met Lee.", "Lee met the mayor of Bonn.", "I met her."])
    pairs = [[0, 1], [1, 0], [0, 2], [0, 3], [3, 3]]
    assert decide(Mentions(), scores, pairs) == [True, False, False, False, True]
    assert decide(Mentions("both"), scores, pairs) == [False, False, False, False, True]


def test_standalone_in_both_directions() -> None:
    scores = Scores(["Sales of it were flat.", "Sales were flat.", "However, sales were flat.", "It was flat."])
    pairs = [[0, 1], [1, 0], [1, 2], [2, 1], [0, 3]]
    assert decide(Standalone(), scores, pairs) == [True, False, False, True, True]
    assert decide(Standalone("both"), scores, pairs) == [False, False, False, False, True]


def test_echo_keeps_repetitions_of_x_only() -> None:
    scores = Scores(["The bridge is old.", "The bridge is a bridge.", "A bridge is a bridge, the council said.", "It is what it is."])
    assert decide(Echo(), scores, [[0, 1], [2, 1], [1, 0], [0, 3]]) == [False, True, True, True]


def test_mood_keeps_questions_with_questions() -> None:
    scores = Scores(["You left.", "Did you leave?", "Did you go?", "You went."])
    assert decide(Mood(), scores, [[0, 1], [1, 0], [1, 2], [0, 3]]) == [False, False, True, True]


def test_abstractiveness_takes_the_larger_of_the_two_similarities() -> None:
    scores = Scores(["a b c d e f g h", "a b c", "h g f e d c b a"])
    assert scores.rouge_l(np.array([[0, 1]]))[0] < 0.6 < scores.density(np.array([[0, 1]]))[0]
    assert decide(Abstractiveness(0.6), scores, [[0, 1], [0, 2]]) == [False, True]
    exact = Scores(["a b c d e", "a b c x y"])
    assert decide(Abstractiveness(0.6), exact, [[0, 1]]) == [True]  # .6 is still kept


def test_entailment_at_the_threshold_is_kept() -> None:
    answers = {(0, 1): 0.9, (1, 0): 0.8999}
    assert decide(Entailment(0.9), Scores(["a", "b"]), [[0, 1], [1, 0]], answers) == [True, False]


def test_both_directions_ask_from_the_shorter_first_and_the_other_only_of_what_passed() -> None:
    scores = Scores(["a b c", "a b", "c d"])
    answers = {(1, 0): 0.5, (2, 0): 0.9, (0, 2): 0.9, (1, 2): 0.9, (2, 1): 0.1, (0, 1): -1.0}
    pairs = [[0, 1], [1, 0], [0, 2], [2, 0], [1, 2], [2, 1]]
    assert decide(Entailment(0.9, "both"), scores, pairs, answers) == [False, False, True, True, False, False]
    assert answers == {(0, 1): -1.0}  # (1, 0) had decided


def test_both_directions_read_first_what_is_known() -> None:
    scores = Scores(["a b c", "a b"])
    scores.answer(np.array([[0, 1]]), np.array([0.3], dtype=np.float32))
    assert decide(Entailment(0.9, "both"), scores, [[0, 1], [1, 0]], {}) == [False, False]


def test_a_rule_of_ones_own() -> None:
    rule = PairRule("starts alike", lambda x, y: x[0] == y[0])
    assert decide(rule, Scores(["ab", "ac", "bc"]), [[0, 1], [1, 2]]) == [True, False]
    assert decide(rule, Scores([]), []) == []


def same_end(x: str, y: str) -> bool:
    return x[-1] == y[-1]


def test_a_rules_settings_follow_its_source() -> None:
    assert PairRule("end", same_end).settings() == PairRule("end", same_end).settings()
    edited = PairRule("end", lambda x, y: x[-1] != y[-1])
    assert edited.settings()["source"] != PairRule("end", same_end).settings()["source"]
    assert PairRule("typed", eval("lambda x, y: True")).settings()["source"]
    assert PairRule("built in", str.startswith).settings()["function"].endswith("str.startswith")


def at_most(words: int) -> Callable[[str, str], bool]:
    return lambda x, y: len(y.split()) <= words


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (at_most(5), at_most(6)),
        (eval("lambda x, y: len(y) < 5"), eval("lambda x, y: len(y) < 6")),
        (eval("lambda x, y: y == x.lower()"), eval("lambda x, y: y == x.upper()")),
        (lambda x, y, least=1: len(y) > least, lambda x, y, least=2: len(y) > least),
    ],
)
def test_rules_that_decide_otherwise_have_other_settings(first: Callable[[str, str], bool], second: Callable[[str, str], bool]) -> None:
    assert PairRule("own", first).settings()["source"] != PairRule("own", second).settings()["source"]
    assert PairRule("own", first).settings() == PairRule("own", first).settings()


def test_a_rules_settings_are_the_same_in_every_process() -> None:
    program = """
from impdistill.filters import PairRule
held = {"he", "she", "it", "they"}
print(PairRule("own", lambda x, y: y in {"I", "we", "you", "one"}).settings())
print(PairRule("own", (lambda h: lambda x, y: y in h)(held)).settings())
"""
    told = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


def test_a_rule_whose_edits_could_not_be_told_is_refused() -> None:
    with pytest.raises(RecipeError, match="is not a function; wrap it in one"):
        PairRule("own", functools.partial(same_end)).settings()


def test_settings_hold_all_that_decides() -> None:
    assert Length(0.8, 1.5).settings() == {"minimum": 0.8, "maximum": 1.5, "name": "length"}
    assert Diversity(0.9, "mutual", 5).settings() == {
        "threshold": 0.9,
        "edges": "mutual",
        "max_component": 5,
        "name": "diversity",
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Length(0.8, 0.8), "length: minimum 0.8 and maximum 0.8"),
        (lambda: Length(-1, 0.8), "0 <= minimum"),
        (lambda: Mentions("x in y"), "mentions: direction 'x in y'"),  # type: ignore[arg-type]
        (lambda: Standalone("x in y"), "standalone: direction 'x in y'"),  # type: ignore[arg-type]
        (lambda: Numbers("x in y"), "numbers: direction 'x in y'"),  # type: ignore[arg-type]
        (lambda: Abstractiveness(1.1), "abstractiveness: maximum 1.1"),
        (lambda: Entailment(90), "entailment: threshold 90"),
        (lambda: Entailment(0.9, "backward"), "entailment: direction 'backward'"),  # type: ignore[arg-type]
        (lambda: Diversity(-0.1), "diversity: threshold -0.1"),
        (lambda: Diversity(0.9, "all"), "diversity: edges 'all'"),  # type: ignore[arg-type]
        (lambda: Diversity(0.9, "any", 0), "diversity: max_component 0"),
    ],
)
def test_wrong_values_are_named(wrong: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        wrong()  # type: ignore[operator]
