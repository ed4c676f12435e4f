"""What counts as one whole sentence."""

from __future__ import annotations

import pytest

from impdistill.text.wellformed import REASONS, refusal, without_lone_quote

GOOD = [
    "The committee approved $1.5 million for the bridge in 2009.",
    '"We are glad," said Sen. Ann Orr (R-Wyo.), "that it passed."',
    "“It works,” she said.",
    "My laptop won't start, and I have no idea why!",
    "Patients (n = 30) received 5 mg/kg daily, and p < 0.05 was considered significant.",
    "The U.S. economy grew by ~3% in Q2.",
    "12 people were hurt in the crash.",
    "iPhone sales rose 4% last year.",
    "He died in July 2000, aged 85.",
    "I had had enough of that by then.",
    "It grew bigger and bigger, again and again.",
    "G. Lewis Holt led the program at 3 p.m. on Jan. 5.",
    "Has anyone else seen this?",
]
BAD = [
    ("The committee approved the", "unfinished"),
    ("The committee waited for an answer...", "unfinished"),
    ("The letter was signed by Sen.", "unfinished"),
    ("The dog slept. The cat ran away.", "several"),
    ("The dog slept.The cat ran away.", "several"),
    ("and then the dog slept again.", "start"),
    (") and then the dog slept again.", "start"),
    ("I did it.", "too-short"),
    (" ".join(f"Word{number} and" for number in range(40)) + " end.", "too-long"),
    ("1. Wash the cup with cold water.", "list"),
    ("- The cup is washed with water.", "list"),
    ("The steps are: 1) wash the cup, 2) dry it.", "list"),
    ("Bring the following things with you:", "list"),
    ("Read more at https://example.org/page today.", "link"),
    ("Ask in r/gaming before you buy it.", "link"),
    ("You can write to ann@example.org today.", "link"),
    ("Edit: thanks for all the answers.", "edit"),
    ("TL;DR my laptop does not start.", "edit"),
    ("OBJECTIVE: To test whether the drug works.", "label"),
    ("WASHINGTON (AP) -- The ferry sank on Sunday.", "label"),
    ('The guard said "we will stay here.', "quotes"),
    ("The guard stayed (for a whole day.", "brackets"),
    ("The guard stayed for a day].", "brackets"),
    ("The guard \ufffd stayed for a day.", "garbage"),
    ("The guard &amp; the dog stayed.", "garbage"),
    ("It is all I can think about!!!", "garbage"),
    ("5 6 7 8 9 10 11 12 is it.", "garbage"),
    ("THE GUARD STAYED FOR A DAY.", "shouting"),
    ("The guard guard guard stayed for a day.", "repetition"),
    ("The guard stayed in in the hut.", "repetition"),
    ("The guard asked for safety and safety in the hut.", "repetition"),
    ("Soldiers met soldiers where soldiers had fought soldiers before.", "repetition"),
    ("The guard went to the hut to the hut.", "repetition"),
    ("We like the old dog in the hut and she likes the old dog in the barn.", "repetition"),
]


@pytest.mark.parametrize("sentence", GOOD)
def test_good_sentences_pass(sentence: str) -> None:
    assert refusal(sentence) is None


@pytest.mark.parametrize(("sentence", "reason"), BAD)
def test_debris_is_refused_with_its_reason(sentence: str, reason: str) -> None:
    assert refusal(sentence) == reason


def test_every_reason_is_reachable() -> None:
    assert {reason for _, reason in BAD} == set(REASONS)


def test_a_quotation_mark_whose_partner_is_elsewhere_is_dropped() -> None:
    assert without_lone_quote('"The guard stayed.') == "The guard stayed."
    assert without_lone_quote(" The guard stayed.” ") == "The guard stayed."
    assert without_lone_quote('"The guard," he said.') == '"The guard," he said.'
    middle = 'The guard stayed," he said.'
    assert without_lone_quote(middle) == middle
    assert refusal(middle) == "quotes"


@pytest.mark.timeout(5)
def test_a_long_shout_takes_no_time() -> None:
    assert refusal("A" * 5000 + "H!") == "too-short"
    assert refusal("A " * 5000 + "H!") == "too-long"
