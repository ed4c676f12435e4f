"""Rows of one table rest on the same items, and nothing that was measured is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from impdistill.errors import BenchmarkError
from impdistill.evaluate import benchmark_of, evaluate, write_results
from impdistill.evaluate.metrics.compression import compression
from impdistill.evaluate.metrics.fragments import fragments
from impdistill.evaluate.systems import Copy, Lead
from impdistill.report.measured import measured_in, result_tables
from tests.report.test_contents import PAIRS

ITEMS = [(x, [y]) for x, y in PAIRS[:20]]


def test_rows_of_other_items_stand_in_another_table(tmp_path: Path) -> None:
    whole, few = benchmark_of("bench", "here", ITEMS), benchmark_of("bench", "here", ITEMS[:5])
    write_results([evaluate(Copy(), few, [compression], resamples=20)], tmp_path / "own")
    write_results([evaluate(system, whole, [fragments], resamples=20) for system in (Copy(), Lead(0.5))], tmp_path / "given")
    first, second = result_tables(measured_in(tmp_path / "own", [tmp_path / "given"])["evaluations"])
    assert (first.items, [row.system for row in first.rows]) == (5, ["copy"])
    assert (second.items, [row.system for row in second.rows]) == (20, ["copy", "lead:0.5"])
    assert [score["name"] for score in second.columns] == ["Coverage", "Density", "Density/|y|"]


def test_records_with_other_reasons_left_out_do_not_share_a_table(tmp_path: Path) -> None:
    for number, skipped in enumerate(({}, {"too long": 1})):
        write_results([evaluate(Copy(), benchmark_of("b", "here", ITEMS, skipped), [compression], resamples=20)], tmp_path / str(number))
    tables = result_tables(measured_in(tmp_path / "0", [tmp_path / "1"])["evaluations"])
    assert [table.skipped for table in tables] == [{}, {"too long": 1}]


def test_baselines_of_two_folders_are_one_row_with_all_scores(tmp_path: Path) -> None:
    whole = benchmark_of("bench", "here", ITEMS)
    write_results([evaluate(Copy(), whole, [compression], resamples=20)], tmp_path / "own")
    write_results([evaluate(Copy(), whole, [fragments, compression], resamples=30)], tmp_path / "given")
    (table,) = result_tables(measured_in(tmp_path / "own", [tmp_path / "given", tmp_path / "own"])["evaluations"])
    assert [score["name"] for score in table.columns] == ["Compression", "Coverage", "Density", "Density/|y|"]
    (row,) = table.rows
    assert set(row.scores) == {"Compression", "Coverage", "Density", "Density/|y|"}


def test_one_name_for_two_students_stays_two_rows(tmp_path: Path) -> None:
    records = [
        {"system": "student", "version": version, "benchmark": "b", "origin": "b", "items": 2, "skipped": {}, "scores": []}
        for version in ("one", "other", "one")
    ]
    (table,) = result_tables(records)
    assert len(table.rows) == 2
    with pytest.raises(BenchmarkError, match="not what `impdistill evaluate` writes"):
        result_tables([{"system": "student"}])


@pytest.mark.parametrize(
    "content",
    [
        [{}],
        ["text"],
        [{"system": "s", "benchmark": "b", "sources": 0, "accuracy": {"value": 1, "low": None, "high": None}, "groups": [], "gaps": []}],
        [{"system": "s", "benchmark": "b", "sources": 1, "accuracy": 7, "groups": [], "gaps": []}],
    ],
)
def test_control_of_another_shape(tmp_path: Path, content: object) -> None:
    (tmp_path / "control.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"control\.json: not what `impdistill evaluate` writes"):
        measured_in(tmp_path, [])


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    write_results([evaluate(Copy(), benchmark_of("bench", "here", ITEMS), [compression], resamples=20)], tmp_path / "own")
    with pytest.raises(BenchmarkError, match=r"typo: neither results\.json nor control\.json is there"):
        measured_in(tmp_path / "own", [tmp_path / "own", tmp_path / "typo"])
    assert measured_in(tmp_path / "absent", []) == {"evaluations": [], "control": []}
