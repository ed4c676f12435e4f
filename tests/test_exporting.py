"""Cards of what is exported take their figures from what `evaluate` and `report` wrote into the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from impdistill.errors import BenchmarkError
from impdistill.evaluate import benchmark_of, evaluate, measure_control, write_results
from impdistill.evaluate.metrics.compression import compression
from impdistill.evaluate.metrics.rouge import rouge
from impdistill.evaluate.results import write_control
from impdistill.evaluate.systems import Copy, Rewriting
from impdistill.exporting import export_run
from impdistill.models.loading import fingerprint
from impdistill.outcome import Run
from impdistill.report import write_report
from impdistill.tasks import tasks_of
from tests.report.made_runs import made_run, small_recipe
from tests.report.test_contents import PAIRS
from tests.report.test_page import Shortener

BENCHMARK = benchmark_of("bench", "here", [(x, [y]) for x, y in PAIRS[:10]])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = made_run(tmp_path / "run", PAIRS)
    for round_ in (0, 1):
        (made.student_folder(round_).path / "config.json").write_text(json.dumps({"round": round_}), encoding="utf-8")
    return made


def measure(run: Run) -> None:
    """The two students as two systems, and copy."""
    versions = [fingerprint(str(run.student_folder(round_).path)) for round_ in (0, 1)]
    systems = [
        Rewriting(f"{run.path}@{round_} short-abstractive", Shortener(), "short", version) for round_, version in enumerate(versions)
    ]
    evaluations = [evaluate(system, BENCHMARK, [rouge, compression], resamples=20) for system in [*systems, Copy()]]
    write_results(evaluations, run.path / "evaluation")
    groups = [group for task in tasks_of(small_recipe()) for group in task.groups]
    controls = [measure_control(Shortener(), groups, BENCHMARK.sources, resamples=20, version=version) for version in versions]
    write_control([(f"{run.path}@{round_}", "bench", control) for round_, control in enumerate(controls)], run.path / "evaluation")


def section_of(card: Path, title: str) -> list[list[str]]:
    text = card.read_text(encoding="utf-8").split(f"## {title}\n\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines()]
    return [rows[0], *rows[2:]]


def test_without_figures_the_cards_are_the_runs_own(run: Run, tmp_path: Path) -> None:
    out = export_run(run, tmp_path / "out")
    assert (out["model"] / "README.md").read_bytes() == (run.student_folder().path / "README.md").read_bytes()
    assert (out["dataset"] / "README.md").read_bytes() == (run.dataset().path / "README.md").read_bytes()


def test_figures_of_this_model_and_the_baselines(run: Run, tmp_path: Path) -> None:
    measure(run)
    for round_ in (0, 1):
        out = export_run(run, tmp_path / f"out-{round_}", round_)
        content = json.loads((run.path / "evaluation" / "results.json").read_bytes())
        scores = {one["system"]: {score["name"]: score for score in one["scores"]} for one in content["evaluations"]}
        for part, title in (("model", "Metrics"), ("dataset", "Metrics of a student trained on it")):
            header, *rows = section_of(out[part] / "README.md", title)
            assert [row[1] for row in rows] == ["student, short-abstractive", "copy", "student, all groups"]
            assert all(row[0] == "| bench (10 items)" for row in rows)
            for row, system in zip(rows, (f"{run.path}@{round_} short-abstractive", "copy"), strict=False):
                score = scores[system]["ROUGE-L"]
                assert row[header.index("ROUGE-L")].startswith(f"{score['value']:.1f} (")
            assert header[-3].startswith("In the group asked for (%)")
        assert str(run.path) not in (out["model"] / "README.md").read_text(encoding="utf-8")


def test_figures_of_another_model_are_not_taken(run: Run, tmp_path: Path) -> None:
    measure(run)
    (run.student_folder(1).path / "config.json").write_text('{"round": "trained anew"}', encoding="utf-8")
    card = (export_run(run, tmp_path / "out")["model"] / "README.md").read_text(encoding="utf-8")
    assert "## Metrics" not in card


def test_control_of_other_weights_is_not_taken(run: Run, tmp_path: Path) -> None:
    """Its student has been trained anew since, and evaluated in part: control.json tells of the old weights under the same name."""
    measure(run)
    stale = (run.path / "evaluation" / "control.json").read_bytes()
    (run.student_folder(1).path / "config.json").write_text('{"round": "trained anew"}', encoding="utf-8")
    measure(run)
    assert "all groups" in (export_run(run, tmp_path / "new")["model"] / "README.md").read_text(encoding="utf-8")
    (run.path / "evaluation" / "control.json").write_bytes(stale)
    card = (export_run(run, tmp_path / "out")["model"] / "README.md").read_text(encoding="utf-8")
    assert "student, short-abstractive" in card
    assert "all groups" not in card


def test_quality_comes_from_the_runs_report(run: Run, tmp_path: Path) -> None:
    write_report([run], run.path / "report", figures=False)
    card = export_run(run, tmp_path / "out")["dataset"] / "README.md"
    rows = {row[0].removeprefix("| "): row[1].removesuffix(" |") for row in section_of(card, "Quality")}
    assert rows["pairs looked at"] == str(len(list(run.pairs())))
    assert any(name.startswith("y: entropy") for name in rows)
    assert "## Quality" not in (export_run(run, tmp_path / "first", 0)["dataset"] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "content"), [("evaluation/results.json", '{"evaluations": [1]}'), ("report/report.json", "[{}]")])
def test_damaged_figures_are_named_before_anything_is_written(run: Run, tmp_path: Path, name: str, content: str) -> None:
    (run.path / name).parent.mkdir()
    (run.path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BenchmarkError, match="not what `impdistill"):
        export_run(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
