from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from impdistill.errors import BenchmarkError, StorageError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.benchmarks import Benchmark, read_benchmark
from impdistill.evaluate.controllability import measure_control
from impdistill.evaluate.evaluation import UNREAD, Evaluation, compare_systems, evaluate
from impdistill.evaluate.metrics.compression import compression
from impdistill.evaluate.metrics.entropy import entropy
from impdistill.evaluate.metrics.msttr import msttr
from impdistill.evaluate.metrics.rouge import rouge
from impdistill.evaluate.metrics.sari import sari
from impdistill.evaluate.metrics.standard import standard_metrics
from impdistill.evaluate.results import as_json, as_tables, comparison_tables, shown_p, write_control, write_results
from impdistill.evaluate.systems import Copy, Human, Lead
from impdistill.tasks import Group
from tests.evaluate.sentences import random_answers

ANSWERS = random_answers(7)
BENCHMARK = Benchmark("toy", "toy.tsv", ANSWERS.sources, ANSWERS.references, {"no source": 2})


class Silent:
    name = "[silent]"

    def answer(self, benchmark: Benchmark) -> Answers:
        return Answers(benchmark.sources, ("",) * len(benchmark), benchmark.references)


class Echo:
    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        return list(texts)


def printed(evaluations: list[Evaluation]) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    for table in as_tables(evaluations):
        console.print(table)
    return console.export_text()


def test_record_holds_scores_and_what_they_rest_on() -> None:
    found = evaluate(Copy(), BENCHMARK, standard_metrics(), resamples=50)
    assert (found.system, found.items, found.skipped, found.empty_outputs) == ("copy", 40, {"no source": 2}, 0)
    names = [score.name for score in found.scores]
    assert names[:7] == ["ROUGE-1", "ROUGE-2", "ROUGE-L", "SARI", "BLEU", "Self-BLEU", "iBLEU(0.8)"]
    assert len(set(names)) == len(names)
    for score in found.scores:
        assert score.low is not None
        assert score.high is not None
        assert score.low <= score.value + 1e-9
        assert score.value <= score.high + 1e-9
        assert score.note
        assert score.items == (40 if score.name != "MSTTR" else len([word for text in ANSWERS.sources for word in text.split()]) // 100)
    again = evaluate(Copy(), BENCHMARK, standard_metrics(), resamples=50)
    assert again.scores == found.scores
    assert found.score("Self-BLEU").value == pytest.approx(100)
    with pytest.raises(BenchmarkError, match="BERTScore was not measured"):
        found.score("BERTScore")


def test_a_system_that_writes_nothing_is_measured_and_shown_as_such() -> None:
    found = evaluate(Silent(), BENCHMARK, standard_metrics(), resamples=20)
    assert found.empty_outputs == 40
    assert all(score.value == 0 for score in found.scores if score.name != "SARI")
    text = printed([found])
    assert "[silent]" in text
    assert re.search(r"empty outputs\W+40", text)


def test_tables_one_a_benchmark_with_items_and_what_was_left_out() -> None:
    other = Benchmark("other", "other.tsv", ("a b c",), (("a b",),))
    text = printed(
        [evaluate(system, on, [rouge, compression], resamples=20) for on in (BENCHMARK, other) for system in (Copy(), Lead(0.5))]
    )
    assert "toy (40 items; left out: 2 no source)" in text
    assert "other (1 items)" in text
    assert text.count("lead:0.5") == 2
    assert re.search(r"Compression\W+1\.00\W+0\.67\W*$", text, re.MULTILINE)  # one item: no interval
    assert "ROUGE-L ↑" in text
    assert "Compression ↑" not in text


def test_comparisons_are_paired_and_in_one_direction() -> None:
    evaluations = [evaluate(system, BENCHMARK, [rouge, msttr, entropy]) for system in (Copy(), Lead(0.4))]
    found = compare_systems(evaluations, against="copy", resamples=200)
    assert {one.system for one in found} == {"lead:0.4"}
    assert [one.score for one in found] == [
        "ROUGE-1",
        "ROUGE-2",
        "ROUGE-L",
        "H1",
        "H2",
        "H3",
    ]  # not MSTTR, whose items are windows
    difference = evaluations[1].score("ROUGE-L").value - evaluations[0].score("ROUGE-L").value
    assert found[2].comparison.difference == pytest.approx(difference)
    assert found[2].comparison.high < 0
    with pytest.raises(BenchmarkError, match="human was not evaluated"):
        compare_systems(evaluations, against="human")


def test_what_left_items_out_is_not_compared_but_says_so() -> None:
    class Choosy:
        def __init__(self, first: int) -> None:
            self.first, self.name = first, f"choosy {first}"

        def answer(self, benchmark: Benchmark) -> Answers:
            part = slice(self.first, self.first + 30)
            return Answers(benchmark.sources[part], benchmark.sources[part], benchmark.references[part])

    whole, first, last = (evaluate(system, BENCHMARK, [rouge], resamples=20) for system in (Copy(), Choosy(0), Choosy(10)))
    assert (first.items, first.skipped) == (30, {"no source": 2, UNREAD: 10})
    assert compare_systems([whole, first], "copy", resamples=20) == ()
    assert compare_systems([first, last], "choosy 0", resamples=20) == ()  # as many, but others
    for rows in ([whole, first], [first, whole]):
        assert re.search(r"items\W+(40\W+30|30\W+40)", printed(rows))
        assert "toy (40 items; left out: 2 no source)" in printed(rows)  # of the one with most items
    one = Benchmark("one", "one", ("a",), (("a",),))
    assert compare_systems([evaluate(system, one, [rouge]) for system in (Copy(), Lead(0.4))], "copy") == ()


def test_systems_against_other_references_are_not_compared() -> None:
    several = Benchmark("several", "several", ("a b", "c d"), (("a", "a b"), ("c", "d")))
    human, copy, lead = (evaluate(system, several, [rouge], resamples=20) for system in (Human(), Copy(), Lead(0.5)))
    assert {one.system for one in compare_systems([human, copy, lead], "copy", resamples=20)} == {"lead:0.5"}
    assert compare_systems([human, copy, lead], "human", resamples=20) == ()


def test_two_systems_of_one_name_do_not_share_figures() -> None:
    copy, one, other = (evaluate(system, BENCHMARK, [rouge], resamples=20) for system in (Copy(), Lead(0.4), Lead(0.6)))
    with pytest.raises(BenchmarkError, match=r"2 systems are called lead:0\.4 on toy\.tsv"):
        compare_systems([copy, one, replace(other, system="lead:0.4")], "copy", resamples=20)


def test_files_of_an_earlier_evaluation_do_not_stay(tmp_path: Path) -> None:
    evaluations = [evaluate(system, BENCHMARK, [rouge], resamples=20) for system in (Copy(), Lead(0.4))]
    write_results(evaluations, tmp_path)
    (tmp_path / "outputs-mine.jsonl").write_text("not ours")
    write_results(evaluations[:1], tmp_path)
    assert {path.name for path in tmp_path.glob("outputs-*")} == {"outputs-copy-toy.jsonl", "outputs-mine.jsonl"}
    control = measure_control(Echo(), [Group("a", "", (0, 1)), Group("b", "", (1, 2))], BENCHMARK.sources, version="v", origin="toy.tsv")
    (path,) = write_control([("s", "toy", control)], tmp_path)
    (record,) = json.loads(path.read_bytes())
    assert (record["system"], record["version"], record["origin"]) == ("s", "v", "toy.tsv")
    assert write_control([], tmp_path) == []
    assert not path.exists()


def test_differences_and_their_p(tmp_path: Path) -> None:
    evaluations = [evaluate(system, BENCHMARK, [rouge, msttr], resamples=20) for system in (Copy(), Lead(0.4))]
    found = compare_systems(evaluations, "copy", resamples=20)
    console = Console(width=200, record=True, file=io.StringIO())
    (table,) = comparison_tables(found, ["lead:0.4", "human"], {"ROUGE-1": 1, "ROUGE-2": 1, "ROUGE-L": 1})
    console.print(table)
    text = console.export_text()
    one = found[2].comparison
    assert "toy: score less that of copy (p)" in " ".join(text.split())
    assert re.search(rf"ROUGE-L\W+-{abs(one.difference):.1f} \({re.escape(shown_p(one))}\)", text)
    assert comparison_tables(found, ["human"], {}) == []
    write_results(evaluations, tmp_path, found)
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["system"], row["score"]): row for row in csv.DictReader(file)}
    row = rows["lead:0.4", "ROUGE-L"]
    assert (row["against"], float(row["difference"]), float(row["p_bootstrap"])) == ("copy", one.difference, one.p_bootstrap)
    assert float(row["p_randomisation"]) == one.p_randomisation
    assert rows["copy", "ROUGE-L"]["against"] == rows["lead:0.4", "MSTTR"]["against"] == ""
    assert [shown_p(replace(one, p_randomisation=p, p_bootstrap=0.5)) for p in (0.0004, 0.049, 1.0, None)] == [
        "<.001",
        ".049",
        "1.000",
        ".500",
    ]


def test_files(tmp_path: Path) -> None:
    evaluations = [evaluate(system, BENCHMARK, [rouge, sari], resamples=20) for system in (Copy(), Lead(0.4))]
    comparisons = compare_systems(evaluations, against="copy", resamples=20)
    paths = write_results(evaluations, tmp_path / "out", comparisons)
    assert {path.name for path in paths} == {
        "results.json",
        "results.csv",
        "outputs-copy-toy.jsonl",
        "outputs-lead_0.4-toy.jsonl",
    }
    record = json.loads((tmp_path / "out/results.json").read_text(encoding="utf-8"))
    assert record == json.loads(json.dumps(as_json(evaluations, comparisons)))
    assert record["evaluations"][1]["scores"][3]["name"] == "SARI"
    assert len(record["comparisons"]) == 4
    with (tmp_path / "out/results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert float(rows[3]["value"]) == evaluations[0].score("SARI").value
    assert rows[0]["skipped"] == "2"
    outputs = read_benchmark(str(tmp_path / "out/outputs-copy-toy.jsonl"))
    assert outputs.sources == BENCHMARK.sources


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="choose another folder"):
        write_results([evaluate(Copy(), BENCHMARK, [rouge], resamples=20)], tmp_path / "taken")


def test_published_rows_of_turk(shared: Path) -> None:
    turk = read_benchmark(str(shared / "benchmarks/turkcorpus_test_truecased.jsonl"))
    rows = {}
    for system in (Copy(), Lead(0.79), Human()):
        rows[system.name] = [evaluate(system, turk, [rouge], resamples=20).score(f"ROUGE-{kind}").value for kind in "12L"]
    assert rows["copy"] == pytest.approx([98.4, 96.5, 98.3], abs=0.1)
    assert rows["human"] == pytest.approx([84.8, 72.5, 82.0], abs=0.1)
    assert 86 <= rows["lead:0.79"][2] <= 90
