"""`evaluate` and `report` as they are called."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from impdistill.cli import app, main
from impdistill.errors import BenchmarkError
from tests.console.test_systems import tiny_student
from tests.report.made_runs import made_run
from tests.report.test_contents import PAIRS
from tests.tiny_students import examples


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "bench.jsonl"
    lines = [{"source": example.x, "references": [example.y, example.x]} for example in examples(8)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_evaluate_prints_and_writes(benchmark: Path, tmp_path: Path) -> None:
    student = tiny_student(tmp_path / "student")
    arguments = ["--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out"), "--device", "cpu"]
    shown = call("evaluate", str(student), *arguments)
    assert shown.exit_code == 0, shown.output
    for row in ("ROUGE-L", "SARI", "copy", "lead:0.79", "human"):
        assert row in shown.output
    content = json.loads((tmp_path / "out" / "results.json").read_bytes())
    systems = [one["system"] for one in content["evaluations"]]
    assert systems == [f"{student} short", f"{student} paraphrase", "copy", "lead:0.79", "human"]
    assert all(one["items"] == 8 for one in content["evaluations"])
    assert {one["against"] for one in content["comparisons"]} == {"copy"}
    (copy,) = [one for one in content["evaluations"] if one["system"] == "copy"]
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["system"] == "copy"]
    assert [(row["score"], float(row["value"])) for row in rows] == [(score["name"], score["value"]) for score in copy["scores"]]
    (control,) = json.loads((tmp_path / "out" / "control.json").read_bytes())
    assert [group["group"] for group in control["groups"]] == ["short", "paraphrase"]
    assert len(list((tmp_path / "out").glob("outputs-*.jsonl"))) == 5


def test_evaluate_one_item_and_bad_input(benchmark: Path, tmp_path: Path) -> None:
    shown = call("evaluate", "copy", "--items", "1", "--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out"))
    assert "left out: 7 after the first 1" in " ".join(shown.output.split())
    content = json.loads((tmp_path / "out" / "results.json").read_bytes())
    assert content["comparisons"] == []
    assert all(score["low"] is None for one in content["evaluations"] for score in one["scores"])
    for name, text, message in (
        ("fields.jsonl", '{"headline": "a"}\n', "no field for the source"),
        ("bytes.tsv", b"caf\xe9\tcaf\xe9\n", "UTF-8"),
        ("empty.tsv", "", "empty|no item|nothing"),
    ):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(BenchmarkError, match=message):
            call("evaluate", "copy", "--on", str(path), "--out", str(tmp_path / "bad"))
    assert not (tmp_path / "bad").exists()


def test_evaluate_says_what_rouge_does_not_see(tmp_path: Path) -> None:
    path = tmp_path / "bench.jsonl"
    lines = [{"source": "一句 话", "references": ["一句"]}, {"source": "A cat sat.", "references": ["A cat."]}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    shown = call("evaluate", "copy", "--resamples", "20", "--on", str(path), "--out", str(tmp_path / "out"))
    assert "scores 0 on 1 items whose references have none" in " ".join(shown.output.split())
    (copy, _) = json.loads((tmp_path / "out" / "results.json").read_bytes())["evaluations"]
    (note,) = [score["note"] for score in copy["scores"] if score["name"] == "ROUGE-L"]
    assert "1 of 2 items have references without such a token" in note


def test_outputs_of_another_program(benchmark: Path, tmp_path: Path) -> None:
    """Empty ones are measured and counted; another number of lines is an error."""
    outputs = tmp_path / "outputs.txt"
    arguments = ["--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out")]
    outputs.write_text("A cat walked.\n" * 5 + "\n" * 3, encoding="utf-8")
    shown = call("evaluate", f"outputs:{outputs}", *arguments)
    assert "empty outputs" in shown.output
    content = json.loads((tmp_path / "out" / "results.json").read_bytes())["evaluations"]
    assert [(one["items"], one["empty_outputs"]) for one in content[:2]] == [(8, 3), (8, 0)]
    for text, message in (("one\n" * 7, "7 outputs for the 8 items"), ("\n" * 8, "only blank lines"), ("a\r" * 8, "1 outputs for the 8")):
        outputs.write_text(text, encoding="utf-8", newline="")
        with pytest.raises(BenchmarkError, match=message):
            call("evaluate", f"outputs:{outputs}", *arguments)


def test_names_in_messages_are_no_pictures(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, benchmark: Path) -> None:
    monkeypatch.setattr("sys.argv", ["impdistill", "evaluate", "lead:x", "--on", str(benchmark), "--out", "never"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "lead:x: 'x' is not a number" in " ".join(capsys.readouterr().err.split())


def test_report_finds_what_evaluate_wrote_into_the_run(benchmark: Path, tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", PAIRS, rounds=0)
    call("evaluate", "copy", "--resamples", "20", "--on", str(benchmark), "--out", str(run.path / "evaluation"))
    shown = call("report", str(run.path), "--out", str(tmp_path / "report"), "--no-figures", "--leaks", str(benchmark))
    assert str(tmp_path / "report" / "report.html") in shown.output.replace("\n", "")
    content = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "lead:0.79" in content
    assert "texts stand in the dataset" in content
