"""Who a sentence speaks of."""

from __future__ import annotations

import pytest

from impdistill.text.mentions import asks, mentions, name_spans, supports


def test_names_are_capitalised_words_inside_a_sentence() -> None:
    text = "Yesterday Ann Lee, of Smith's and the BBC, met I’m-not-sure in Bonn."
    assert [text[start:end] for start, end in name_spans(text)] == ["Ann Lee", "Smith's", "I’m-not-sure", "Bonn"]
    assert mentions("We saw that Ann Lee's dog bit Mr Smith.").names == {"ann", "lee", "mr", "smith"}


def test_persons_are_told_from_pronouns() -> None:
    assert mentions("I'd say she hurt herself and our dog, didn’t you?").persons == {"I", "she", "we", "you"}
    assert mentions("It is theirs.").persons == frozenset()
    assert mentions("They said I am late.").names == frozenset()


@pytest.mark.parametrize(
    ("x", "y", "supported"),
    [
        ("The dog of Ann Lee barked.", "It seems Lee has a dog.", True),
        ("The dog barked.", "It seems Lee has a dog.", False),
        ("Ann's dog barked.", "The dog of Ann barked.", True),
        ("I like tea.", "You like tea.", False),
        ("I like tea.", "She likes tea.", False),
        ("She likes tea.", "He likes tea.", False),
        ("The mayor resigned.", "He resigned.", True),
        ("The aim is to measure pain.", "We aim to measure pain.", True),
        ("The mayor resigned.", "I resigned.", False),
        ("My brother said he likes tea.", "He likes tea.", True),
    ],
)
def test_what_a_sentence_supports(x: str, y: str, supported: bool) -> None:
    assert supports(mentions(x), mentions(y)) is supported


def test_questions_are_told_by_their_mark() -> None:
    assert asks("Why?") and asks('"Why?"') and asks("(Why?) ")
    assert not asks("Why.") and not asks('He asked "why?" and left.')
