"""Several processes that compute shards, each of one stage, which it opens once. They write nothing.

No worker is a fork of this process: CUDA and threads do not survive one. On Linux they are forked from a server that has imported what
a worker needs and done nothing with it, which spares each the seconds of importing torch; elsewhere they are spawned. A worker ends with
its parent, however that ends.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from typing import Any

from impdistill.errors import RunError
from impdistill.run.shards import BlockRecord, Compute, ComputedShard, Shard, compute_shard

_GRACE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a worker's computation raised, and its traceback there."""

    error: Exception
    trace: str


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection[Any, Any]
    shard: Shard


@dataclass(slots=True)
class Crew:
    """The processes that compute one stage.

    pending: its shards, in the order in which they are begun.
    workers: most processes, at most as many as shards.
    is_ready: whether what a shard reads is on disk; asked again whenever a shard, of whichever stage, has been taken.
    """

    pending: deque[Shard]
    open_stage: Callable[..., Compute]
    open_arguments: tuple[Any, ...]
    workers: int
    is_ready: Callable[[Shard], bool] = field(default=lambda shard: True)


def compute_in_crews(crews: Sequence[Crew]) -> Generator[tuple[int, BlockRecord | ComputedShard], None, None]:
    """(Index of the crew, record of a block or finished shard), in any order. Who takes a shard puts it on disk before asking for more.

    Raises what a worker raised, and `RunError` if one died; closing the iterator ends all workers at once.
    """
    started: list[_Worker] = []
    idle: list[list[_Worker]] = [[] for _ in crews]
    hired = [0] * len(crews)
    busy: dict[Connection[Any, Any], tuple[int, _Worker]] = {}

    def hand_out() -> None:
        for number, crew in enumerate(crews):
            while crew.pending and (idle[number] or hired[number] < crew.workers) and crew.is_ready(crew.pending[0]):
                shard = crew.pending.popleft()
                if idle[number]:
                    worker = idle[number].pop()
                    worker.shard = shard
                    _send(worker, shard)
                else:
                    hired[number] += 1
                    with _sigint_blocked():
                        # one by one: if the third cannot start, the first two are still to be ended
                        worker = _start(crew.open_stage, crew.open_arguments, shard)
                        started.append(worker)
                busy[worker.connection] = (number, worker)
            while not crew.pending and idle[number]:
                _send(idle[number].pop(), None)

    try:
        hand_out()
        while busy:
            for connection in wait(list(busy)):
                number, worker = busy[connection]  # type: ignore[index]  # wait() returns what it was given
                message = _receive(worker)
                yield number, message
                if isinstance(message, ComputedShard):
                    del busy[worker.connection]
                    idle[number].append(worker)
                    hand_out()
        if any(crew.pending for crew in crews):
            raise RunError(f"{next(crew.pending[0] for crew in crews if crew.pending)} waits for blocks that nobody computes; run again")
        for worker in started:
            worker.process.join(_GRACE_SECONDS)
    finally:
        for worker in started:
            worker.process.terminate()
        for worker in started:
            worker.process.join(_GRACE_SECONDS)
            worker.process.kill()
            worker.process.join()
            worker.connection.close()


def _start(open_stage: Callable[..., Any], open_arguments: tuple[Any, ...], shard: Shard) -> _Worker:
    context = _context(open_stage)
    connection, other_end = context.Pipe()
    # A server keeps the environment of the moment it started, so the worker is told today's.
    process = context.Process(target=_work, args=(other_end, dict(os.environ), open_stage, open_arguments), daemon=True)
    try:
        process.start()
    except (OSError, EOFError) as error:
        raise RunError(f"no worker process could be started ({type(error).__name__}: {error}); run again, or with one worker") from error
    other_end.close()  # so that the worker's death reads as the end of its messages
    worker = _Worker(process, connection, shard)
    _send(worker, shard)
    return worker


def _context(open_stage: Callable[..., Any]) -> ForkServerContext | SpawnContext:
    """How workers come to be. The server is started with the first of them, and imports that one's stage."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")  # frameworks of macOS do not survive a fork even where nothing used them
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([open_stage.__module__])
    try:
        multiprocessing.forkserver.ensure_running()
    except OSError:  # its socket lies in the folder for temporary files, whose path may be too long for one
        return multiprocessing.get_context("spawn")
    return context


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Processes started meanwhile never see the terminal's Ctrl-C: their parent ends them, without tracebacks of theirs."""
    ensure_running()  # starting it later would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send(worker: _Worker, shard: Shard | None) -> None:
    try:
        worker.connection.send(shard)
    except OSError as error:
        raise _death(worker) from error


def _receive(worker: _Worker) -> BlockRecord | ComputedShard:
    try:
        message: BlockRecord | ComputedShard | _Failure = worker.connection.recv()
    except (EOFError, OSError) as error:
        raise _death(worker) from error
    if isinstance(message, _Failure):
        message.error.add_note(f"in a worker process, computing {worker.shard}:\n{message.trace}")
        raise message.error
    return message


def _death(worker: _Worker) -> RunError:
    worker.process.join(_GRACE_SECONDS)
    code = worker.process.exitcode or 0
    cause = f"exit code {code}"
    if code < 0:
        cause += f", {signal.Signals(-code).name}"
    if code == -signal.SIGKILL:
        cause += ": often for want of memory, which fewer workers need less of"
    return RunError(f"a worker process died while computing {worker.shard} ({cause}); run again to go on")


# In the worker


def _work(
    connection: Connection[Any, Any], environment: dict[str, str], open_stage: Callable[..., Any], open_arguments: tuple[Any, ...]
) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the server may not be ours, and have been started without
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        compute = open_stage(*open_arguments)
        while (shard := connection.recv()) is not None:
            for event in compute_shard(compute, shard):
                connection.send(event)
    except Exception as error:
        connection.send(_Failure(_picklable(error), traceback.format_exc()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _picklable(error: Exception) -> Exception:
    """The error itself if it survives the way to the parent, which not every library's does."""
    try:  # our own bytes, made a moment ago in this process: nothing foreign is unpickled
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a foreign error's own pickling raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return copy
