"""`evaluate` and `report` as they are called."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from impdistill.cli import app, main
from impdistill.errors import BenchmarkError, StorageError
from impdistill.models.student_format import StudentFormat
from tests.console.test_systems import tiny_student
from tests.evaluate.metrics.test_entailment import SubsetJudge
from tests.report.made_runs import made_run
from tests.report.test_contents import PAIRS
from tests.tiny_students import examples, save_base


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
    assert {(one["against"], one["origin"]) for one in content["comparisons"]} == {("copy", str(benchmark))}
    assert "score less that of copy (p)" in " ".join(shown.output.split())
    (control,) = json.loads((tmp_path / "out" / "control.json").read_bytes())
    assert control["version"] == content["evaluations"][0]["version"] is not None
    assert [group["group"] for group in control["groups"]] == ["short", "paraphrase"]
    assert len(list((tmp_path / "out").glob("outputs-*.jsonl"))) == 5
    assert control["faithful_accuracy"] is None


def test_control_reuses_what_the_judge_said(benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = SubsetJudge()
    monkeypatch.setattr("impdistill.models.judge.Judge.load", lambda name, device: judge)
    student = tiny_student(tmp_path / "student")
    arguments = ["--judge", "rule", "--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out"), "--device", "cpu"]
    call("evaluate", str(student), *arguments)
    (control,) = json.loads((tmp_path / "out" / "control.json").read_bytes())
    content = json.loads((tmp_path / "out" / "results.json").read_bytes())["evaluations"]
    for group, evaluation in zip(control["groups"], content, strict=False):
        (faithful,) = [score["value"] for score in evaluation["scores"] if score["name"] == "Source entails output"]
        assert group["faithful_accuracy"]["value"] <= min(faithful, group["accuracy"]["value"])
    assert control["faithful_accuracy"]["items"] == 8


def test_control_is_not_measured_by_borders_that_nobody_told(benchmark: Path, tmp_path: Path) -> None:
    student = tiny_student(tmp_path / "student", borders={})
    shown = call("evaluate", str(student), "--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out"), "--device", "cpu")
    assert "no control is measured, as its folder does not tell the borders of short, paraphrase" in " ".join(shown.output.split())
    assert not (tmp_path / "out" / "control.json").exists()


def test_one_item_and_a_student_of_opposite_groups(benchmark: Path, tmp_path: Path) -> None:
    student = tiny_student(tmp_path / "student")
    groups = {"short": "Shorten: ", "long": "Lengthen: "}
    borders = {name: {"compression": (0.0, None), "similarity": (0.0, None)} for name in groups}
    replace(StudentFormat.read(str(student)), groups=groups, borders=borders).write(student)
    arguments = ["--items", "1", "--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert call("evaluate", str(student), *arguments).exit_code == 0
    (control,) = json.loads((tmp_path / "out" / "control.json").read_bytes())
    assert (control["sources"], control["gaps"]) == (1, [])


def test_a_human_row_where_references_allow_it(benchmark: Path, tmp_path: Path) -> None:
    single = tmp_path / "single.tsv"
    single.write_text("a b c\ta b\nd e f\td e\n", encoding="utf-8")
    for system in ("copy", "human"):
        arguments = ["--resamples", "20", "--on", str(single), "--on", str(benchmark), "--out", str(tmp_path / "out")]
        shown = call("evaluate", system, *arguments)
        assert "single: no row human, as not every item has the references" in " ".join(shown.output.split())
        content = json.loads((tmp_path / "out" / "results.json").read_bytes())["evaluations"]
        assert [one["benchmark"] for one in content if one["system"] == "human"] == [benchmark.stem]
        assert [one["benchmark"] for one in content if one["system"] == "copy"] == ["single", benchmark.stem]
    with pytest.raises(BenchmarkError, match="human on single: item 0 has 1 reference"):
        call("evaluate", "human", "--on", str(single), "--out", str(tmp_path / "never"))
    assert not (tmp_path / "never").exists()


def test_against_another_system_and_fields_of_other_names(tmp_path: Path) -> None:
    path = tmp_path / "bench.tsv"
    path.write_text("before\tafter\n" + "a b c d\ta b c\n" * 4, encoding="utf-8")
    arguments = ["--resamples", "20", "--fields", "source=before,references=after", "--on", str(path), "--out", str(tmp_path / "out")]
    shown = call("evaluate", "lead:0.5", "--against", "lead:0.25", *arguments)
    assert "score less that of lead:0.25 (p)" in " ".join(shown.output.split())
    content = json.loads((tmp_path / "out" / "results.json").read_bytes())
    assert [one["system"] for one in content["evaluations"]] == ["lead:0.5", "copy", "lead:0.79", "lead:0.25"]
    assert {(one["system"], one["against"]) for one in content["comparisons"]} == {
        (name, "lead:0.25") for name in ("lead:0.5", "copy", "lead:0.79")
    }
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["system"] == "copy" and row["score"] == "ROUGE-1"]
    assert rows[0]["against"] == "lead:0.25" and 0 < float(rows[0]["p_randomisation"]) <= 1


def test_zero_shot_and_few_shot_in_one_table(benchmark: Path, tmp_path: Path) -> None:
    """Examples that are items are dropped; a prompt that is too long costs its item, not the evaluation."""
    folder = save_base("llama", tmp_path / "model", spread=0.4)
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 300}), encoding="utf-8")
    more = tmp_path / "more.jsonl"
    lines = [json.dumps({"source": x, "references": ["A cat."]}) for x in ("A new cat sat.", "The cat, " * 120)]
    more.write_text("\n".join([*benchmark.read_text(encoding="utf-8").splitlines(), *lines]), encoding="utf-8")
    arguments = ["--examples", str(more), "--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out"), "--device", "cpu"]
    shown = call("evaluate", f"prompt:{folder}", "--shots", "1", *arguments)
    assert shown.exit_code == 0
    content = json.loads((tmp_path / "out" / "results.json").read_bytes())["evaluations"]
    assert [one["system"] for one in content[:2]] == [f"prompt:{folder} zero-shot", f"prompt:{folder} 1-shot"]
    shown = call("evaluate", f"prompt:{folder}", "--shots", "2", *arguments)
    assert f"no row prompt:{folder} 2-shot, as no prompt fits the model's positions" in shown.output.replace("\n", " ")


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


def test_files_of_one_name_keep_their_own_figures(benchmark: Path, tmp_path: Path) -> None:
    specs = []
    for folder, outputs in (("one", "A cat sat.\n" * 8), ("two", "A dog ran away.\n" * 8)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "turk.txt").write_text(outputs, encoding="utf-8")
        specs.append(f"outputs:{tmp_path / folder / 'turk.txt'}")
    call("evaluate", *specs, "--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out"))
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["system"]: row for row in csv.DictReader(file) if row["score"] == "ROUGE-1"}
    for spec in specs:
        assert float(rows[spec]["difference"]) == pytest.approx(float(rows[spec]["value"]) - float(rows["copy"]["value"]))
    assert rows[specs[0]]["difference"] != rows[specs[1]]["difference"]


def test_a_human_is_tested_against_no_other(benchmark: Path, tmp_path: Path) -> None:
    arguments = ["--resamples", "20", "--on", str(benchmark), "--out", str(tmp_path / "out")]
    shown = call("evaluate", "human", "--against", "human:0", *arguments)
    assert "nothing is tested against human, as no other row has its items and references" in " ".join(shown.output.split())
    assert json.loads((tmp_path / "out" / "results.json").read_bytes())["comparisons"] == []


def test_a_folder_that_cannot_be_written_is_found_before_a_model_is_loaded(benchmark: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match=r"taken: cannot be written .*choose another folder"):
        call("evaluate", str(tmp_path / "no-such-model"), "--judge", "none", "--on", str(benchmark), "--out", str(taken))


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


def test_report_beside_a_dataset(benchmark: Path, tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", PAIRS, rounds=0)
    call("report", str(run.path), "--out", str(tmp_path / "report"), "--no-figures", "--beside", str(benchmark))
    content = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert f"Strategies of {benchmark.stem}" in content and f"<td>{benchmark.stem}, x *</td>" in content
