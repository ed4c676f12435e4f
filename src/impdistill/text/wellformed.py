"""Whether a string is one whole, well-formed English sentence, and if not, why.

What a language model writes is often no sentence: cut off, a list item, a link, an `edit:` note, a loop. Such text is refused
with a reason, so that every refusal can be counted (Jung et al. 2023 do not say how they tell sentences from debris). The rules
look at form only; whether a sentence makes sense is the judge's business.
"""

from __future__ import annotations

import re

from impdistill.text.sentences import ends_in_abbreviation, split_sentences

MIN_WORDS = 4
MAX_WORDS = 70

REASONS = (
    "edit", "link", "list", "unfinished", "several", "start", "too-short", "too-long", "label", "quotes", "brackets", "garbage",
    "shouting", "repetition",
)  # fmt: skip
"""All reasons of `refusal`, in the order in which they are looked for."""

_WORD = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")
_FINISHED = re.compile(r"""(?<![.…])[.!?]["”’'»)\]]*$""")
_EDIT = re.compile(
    r"\b(?:edit(?:ed)?|update|eta|ps|p\.s\.?)\s*\d*\s?[:\-–—]\s|\btl[;:, ]{0,2}dr\b|^\W*(?:edit|ps|p\.s\.|x-?post)\b",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"https?:|www\.|\w\.(?:com|org|net|gov|edu|html?|pdf|jpg|png|gif|php)\b|\S@\S|"
    r"(?:^|\s)/?[ru]/\w|\]\(|\[(?:\w+ )?(?:link|here)\w*\]|\s[@#][a-z]\w",
    re.IGNORECASE,
)
_LIST_START = re.compile(r"""["“(\[]*(?:[-–—•*·>#+|~=]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[.)]\s|\(?[A-Z]\)\s)""")
_LIST_INSIDE = re.compile(
    r"[•·|]|[;:.,]\s+\(?(?:\d{1,2}|[a-z])\)\s|[;:]\s+\d{1,2}\.\s|:\s[-*]\s?\w|\s[*>]\s|:[.!?]?$|\(\d\)\s.*\(\d\)\s|(?:;[^;]*){3}|\s-\s[^-]*\s-\s[^-]*\s-\s"
)
_LABEL = re.compile(
    r"[A-Z][\w/&-]*(?:\s[A-Z][\w/&-]*){0,4}\s?:\s"  # Primary Objective: ...
    r"|[A-Z]{2}[A-Z,.'’ -]+\s(?:\([A-Z][\w .]*\)\s*)?(?:--?|–|—)\s"  # WASHINGTON (AP) -- ...
    r"|(?:[A-Z]\w+,? ){0,3}\([A-Z][\w .]*\)\s*(?:--?|–|—)\s"  # (Reuters) - ...
)
_GARBAGE = re.compile(
    r"[\ufffd\x00-\x08\x0b-\x1f\x7f{}\\^`]|&(?:\w{2,6}|#\d+);|<[/|]?[a-zA-Z]|__|\*\*|==|\[\s*\]|\(\s*\)|[.,;:?!]\s+[.,;:?!]|[,;:]{2}|[,;:][.?!]"
    r"|[!?]{3}|\s[-–—]\s*[.!?]$|(\w)\1{3}"
)
_GLUED = re.compile(r"[a-z]{2}[.!?](?:[A-Z][a-z ]|\d)|[a-z]{2},[A-Z]")
_DOUBLED = frozenset(
    {"that", "had", "very", "really", "so", "long", "many", "much", "far", "no", "now", "do", "bye", "ha", "blah", "knock"}
)
"""Words that people write twice running."""

_PAIRED = frozenset({"again", "years", "hours", "miles", "around", "through", "round"})
"""Words of more than four letters that people write on both sides of an "and"."""


def refusal(sentence: str) -> str | None:
    """Why `sentence` is not one whole well-formed sentence, one of `REASONS`; None if it is.

    Args:
        sentence: as cut by `impdistill.text.sentences`; white space at its ends does not count.
    """
    text = sentence.strip()
    words = _WORD.findall(text)
    wrong = (
        bool(_EDIT.search(text)),
        bool(_LINK.search(text)),
        bool(_LIST_START.match(text) or _LIST_INSIDE.search(text)),
        not _FINISHED.search(text) or ends_in_abbreviation(text),
        "\n" in text or bool(_GLUED.search(text)) or len(split_sentences(text)) > 1,
        _starts_oddly(text),
        len(words) < MIN_WORDS,
        len(words) > MAX_WORDS,
        bool(_LABEL.match(text)),
        text.count('"') % 2 == 1 or text.count("“") != text.count("”") or '""' in text,
        _has_loose_bracket(text),
        bool(_GARBAGE.search(text)) or 5 * sum(map(str.isalpha, text)) < 3 * sum(not character.isspace() for character in text),
        2 * sum(map(str.isupper, text)) > sum(map(str.isalpha, text)),
        _repeats([word.lower() for word in words]),
    )
    return next((reason for reason, found in zip(REASONS, wrong, strict=True) if found), None)


def without_lone_quote(sentence: str) -> str:
    """The sentence without a quotation mark at its edge whose partner stands in another sentence.

    A quotation of several sentences leaves each of its inner sentences whole but for that mark; a tenth of the sentences of
    news are such. Other unbalanced quotation marks stay, and `refusal` finds them.
    """
    text = sentence.strip()
    straight, opened, closed = text.count('"'), text.count("“"), text.count("”")
    if (straight == 1 and opened == closed == 0) or (straight == 0 and opened + closed == 1):
        return text.strip('"“”').strip()
    return text


def _starts_oddly(text: str) -> bool:
    first = text.lstrip("\"“‘'([")[:2]
    branded = first[:1].islower() and first[1:].isupper()
    return not (first[:1].isupper() or first[:1].isdigit() or first[:1] in tuple("$£€") or branded)


def _has_loose_bracket(text: str) -> bool:
    if not any(bracket in text for bracket in "()[]"):
        return False
    opened = []
    for character in text:
        if character in "([":
            opened.append(character)
        elif character in ")]" and (not opened or opened.pop() + character not in ("()", "[]")):
            return True
    return bool(opened)


def _repeats(words: list[str]) -> bool:
    """A word twice running or on both sides of an "and", a phrase of 2-6 words twice running, five words twice, few distinct words."""
    last_seen: dict[str, int] = {}
    for place, word in enumerate(words):
        size = place - last_seen.get(word, -9)
        if size == 1 and (word not in _DOUBLED or words[place + 1 : place + 2] == [word]):
            return True
        if size == 2 and len(word) > 4 and words[place - 1] in ("and", "or") and word not in _PAIRED and not word.endswith("er"):
            return True
        if 1 < size <= 6 and words[place - size : place] == words[place : place + size]:
            return True
        last_seen[word] = place
    fives = list(zip(*(words[shift:] for shift in range(5)), strict=False))
    often = max((words.count(word) for word in last_seen if len(word) > 4), default=0)
    return len(set(fives)) < len(fives) or len(last_seen) < 0.55 * len(words) or often > max(3, 0.12 * len(words))
