"""What a run says of itself: contexts that the filters are done with, notes of its blocks, and who works on it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from impdistill.console.summary import funnel_counts, print_status, status_json
from impdistill.outcome import Run
from impdistill.recipe import Recipe
from impdistill.run import BlockResult, Lineage, RunDirectory, run_blocks

COUNTS = {"summary/self-distillation/generated": 6, "summary/self-distillation/kept": 6, "contexts": 2}


def open_made(counts: dict[str, int], blocks: int, notes: tuple[str, ...] = ()) -> Callable[[int], BlockResult]:
    """The first `blocks` blocks of a stage."""

    def compute(block: int) -> BlockResult:
        if block >= blocks:
            raise KeyError("not yet")
        return BlockResult({"pairs": pa.table({"x": ["x"]})}, counts, notes)

    return compute


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Three blocks of contexts; of the self-distillation's filter two are done, and saw candidates after two contexts of four in each."""
    recipe = Recipe.load({"teachers": [{"domain": "news", "model": "m"}]})
    directory = RunDirectory.create(tmp_path / "run", recipe.to_yaml())
    with directory.lock():
        run_blocks(directory.stage(Lineage("contexts.1.news", 1), 3), open_made, ({"accepted": 4, "exhausted": 1}, 3))
        with pytest.raises(KeyError):
            run_blocks(directory.stage(Lineage("filter.1.news", 1), 3), open_made, (COUNTS, 2, ("judge: 3 pairs cut",)))
    return Run(directory)


def printed(run: Run) -> str:
    console = Console(record=True, width=100, file=io.StringIO())
    print_status(run, console)
    return console.export_text()


def test_contexts_without_any_candidate_count(run: Run) -> None:
    assert run.contexts(1) == 8
    counts, contexts = funnel_counts(run, 1)
    assert (counts["contexts"], contexts) == (4, 8)
    assert "1.50" in printed(run)  # 12 pairs kept per 8 contexts
    assert run.contexts(0) == 0


def test_a_run_that_begins_with_candidates_counts_those_that_have_any(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run", Recipe.load({"teachers": [{"domain": "news", "model": "m"}]}).to_yaml())
    run_blocks(directory.stage(Lineage("filter.0.news", 1), 2), open_made, (COUNTS, 2))
    assert Run(directory).contexts(0) == 4


def test_status_shows_notes_and_who_works_on_it(run: Run) -> None:
    assert run.notes() == {"filter.1.news": ["block 0: judge: 3 pairs cut", "block 1: judge: 3 pairs cut"]}
    assert run.holder() is None
    assert "In use" not in printed(run)
    assert "filter.1.news, block 1: judge: 3 pairs cut" in printed(run)
    shown = status_json(run)
    assert shown["holder"] is None
    assert {stage["stage"]: len(stage["notes"]) for stage in shown["stages"]} == {"contexts.1.news": 0, "filter.1.news": 2}
    with run.directory.lock():
        assert f"In use by process {os.getpid()} on " in printed(run)
        assert status_json(run)["holder"]["pid"] == os.getpid()


def test_many_notes_are_counted(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run", Recipe.load({"teachers": [{"domain": "news", "model": "m"}]}).to_yaml())
    run_blocks(directory.stage(Lineage("parallel.0.news", 1), 5), open_made, ({}, 5, ("sampling: out of memory",)))
    text = printed(Run(directory))
    assert text.count("sampling: out of memory") == 3
    assert "parallel.0.news: 2 more notes" in text
