"""A condition or a qualifier dropped, so that more is said than was (false)."""

import re

from recipe.judge.hardcases.rewrite import Choice, Rewrite, capitalised, one_match, with_article

_CONDITION_FIRST = re.compile(
    r"^(?:If|Unless|Assuming|Provided that|Even if|As long as|Until|Were it not for|Without) [^,]{8,90}, (?:then )?(?=(?:the|a|an|"
    r"this|these|that|it|he|she|they|we|I|you|there|my|our|your|his|her|their|all|some|most) )"
)
_CONDITION_LAST = re.compile(
    r",? (?:if|unless|provided that|as long as|assuming|only if) (?:the|this|that|it|he|she|they|we|I|you|there|my|our|your|a|an|"
    r"his|her|their) [^,]{5,80}(?=\.$)"
)

#: Qualifier -> what remains when it is dropped.
_QUALIFIERS: tuple[tuple[str, str], ...] = (
    (r"\b(?:almost|nearly|virtually|practically) (?=[a-z])", ""),
    (r"\b(?:hardly|barely|scarcely) (?=[a-z])", ""),
    (r"\b(?:rarely|seldom) (?=[a-z])", ""),
    (r"\b(?:former|would-be|aspiring|fake|alleged|so-called|suspected|potential) (?!to |by )(?=[a-z])", ""),
    (r"\b(?:supposed|purported|self-styled|presumed|apparent|putative|hypothetical) (?!to )(?=[a-z])", ""),
    (r"\b(?:ex-|one-time |retired |ousted |incoming |deposed )(?=[a-z])", ""),
    (r"\b(?:planned|proposed|attempted) (?!to |by |in |on |at |for |as )(?=[a-z])", ""),
    (r"\b(?:imaginary|imitation|toy|mock) (?=[a-z])", ""),
    (
        r"\b(?:[Ss]ome|[Ff]ew|[Cc]ertain|[Aa] few|[Mm]ost|[Mm]any|[Ss]everal|[Aa] minority of|[Hh]alf of the|[Ss]ome of the) "
        r"(?=[a-z]+s\b)(?!years|months|days|weeks|hours|times|minutes)",
        "all ",
    ),
    (r"\b(?:sometimes|occasionally|usually|often|generally|typically) ", "always "),
    (r"\bone of the (?=\w)", "the only one of the "),
    (r"\bpart of the (?=\w)", "the whole "),
    (r"\bpartially |\bpartly |\blargely |\bmostly |\bmainly ", "entirely "),
    (r"\bno longer (?=[a-z])", "still "),
    (r"\bnot yet (?=[a-z])", "already "),
    (r"\bslightly |\bsomewhat |\ba bit |\ba little ", "extremely "),
    (r"\b(?:about|approximately|around|roughly) (?=\d)", "exactly "),
    (r"\bat least (?=\d|one|two|three|five|ten)", "exactly "),
    (r"\bup to (?=\d)", "more than "),
    (r"\b(?:tend|tends) to (?=[a-z])", "always "),
    (r"\bdoes not necessarily (?=[a-z])", "never "),
)


def drop_condition(sentence: str, choice: Choice) -> str | None:
    """The main clause alone, without the condition it stands under."""
    found = _CONDITION_FIRST.match(sentence)
    if found is not None and not sentence.endswith("?") and not choice.held_out:
        return capitalised(sentence[found.end() :])
    found = _CONDITION_LAST.search(sentence)
    if found is None or re.search(
        r"\b(wonder\w*|know|ask\w*|see|sure|tell|decide\w*|check|out|determine\w*|clear|curious|doubt|say|even|as|but|only|and)$",
        sentence[: found.start()],
    ):
        return None
    if not re.match(r"(?:The|This|It|He|She|They|We|I|You|That|There|My|Your|[A-Z][a-z]+ (?:will|would|can|could|may|is|are))\b", sentence):
        return None
    return sentence[: found.start()] + sentence[found.end() :]


def drop_qualifier(sentence: str, choice: Choice) -> str | None:
    """One qualifier dropped or exchanged for a stronger word."""
    if sentence.endswith("?"):
        return None
    for pattern, rest in choice.random.sample(choice.part(_QUALIFIERS), len(choice.part(_QUALIFIERS))):
        found = one_match(re.compile(pattern), sentence, choice)
        if found is not None:
            if not rest:
                following = re.match(r"\w+", sentence[found.end() :])
                if following is None:
                    return None
                return capitalised(with_article(sentence, found.start(), following.group(), found.end() + following.end()))
            return capitalised(with_article(sentence, found.start(), rest, found.end()))
    return None


REWRITES = (
    Rewrite("condition", False, drop_condition),
    Rewrite("qualifier", False, drop_qualifier),
)
