"""Two arguments exchanged where the order carries the meaning (false)."""

import re

from recipe.judge.hardcases.listed import listed
from recipe.judge.hardcases.rewrite import Choice, Rewrite, capitalised, like_case, lowered, one_match

_NAME = r"[A-Z][a-z]{2,}(?: [A-Z][a-z]{2,})?"
_TWO_NAMES = re.compile(rf"\b({_NAME})\b(?P<between>[^.;]{{4,60}}?)\b({_NAME})\b")
_SYMMETRIC = re.compile(r"\b(and|or|with|between|vs|versus|met|married|both|among|including)\b|,|'s |\bof\b")
_FROM_TO = re.compile(r"\bfrom ((?:the |a )?[\w$.,%-]+(?: [a-z]+)?) to ((?:the |a )?[\w$.,%-]+?)(?=[ ,.])")
_COMPARED = re.compile(
    r"^((?:The |A |My |Our |His |Her )?[A-Za-z]+(?: [a-z]+){0,3}) (is|are|was|were|has|have|had) ((?:[a-z]+ )?(?:more|less|better|"
    r"worse|larger|smaller|higher|lower|older|younger|faster|slower|greater|bigger|stronger|cheaper)[a-z ]{0,25}? than) ((?:the |"
    r"a |my |our |his |her )?[a-zA-Z]+(?: [a-z]+){0,2})\.$"
)
_ORDERED = re.compile(r"^([^,;]{15,90}) (before|after|because) ((?:the|he|she|it|they|we|I|his|her|my) [^,;]{10,90})\.$")
_DATIVE = re.compile(
    r"\b(my|his|her|the|our|their) (\w+) (gave|told|sent|asked|helped|loves|hates|called|hit|paid|sued|warned|followed|kissed|"
    r"invited) (my|his|her|the|our|their) (\w+)\b",
    re.IGNORECASE,
)

_PHRASE = r"(?:[Tt]he|[Aa]n?|[Mm]y|[Hh]is|[Hh]er|[Oo]ur|[Tt]heir|[Ii]ts) [a-z]{4,}"
_VERB = (
    r"(?:[a-z]+ed|[a-z]{3,}(?<!s)s|was|were|had|have|can|could|will|would|may|might|must|to|from|by|into|over|than|"
    r"gave|led|made|told|saw|found)"
)
_AFTER = r"(?=[.,]| (?:in|on|at|to|from|by|with|for|as|that|which|who|when|after|before|because|during|and)\b)"
_TWO_PHRASES = re.compile(rf"\b({_PHRASE})(?P<between> {_VERB}\b[^.;:,]{{0,50}}? )({_PHRASE}){_AFTER}")
_MEANS_THE_SAME = re.compile(rf"{_SYMMETRIC.pattern}|^ (?:was|were|will be|to be|became|remains) $|\b(?:both|other|same)\b")


_NOT_NAMES = frozenset(
    listed(
        "the a an this that these those he she it they we you his her its our my your their in on at by for with from to of after "
        "before when while what who how why where if as and but or not no all some most many each both such there here then now "
        "also however although because since january february march april may june july august september october november "
        "december monday tuesday wednesday thursday friday saturday sunday senator president american british french german "
        "australian chinese japanese"
    )
)


def swap_names(sentence: str, choice: Choice) -> str | None:
    """Two names of one clause, unless what stands between them is symmetric."""
    found = one_match(_TWO_NAMES, sentence, choice)
    if found is None or found.group(1).split()[0].lower() in _NOT_NAMES or found.group(3).split()[0].lower() in _NOT_NAMES:
        return None
    if (
        re.search(r"[A-Z][\w.]* $", sentence[: found.start()])
        or re.match(r",? ?[A-Z(]", sentence[found.end() :])
        or re.match(r" [A-Z]", found.group("between"))
    ):
        return None
    if _SYMMETRIC.search(found.group("between")) or found.group(1) == found.group(3):
        return None
    if not re.search(r"\b[a-z]{2,}(?:ed|es|s|to|from|by|than|for|gave|beat|won|told|saw)\b", found.group("between")):
        return None
    return sentence[: found.start(1)] + found.group(3) + found.group("between") + found.group(1) + sentence[found.end(3) :]


def swap_from_to(sentence: str, choice: Choice) -> str | None:
    """'From A to B' becomes 'from B to A'."""
    found = one_match(_FROM_TO, sentence, choice)
    if found is None or found.group(1).lower() == found.group(2).lower() or found.group(2) in ("the", "a", "be", "make"):
        return None
    if re.match(r"[a-z]+$", found.group(2)) and not re.match(r"(?:the|a) ", found.group(2)):
        return None
    return f"{sentence[: found.start(1)]}{found.group(2)} to {found.group(1)}{sentence[found.end(2) :]}"


def swap_compared(sentence: str, choice: Choice) -> str | None:
    """'A is larger than B' becomes 'B is larger than A'."""
    found = _COMPARED.match(sentence)
    if found is None or found.group(4) in ("ever", "usual", "expected", "before", "that", "it"):
        return None
    first = lowered(found.group(1)) or found.group(1)
    return f"{capitalised(found.group(4))} {found.group(2)} {found.group(3)} {first}."


def swap_order(sentence: str, choice: Choice) -> str | None:
    """'A before B' becomes 'B before A'; the same with 'after' and 'because'."""
    found = _ORDERED.match(sentence)
    first = lowered(found.group(1)) if found is not None else None
    return None if found is None or first is None else f"{capitalised(found.group(3))} {found.group(2)} {first}."


def swap_people(sentence: str, choice: Choice) -> str | None:
    """Who did it, and to whom, exchanged."""
    found = one_match(_DATIVE, sentence, choice)
    if found is None or found.group(2).lower() == found.group(5).lower():
        return None
    subject, target = f"{found.group(1)} {found.group(2)}", f"{found.group(4)} {found.group(5)}"
    swapped = f"{target} {found.group(3)} {subject.lower()}"
    return sentence[: found.start()] + (capitalised(swapped) if subject[0].isupper() else swapped) + sentence[found.end() :]


def swap_phrases(sentence: str, choice: Choice) -> str | None:
    """Two phrases that a verb keeps apart: 'the board asked a panel' becomes 'a panel asked the board'."""
    found = one_match(_TWO_PHRASES, sentence, choice)
    if found is None or _MEANS_THE_SAME.search(found.group("between")) or found.group(1)[-4:].lower() == found.group(3)[-4:].lower():
        return None
    first, second = like_case(found.group(3), found.group(1).lower()), like_case(found.group(1), found.group(3))
    return sentence[: found.start(1)] + second + found.group("between") + first + sentence[found.end(3) :]


REWRITES = (
    Rewrite("swapped", False, swap_names, "swapped", False),
    Rewrite("swapped", False, swap_from_to, "swapped", False, held_out=True),
    Rewrite("swapped", False, swap_compared, "swapped", False),
    Rewrite("swapped", False, swap_order, "swapped", False),
    Rewrite("swapped", False, swap_people, "swapped", False),
    Rewrite("swapped", False, swap_phrases, "swapped", False),
)
