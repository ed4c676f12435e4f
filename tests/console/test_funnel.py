"""What `status` says of the judge's questions."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from rich.console import Console

from impdistill.console.funnel import funnel_table, questions_line
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


def test_a_funnel_fits_eighty_columns_and_its_columns_sum(tmp_path: Path) -> None:
    reasons = ("length", "fluency", "repetition", "unfinished", "too-short", "numbers", "mentions", "entailment", "diversity")
    counts = {}
    for task, process in product(("paraphrase", "summary"), ("parallel", "sequential", "self-distillation")):
        counts |= {f"{task}/{process}/dropped/{reason}": 1_000 + index for index, reason in enumerate(reasons)}
        counts |= {f"{task}/{process}/kept": 12, f"{task}/{process}/generated": 9_048}
    console = Console(record=True, width=80)
    console.print(funnel_table("From the teachers", counts, 24))
    lines = console.export_text().splitlines()
    assert "…" not in "".join(lines)
    table = {
        line.split()[0]: [float(word.replace(",", "")) for word in line.split()[-6:]] for line in lines if line.split()[-1][0].isdigit()
    }
    assert table.pop("per") == [0.5] * 6
    assert table["generated"] == [sum(column) for column in zip(*(row for name, row in table.items() if name != "generated"), strict=True)]
