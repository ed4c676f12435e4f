"""Stages that read one another, computed at the same time: the bytes of one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from impdistill.errors import ModelError, RunError
from impdistill.run import BlockResult, Lineage, RunDirectory, StageProgress, StageStore, StageWork, run_blocks, run_overlapping
from tests.run.toy import TOY, open_failing, open_toy, open_without_model, stage_at, table_files

BLOCKS = 12
LENGTHS = Lineage("lengths", 1, inputs={"toy": TOY.key})


def open_lengths(store: StageStore, seconds_per_block: float = 0.0) -> Callable[[int], BlockResult]:
    """Reads the toy stage: how many rows each of its blocks has."""

    def compute(block: int) -> BlockResult:
        time.sleep(seconds_per_block)
        rows = store.read_block("pairs", block)
        return BlockResult({"lengths": pa.table({"block": pa.array([block]), "rows": pa.array([rows.num_rows])})})

    return compute


def open_watching(store: StageStore) -> Callable[[int], BlockResult]:
    """As above, and counts how much of the toy stage was missing meanwhile."""
    compute = open_lengths(store)

    def watching(block: int) -> BlockResult:
        return replace(compute(block), counts={"missing": len(store.missing_blocks())})

    return watching


def stages_at(path: Path, blocks: int = BLOCKS) -> tuple[StageStore, StageStore]:
    first = stage_at(path, blocks)
    return first, RunDirectory.open(path).stage(LENGTHS, blocks)


def one_after_the_other(path: Path, blocks_per_shard: int) -> dict[str, bytes]:
    first, second = stages_at(path)
    run_blocks(first, open_toy, blocks_per_shard=blocks_per_shard)
    run_blocks(second, open_lengths, (first,), blocks_per_shard=blocks_per_shard)
    return table_files(path)


@pytest.mark.parametrize(("blocks_per_shard", "workers"), [(1, 1), (5, 1), (2, 2)])
def test_the_bytes_are_those_of_one_stage_after_the_other(tmp_path: Path, blocks_per_shard: int, workers: int) -> None:
    first, second = stages_at(tmp_path / "run")
    run_overlapping(
        [StageWork(first, open_toy, (0.01,)), StageWork(second, open_lengths, (first,))], blocks_per_shard=blocks_per_shard, workers=workers
    )
    assert second.is_done()
    assert table_files(tmp_path / "run") == one_after_the_other(tmp_path / "plain", blocks_per_shard)


def test_the_second_stage_runs_while_the_first_does(tmp_path: Path) -> None:
    first, second = stages_at(tmp_path / "run")
    seen: list[StageProgress] = []
    run_overlapping([StageWork(first, open_toy, (0.5,)), StageWork(second, open_watching, (first,))], on_progress=seen.append)
    assert second.counts()["missing"] > BLOCKS // 2  # one after the other: 0
    order = [progress.stage for progress in seen if progress.done_blocks]
    assert order.index("lengths") < len(order) - 1 - order[::-1].index("toy")
    assert {progress.stage: progress.done_blocks for progress in seen} == {"toy": BLOCKS, "lengths": BLOCKS}


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    first, second = stages_at(tmp_path / "run")
    run_blocks(first, open_toy)
    run_overlapping([StageWork(first, open_without_model), StageWork(second, open_lengths, (first,))])
    run_overlapping([StageWork(first, open_without_model), StageWork(second, open_without_model)])
    assert second.is_done()


def test_a_failure_of_either_stage_ends_both_and_a_resumed_run_goes_on(tmp_path: Path) -> None:
    first, second = stages_at(tmp_path / "run")
    with pytest.raises(KeyError, match="a bug"):
        run_overlapping([StageWork(first, open_failing, (7, "bug")), StageWork(second, open_lengths, (first,))], blocks_per_shard=2)
    assert not first.is_done()
    with pytest.raises(ModelError, match="no such model"):
        run_overlapping([StageWork(first, open_toy, (0.2,)), StageWork(second, open_without_model)], blocks_per_shard=2)
    with pytest.raises(RunError, match="died while computing"):
        run_overlapping([StageWork(first, open_toy), StageWork(second, open_failing, (9, "death"))], blocks_per_shard=2)
    run_overlapping([StageWork(first, open_toy), StageWork(second, open_lengths, (first,))], blocks_per_shard=2)
    first.verify()
    second.verify()


def test_a_stage_that_waits_for_what_nobody_computes_is_an_error(tmp_path: Path) -> None:
    first = stage_at(tmp_path / "run", 2)
    second = RunDirectory.open(tmp_path / "run").stage(LENGTHS, 4)
    with pytest.raises(RunError, match="block 2 waits for blocks that nobody computes"):
        run_overlapping([StageWork(first, open_toy), StageWork(second, open_lengths, (first,))])
    assert second.complete_blocks() == [0, 1]
