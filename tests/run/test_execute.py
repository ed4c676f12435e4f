from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

import pytest

from impdistill.errors import ModelError, RunError, StorageError
from impdistill.run import StageProgress, run_blocks
from tests.run.killing import Killed, killed_at
from tests.run.toy import TOY, open_failing, open_recording, open_toy, open_without_model, stage_at, table_files

BLOCKS = 20


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("blocks_per_shard", [1, 7, 64])
def test_rows_are_the_same_whatever_the_cut_and_the_workers(tmp_path: Path, blocks_per_shard: int, workers: int) -> None:
    store, plain = stage_at(tmp_path / "run", BLOCKS), stage_at(tmp_path / "plain", BLOCKS)
    run_blocks(store, open_toy, blocks_per_shard=blocks_per_shard, workers=workers)
    run_blocks(plain, open_toy, blocks_per_shard=blocks_per_shard)
    assert table_files(store.directory) == table_files(plain.directory)
    for table in ("pairs", "drops"):
        # one written file has the bytes of the rows, so equal tables here are equal datasets
        rows = [row for block in range(BLOCKS) for row in open_toy()(block).tables[table].to_pylist()]
        assert store.read(table).to_pylist() == rows


def test_resuming_with_another_shard_size_computes_only_what_is_missing(tmp_path: Path) -> None:
    store = stage_at(tmp_path / "run", BLOCKS)
    with pytest.raises(KeyError):
        run_blocks(store, open_failing, (9, "bug"), blocks_per_shard=2)
    assert store.complete_blocks() == list(range(8))
    computed: list[int] = []
    run_blocks(store, open_recording, (computed,), blocks_per_shard=6)
    assert computed == list(range(8, BLOCKS))
    rows = [row for block in range(BLOCKS) for row in open_toy()(block).tables["pairs"].to_pylist()]
    assert store.read("pairs").to_pylist() == rows


def test_nothing_is_opened_where_nothing_is_missing(tmp_path: Path) -> None:
    store = stage_at(tmp_path / "run", 3)
    run_blocks(store, open_toy)
    run_blocks(store, open_without_model)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_every_block_and_ends_at_all(tmp_path: Path, workers: int) -> None:
    store, seen = stage_at(tmp_path / "run", 6), list[StageProgress]()
    with pytest.raises(KeyError):
        run_blocks(store, open_failing, (2, "bug"), on_progress=seen.append)
    assert [progress.done_blocks for progress in seen] == [0, 1, 2]
    assert seen[0].seconds_left is None
    seen.clear()
    run_blocks(store, open_toy, (0.01,), workers=workers, blocks_per_shard=3, on_progress=seen.append)
    assert [(progress.stage, progress.done_blocks, progress.total_blocks) for progress in seen] == [
        ("toy", done, 6) for done in range(2, 7)
    ]
    lefts = [progress.seconds_left for progress in seen[1:]]
    assert lefts[-1] == 0
    assert all(left is not None and 0 < left < 30 for left in lefts[:-1])
    assert seen[-1].counts == store.counts()
    assert seen[-1].seconds == pytest.approx(store.progress().seconds)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_opener_is_that_error(tmp_path: Path, workers: int) -> None:
    with pytest.raises(ModelError, match=r"models\.judge: no such model"):
        run_blocks(stage_at(tmp_path / "run", 4), open_without_model, workers=workers)


def test_a_workers_bug_arrives_with_its_traceback(tmp_path: Path) -> None:
    store = stage_at(tmp_path / "run", 8)
    with pytest.raises(KeyError, match="a bug") as caught:
        run_blocks(store, open_failing, (5, "bug"), workers=2, blocks_per_shard=2)
    assert "in a worker process, computing blocks 4-5" in caught.value.__notes__[0]
    assert "tests/run/toy.py" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="UnpicklableError: a foreign error"):
        run_blocks(store, open_failing, (5, "unpicklable"), workers=2, blocks_per_shard=1)
    run_blocks(store, open_toy, workers=2)
    assert store.is_done()


def test_a_dead_worker_is_named_with_its_exit_code_and_costs_only_its_shard(tmp_path: Path) -> None:
    store = stage_at(tmp_path / "run", 8)
    with pytest.raises(RunError, match=r"died while computing blocks 6-7 \(exit code -9, SIGKILL.*\); run again"):
        run_blocks(store, open_failing, (7, "death"), workers=2, blocks_per_shard=2)
    complete = set(store.complete_blocks())
    assert complete <= set(range(6))
    assert len(complete) >= 4  # one shard of two blocks may have been in the other worker's hands
    run_blocks(store, open_toy, blocks_per_shard=2)
    store.verify()


def test_numbers_out_of_range_are_named(tmp_path: Path) -> None:
    store = stage_at(tmp_path / "run", 2)
    with pytest.raises(RunError, match="workers: 0 is too few"):
        run_blocks(store, open_toy, workers=0)
    with pytest.raises(RunError, match="blocks_per_shard: 0 is too few"):
        run_blocks(store, open_toy, blocks_per_shard=0)


def test_killed_at_any_step_of_writing_a_resumed_run_has_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    blocks, blocks_per_shard = 5, 2
    whole = tmp_path / "whole"
    run_blocks(stage_at(whole, blocks), open_toy, blocks_per_shard=blocks_per_shard)
    interrupted = 0
    for step in itertools.count():
        path = tmp_path / f"killed-{step}"
        try:
            with killed_at(step):
                run_blocks(stage_at(path, blocks), open_toy, blocks_per_shard=blocks_per_shard)
        except Killed:
            interrupted += 1
        else:
            break
        store = stage_at(path, blocks)
        store.verify()  # whatever counts is whole
        run_blocks(store, open_toy, blocks_per_shard=blocks_per_shard)
        assert table_files(path) == table_files(whole)
        assert {file.name for file in path.rglob("*")} == {file.name for file in whole.rglob("*")}
    assert interrupted == 3 * (2 + 2 + 3 * 3)  # of mark, recipe, stage record, pointer, and 3 files of 3 shards


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_names_the_file_and_leaves_the_run_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    store = stage_at(tmp_path / "run", 6)
    run_blocks(stage_at(tmp_path / "run", 2), open_toy)
    real, calls = os.fsync, 0

    def fill(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fill)
        with pytest.raises(StorageError, match=rf"cannot write {store.directory}/\S+: No space left on device; free some"):
            run_blocks(store, open_toy, workers=workers)
    store.verify()
    assert {0, 1} <= set(store.complete_blocks())
    run_blocks(store, open_toy, workers=workers)
    assert store.is_done()


def test_the_toy_has_empty_blocks_and_shards_of_them() -> None:
    # what the tests above rely on
    assert open_toy()(3).tables["pairs"].num_rows == 0
    assert TOY.stage == "toy"
