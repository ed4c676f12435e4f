"""What `status` says of the judge's questions."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from impdistill.console.funnel import questions_line
from impdistill.console.summary import print_status
from tests.report.made_runs import made_run


def test_questions_are_told_by_reason_largest_first() -> None:
    counts = {
        "questions/all": 1_000,
        "questions/asked/diversity": 20,
        "questions/asked/entailment": 230,
        "questions/recorded": 50,
        "questions/spared/length": 500,
        "questions/spared/same component": 0,
        "questions/spared/other direction": 200,
        "summary/parallel/kept": 7,
    }
    assert questions_line(counts) == (
        "Judge: asked 250 of 1,000 questions (25.0%): entailment 230, diversity 20; "
        "spared: answered before 50, length 500, other direction 200"
    )
    assert questions_line({}) == "Judge: asked 0 of 0 questions: none; spared: none"


def test_status_shows_them_with_the_funnel(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", [("The senator voted for the bill on Friday.", "The senator voted.")])
    console = Console(record=True, width=200)
    print_status(run, console)
    shown = console.export_text()
    assert shown.count("Judge: asked 50 of 90 questions (55.6%): entailment 50; spared: length 40") == 2  # one a round
