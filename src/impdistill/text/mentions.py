"""Who a sentence speaks of, as far as its words alone tell: names inside it, and the persons of its pronouns. English only."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w'’-]*[a-z][\w'’-]*(?: [A-Z][\w'’-]*[a-z][\w'’-]*)*")
"""Capitalised words after a lower-case word or comma. The first word of a sentence is not told from a name."""

_PRONOUNS = {
    "I": "i i'm i've i'd i'll me my mine myself",
    "we": "we we're we've we'd we'll us our ours ourselves",
    "you": "you you're you've you'd you'll your yours yourself yourselves",
    "he": "he he's he'd he'll him his himself",
    "she": "she she's she'd she'll her hers herself",
}
_PERSONS = {word: person for person, forms in _PRONOUNS.items() for word in forms.split()}
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class Mentions(NamedTuple):
    """What one sentence mentions.

    Attributes:
        names: words of names, lower-cased.
        persons: of "I", "we", "you", "he", "she" (all their forms); "it" and "they" may stand for anything, so they are not told.
        words: all its words, lower-cased.
    """

    names: frozenset[str]
    persons: frozenset[str]
    words: frozenset[str]


def name_spans(text: str) -> list[tuple[int, int]]:
    """Where names stand in `text`: (start, end) of each run of capitalised words after a lower-case word or a comma."""
    return [match.span() for match in _NAME.finditer(text)]


def mentions(text: str) -> Mentions:
    """The names, persons and words of `text`."""
    found = [word.replace("’", "'") for word in _WORD.findall(text.lower())]
    names = (word for start, end in name_spans(text) for word in _bare(text[start:end]) if word not in _PERSONS)
    persons = frozenset(_PERSONS[word] for word in found if word in _PERSONS)
    return Mentions(frozenset(names), persons, frozenset(word for each in found for word in (each, *_bare(each))))


def supports(x: Mentions, y: Mentions) -> bool:
    """Whether y mentions no one that x does not: each word of its names is a word of x, each of its persons one of x's.

    Of a text without any person all may be retold in the third: "the mayor resigned", "he resigned"; and an author's "the aim is" as
    "we aim".
    """
    strange = y.persons - x.persons
    return y.names <= x.words and (not strange or (not x.persons and not strange & {"I", "you"}))


def asks(text: str) -> bool:
    """Whether `text` is a question, by its mark."""
    return text.rstrip(" \"'”’)]").endswith("?")


def _bare(text: str) -> list[str]:
    """Words without a possessive's or contraction's end: "Smith's" is "smith"."""
    return [word.replace("’", "'").partition("'")[0] for word in _WORD.findall(text.lower())]
