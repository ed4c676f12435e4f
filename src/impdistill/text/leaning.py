"""What a sentence leans on that its own words do not say: "it", "they", "that is why", "however", "in other areas". English only."""

from __future__ import annotations

import re
from typing import NamedTuple

_IT = re.compile(r"\bit(?:['’](?:s|d|ll))?\b|\bitself\b|\bits\b")
_THEY = re.compile(r"\bthey(?:['’](?:re|ve|d|ll))?\b|\bthem(?:selves)?\b|\btheirs?\b")
_POINTER = re.compile(
    r"(?:^|[,;:] |\b(?:and|but|so|if|because|when) )['\"“‘(]?(?:this|that|these|those)"
    r"(?=['’](?:s|d|ll)\b| (?:is|isn['’]t|was|wasn['’]t|are|were|has|had|have|does|did|means|makes)\b"
    r"| (?:will|would|can|could|may|might|should|must)\b)"
)
"""A demonstrative that is a whole subject: "that is why", not "the bill that is" nor "this bill is"."""
_NEAR = re.compile(r"\b(?:this|these|those)\b")
_LINK = re.compile(
    r"\b(?:also|however|moreover|furthermore|therefore|thus|hence|instead|meanwhile|nevertheless|nonetheless|otherwise|similarly|likewise"
    r"|another|others?|in contrast|in addition|as a result|for example|for instance)\b"
)


class Leaning(NamedTuple):
    """What one sentence leans on, and what another that says the same may therefore lean on.

    Attributes:
        on: "it" (a demonstrative subject too), "they", and words that link to a sentence before, such as "also".
        offers: `on`, and "it" where a noun is pointed at: of "this bill", "it" may be said.
    """

    on: frozenset[str]
    offers: frozenset[str]


def leaning(text: str) -> Leaning:
    """What `text` leans on."""
    lower = text.lower()
    on = {"other" if link.startswith("other") else link for link in _LINK.findall(lower)}
    if _IT.search(lower) or _POINTER.search(lower):
        on.add("it")
    if _THEY.search(lower):
        on.add("they")
    return Leaning(frozenset(on), frozenset(on | {"it"} if _NEAR.search(lower) else on))


def bears(x: Leaning, y: Leaning) -> bool:
    """Whether y leans on nothing that x does not."""
    return y.on <= x.offers
