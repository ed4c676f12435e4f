"""What `inspect` shows of pairs that were dropped, and of sentences that were in none."""

from __future__ import annotations

import pytest
from rich.console import Console

from impdistill.console.pairs import print_pairs
from impdistill.errors import RunError
from impdistill.outcome import Run
from tests.report.made_runs import REFUSED, made_run

DROPS = [(f"The senator voted for bill {number} on Friday.", "The senator slept.") for number in range(9)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    kept = [("The senator voted for the bill on Friday.", "The senator voted.")]
    return made_run(tmp_path_factory.mktemp("made") / "run", kept, drops=DROPS)


def shown(run: Run, reason: str | None = None, number: int = 5) -> str:
    console = Console(record=True, width=140)
    print_pairs(run, console, round_=None, group=None, dropped=True, reason=reason, number=number, seed=0)
    return console.export_text()


def test_drops_are_told_with_how_many_there_were(run: Run) -> None:
    text = shown(run, "entailment", 2)
    assert f"{len(DROPS)} of {2 * len(DROPS)} drops kept for reading" in text
    assert text.count("The senator slept.") == 2


def test_of_a_refusal_the_sentences_are_shown(run: Run) -> None:
    text = shown(run, "quotes")
    assert "40, refused as sentences before they were in a pair" in text
    assert REFUSED in text  # its <b> is no markup
    assert "counts only" not in text


def test_a_reason_of_which_no_text_is_kept_says_so(run: Run) -> None:
    assert "counts only: no text is kept" in shown(run, "length")
    assert shown(run).count("counts only: no text is kept") == 1


def test_a_reason_that_does_not_occur_lists_those_that_do(run: Run) -> None:
    with pytest.raises(RunError, match="there are entailment, length, quotes"):
        shown(run, "haiku")
