"""Real processes: killed, interrupted, and two at once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from impdistill.errors import LockedError
from impdistill.run import RunDirectory, RunLock, run_blocks
from tests.run.toy import FAREWELL, open_toy, stage_at, table_files

ROOT = Path(__file__).parents[2]
BLOCKS, BLOCKS_PER_SHARD = 24, 2


def start(run: Path, *, workers: int = 1, seconds_per_block: float | str = 0.02, blocks: int = BLOCKS) -> subprocess.Popen[str]:
    arguments = [str(run), str(blocks), str(BLOCKS_PER_SHARD), str(workers), str(seconds_per_block)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.run.toy", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n", process.communicate()[1]
    return process


def descendants(pid: int) -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, wave = set(), {pid}
    while wave:
        wave = {child for child, parent in parents.items() if parent in wave}
        found |= wave
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def all_end(pids: set[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(is_alive, pids))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    run_blocks(stage_at(path, BLOCKS), open_toy, blocks_per_shard=BLOCKS_PER_SHARD)
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_and_resumed_the_bytes_are_those_of_an_uninterrupted_run(
    tmp_path: Path, whole: Path, workers: int
) -> None:
    moments = random.Random(workers)
    kills = 0
    for attempt in range(1000):
        process = start(tmp_path / "run", workers=workers)
        time.sleep(moments.uniform(0.0, 0.1 * 1.6**attempt))  # the first surely cuts it short; ever later, or a slow machine never gets on
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        process.communicate()
        stage_at(tmp_path / "run", BLOCKS).verify()
    assert process.communicate()[1] == ""
    assert process.returncode == 0
    assert kills >= 1
    assert table_files(tmp_path / "run") == table_files(whole)
    assert {path.name for path in (tmp_path / "run").rglob("*")} == {path.name for path in whole.rglob("*")}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_within_two_seconds_with_one_line_and_goes_on_later(
    tmp_path: Path, whole: Path, workers: int, number: signal.Signals
) -> None:
    process = start(tmp_path / "run", workers=workers, seconds_per_block=0.1)
    time.sleep(0.25 if workers == 1 else 1.0)
    children = descendants(process.pid)
    assert len(children) >= (workers if workers > 1 else 0)
    began = time.monotonic()
    for pid in {process.pid, *(children if number == signal.SIGINT else ())}:  # a terminal's Ctrl-C goes to all of them
        os.kill(pid, number)
    output, errors = process.communicate(timeout=10)
    assert time.monotonic() - began < 2.0
    assert (process.returncode, output, errors) == (130, "", f"{FAREWELL}\n")
    assert all_end(children, seconds=1)
    store = stage_at(tmp_path / "run", BLOCKS)
    store.verify()
    run_blocks(store, open_toy, blocks_per_shard=BLOCKS_PER_SHARD)
    assert table_files(tmp_path / "run") == table_files(whole)


def test_a_long_native_call_does_not_hold_it_up(tmp_path: Path) -> None:
    process = start(tmp_path / "run", seconds_per_block="native")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)  # from there into the native call
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert 1.1 < time.monotonic() - began < 2.0
    assert (process.returncode, errors) == (130, f"{FAREWELL}\n")


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    process = start(tmp_path / "run", workers=2, seconds_per_block=30)
    deadline = time.monotonic() + 10
    while len(descendants(process.pid)) < 4 and time.monotonic() < deadline:  # two workers, their server, the resource tracker
        time.sleep(0.02)
    children = descendants(process.pid)
    assert len(children) == 4
    time.sleep(1.0)  # they are computing
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert all_end(children, seconds=2)


@pytest.fixture
def working(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(tmp_path / "run", seconds_per_block=30)
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_holds_the_run_and_can_watch_it(tmp_path: Path, working: subprocess.Popen[str]) -> None:
    run = RunDirectory.open(tmp_path / "run")
    with pytest.raises(LockedError, match=f"in use by process {working.pid} on .* since 20.*; wait until it ends"), run.lock():
        pass
    holder = RunLock.holder(run.path)
    assert holder is not None
    assert holder.pid == working.pid
    assert [(stage.stage, stage.done_blocks, stage.total_blocks) for stage in run.status()] == [("toy", 0, BLOCKS)]
    working.kill()
    working.wait()
    assert RunLock.holder(run.path) is None
    with run.lock():  # no stale lock
        pass
    shutil.rmtree(run.path)


def test_workers_start_where_the_server_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = tmp_path / ("x" * 90)  # too long for a socket's address
    far.mkdir()
    monkeypatch.setenv("TMPDIR", str(far))
    process = start(tmp_path / "run", workers=2, seconds_per_block=0)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, output + errors
