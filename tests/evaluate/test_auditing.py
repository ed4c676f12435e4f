from __future__ import annotations

import codecs
import json
import re
from dataclasses import asdict

import pytest

from impdistill.errors import BenchmarkError
from impdistill.evaluate.auditing import (
    Audit,
    Finding,
    _may_hold_a_term,
    _term_lists,
    audit,
    fit_to_show,
    masked,
    screen_patterns,
)


def secret(text: str) -> str:
    return codecs.decode(text, "rot13")


SWEAR, INSULT = secret("fuvggl"), secret("zbebaf")


def finding(found: Audit, category: str) -> Finding:
    return next(one for one in found.findings if one.category == category)


def caught(category: str, text: str) -> list[str]:
    pattern = next(pattern for _, name, pattern in screen_patterns() if name == category)
    return pattern.findall(text)


def test_whole_words_stems_and_phrases_in_any_case() -> None:
    assert caught("profanity", f"What a {SWEAR.upper()} day, {SWEAR}.") == [SWEAR.upper(), SWEAR]
    assert caught("profanity", "The class passed the assessment of Scunthorpe.") == []
    assert caught("religion", "Muslims, a Jewish school and christianity; a jewel") == ["Muslims", "Jewish", "christianity"]
    assert caught("ethnicity", "black  people and a black cat") == ["black  people"]
    assert caught("disability", "blindly; a deaf man, disabilities") == ["deaf", "disabilities"]


def test_every_list_is_read_and_no_term_is_lost() -> None:
    kinds = [kind for kind, _, _ in screen_patterns()]
    assert kinds == sorted(kinds, key=["toxic", "identity", "personal"].index)
    assert len(set(kinds)) == 3
    assert all(pattern.search("a perfectly plain sentence about tea") is None for _, _, pattern in screen_patterns())


@pytest.mark.parametrize(
    ("category", "there", "absent"),
    [
        ("e-mail address", ["jane.doe+x@mail.example.org"], ["look @ this", "a@b"]),
        ("web address", ["see https://example.org/a?b=c", "www.example.org"], ["http is a protocol"]),
        (
            "telephone number",
            ["call (555) 123-4567 now", "+44 20 7946 0958", "555-123-4567"],
            ["from 1990-2000", "1,234,567"],
        ),
        (
            "account or identity number",
            ["078-05-1120", "4111 1111 1111 1111"],
            ["1,000,000,000,000", "12345678"],
        ),
        ("user name", ["thanks @jane_doe", "u/someone said"], ["a@b.org", "me/you"]),
    ],
)
def test_personal_data(category: str, there: list[str], absent: list[str]) -> None:
    assert all(caught(category, text) for text in there)
    assert not any(caught(category, text) for text in absent)


def test_where_a_term_stands_and_whether_the_output_brought_it() -> None:
    found = audit(
        [f"the {SWEAR} weather", f"the {SWEAR} weather", "the weather", "fine"],
        [f"{SWEAR} weather", "weather", f"the {SWEAR} weather", "good"],
    )
    one = finding(found, "profanity")
    assert (one.pairs, one.in_source, one.in_output, one.introduced, one.rows) == (3, 2, 2, 1, (0, 1, 2))
    assert found.rows("toxic").tolist() == [True, True, True, False]
    assert finding(found, "slur").pairs == 0


def test_toxic_about_people_is_counted() -> None:
    found = audit([f"women are {INSULT}", "women", INSULT], ["x", "y", "z"])
    assert found.toxic_and_identity == 1


def test_names_and_numbers_that_the_source_lacks() -> None:
    sources = ["The mayor spoke on Monday.", "Ann Lee spoke to 1,000 people.", "He paid $5.", "It rose 12 percent."]
    outputs = [
        "The mayor, Bill Kane, spoke.",
        "In May, Lee met 1000.",
        "He paid 7 dollars.",
        "It rose by twelve thousand.",
    ]
    found = audit(sources, outputs)
    assert finding(found, "name").rows == (0, 1)
    assert finding(found, "name").examples == ("The mayor, B*** ****, spoke.", "In M**, Lee met 1000.")
    assert finding(found, "name").example_sources == tuple(sources[:2])
    assert finding(found, "number").rows == (2, 3)
    assert finding(found, "number").examples == ("He paid 7 dollars.", "It rose by twelve thousand.")
    assert finding(audit(["a"], ["it cost 1,250 euros"]), "number").examples == ("it cost 1,*** euros",)


def test_examples_are_masked_few_and_spread() -> None:
    assert masked("call 555-123 now", [(5, 12)]) == "call 5**-*** now"
    outputs = [f"number {row}: {SWEAR}" for row in range(101)]
    examples = finding(audit(["x"] * 101, outputs), "profanity").examples
    assert [int(re.findall(r"\d+", text)[0]) for text in examples] == [0, 25, 50, 75, 100]
    assert not any(SWEAR in text for text in examples)
    everything = json.dumps(asdict(audit(["x"] * 101, outputs)))
    assert SWEAR not in everything


def test_the_source_beside_an_example_is_fit_to_be_shown() -> None:
    found = audit([f"The {SWEAR} mayor wrote to a@b.org."] * 3, ["The mayor and Bill Kane wrote."] * 3)
    assert finding(found, "name").example_sources == (fit_to_show(f"The {SWEAR} mayor wrote to a@b.org."),) * 3
    assert SWEAR not in found.findings[0].example_sources and "a@b" not in finding(found, "name").example_sources[0]
    assert finding(found, "profanity").example_sources == ()


def test_texts_that_are_passed_over_hold_no_term() -> None:
    lists = [(kind, pattern) for kind, _, pattern in screen_patterns() if kind != "personal"]
    terms = [term for _, _, several in _term_lists() for term in several]
    texts = [
        text
        for term in terms
        for written in (term.replace("*", "ing"), term.replace("*", ""), term.upper().replace("*", ""), f"x{term}", f"{term}y")
        for text in (f"It is {written.replace('_', '  ')}, he said.", f"\u212aind {written.replace('_', ' ')}", written[1:])
    ]
    found = [any(pattern.search(text) for _, pattern in lists) for text in texts]
    assert 500 < sum(found) < len(found)
    assert all(_may_hold_a_term(text) for text, caught in zip(texts, found, strict=True) if caught)
    assert [_may_hold_a_term(text) for text in texts if text.isascii()] == [
        caught for text, caught in zip(texts, found, strict=True) if text.isascii()
    ]


def test_nothing_to_screen() -> None:
    assert audit([], []).toxic_and_identity == 0
    with pytest.raises(BenchmarkError, match="1 sources and 2 outputs"):
        audit(["a"], ["b", "c"])
