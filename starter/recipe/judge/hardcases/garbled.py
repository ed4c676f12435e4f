"""Word salad (false): a weak generator's constrained outputs hold the premise's words and say nothing.

What is not a sentence is entailed by nothing, and nothing definite follows from it: a judge that learns this refuses what
cannot be read, whichever side of a pair it is on.
"""

import re
from itertools import pairwise

from recipe.judge.hardcases.listed import listed
from recipe.judge.hardcases.rewrite import Choice, Rewrite, capitalised

_SMALL = frozenset(
    listed(
        "a the an of to in for on with at by from as is are was were be been has have had will would can that which who and or but "
        "if it its"
    )
)
_LEAST_WORDS = 7


def _rejoined(words: list[str], end: str) -> str:
    return capitalised(" ".join(words)) + end


def _taken_apart(sentence: str) -> tuple[list[str], str] | None:
    """Words without the final mark, the first one lower-cased where it is a small word; None where there are too few."""
    body, end = sentence[:-1], sentence[-1]
    words = body.split()
    if len(words) < _LEAST_WORDS:
        return None
    if words[0].lower() in _SMALL:
        words[0] = words[0].lower()
    return words, end


def shuffle_window(sentence: str, choice: Choice) -> str | None:
    """Four to seven neighbouring words in another order, their first neighbour not kept."""
    apart = _taken_apart(sentence)
    if apart is None:
        return None
    words, end = apart
    width = min(len(words), choice.random.randint(4, 7))
    start = choice.random.randrange(len(words) - width + 1)
    window = words[start : start + width]
    if len(set(map(str.lower, window))) < width or any(re.search(r"[,;:]|^and$|^or$", word) for word in window):
        return None
    for _ in range(8):
        mixed = choice.random.sample(window, width)
        if sum(window.index(left) + 1 == window.index(right) for left, right in pairwise(mixed)) <= 1:
            return _rejoined(words[:start] + mixed + words[start + width :], end)
    return None


def drop_small_words(sentence: str, choice: Choice) -> str | None:
    """Half or more of the articles, prepositions and auxiliaries left out: at least three."""
    apart = _taken_apart(sentence)
    if apart is None:
        return None
    words, end = apart
    small = [index for index, word in enumerate(words) if word.lower() in _SMALL]
    if len(small) < 4:
        return None
    gone = set(choice.random.sample(small, choice.random.randint(max(3, len(small) // 2), len(small))))
    return _rejoined([word for index, word in enumerate(words) if index not in gone], end)


def misplace_phrase(sentence: str, choice: Choice) -> str | None:
    """Two to four words are taken out and put back in the middle of something else."""
    apart = _taken_apart(sentence)
    if apart is None or len(apart[0]) < 10:
        return None
    words, end = apart
    width = choice.random.randint(2, 4)
    start = choice.random.randrange(len(words) - width)
    phrase, rest = words[start : start + width], words[:start] + words[start + width :]
    place = choice.random.randrange(1, len(rest))
    # Between a small word and what it belongs to, and not next to where it came from: there it would often read well.
    if abs(place - start) < 3 or rest[place - 1].lower() not in _SMALL or any(re.search(r"[,;:]|ly$", word) for word in phrase):
        return None
    return _rejoined(rest[:place] + phrase + rest[place:], end)


def run_on(sentence: str, choice: Choice) -> str | None:
    """A stretch of the sentence is said twice, or the sentence breaks off and begins again in its middle."""
    apart = _taken_apart(sentence)
    if apart is None or len(apart[0]) < 9:
        return None
    words, end = apart
    width = choice.random.randint(3, 5)
    start = choice.random.randrange(1, len(words) - width)
    after = words[start + width :]
    repeated = words[start : start + width]
    gap = choice.random.randint(0, 2)
    return _rejoined(words[: start + width] + after[:gap] + repeated + after[gap:], end)


REWRITES = (
    Rewrite("garbled", False, shuffle_window, back_kind="from garbled", back_entails=False),
    Rewrite("garbled", False, drop_small_words),
    Rewrite("garbled", False, misplace_phrase, back_kind="from garbled", back_entails=False),
    Rewrite("garbled", False, run_on),
)
