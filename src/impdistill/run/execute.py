"""Computes what is missing of a stage, in this process or in several, and puts it on disk.

Results do not depend on the schedule: a block is computed from its index alone, workers only compute, and this process,
which holds the run's lock, is the only one that writes. Any interruption costs at most the shards in progress.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from impdistill.errors import RunError
from impdistill.run.shards import BlockRecord, Compute, ComputedShard, Shard, compute_shard, cut_into_shards
from impdistill.run.store import StageProgress, StageStore
from impdistill.run.workers import Crew, compute_in_crews

OpenStage: TypeAlias = Callable[..., Compute]


def run_blocks(
    store: StageStore,
    open_stage: OpenStage,
    open_arguments: tuple[Any, ...] = (),
    *,
    blocks_per_shard: int = 1,
    workers: int = 1,
    made_with: Mapping[str, str] | None = None,
    on_progress: Callable[[StageProgress], None] | None = None,
) -> None:
    """Computes and stores the stage's missing blocks; returns when all are on disk.

    `open_stage(*open_arguments)` loads what the stage needs, once in each process that computes, and not at all if
    nothing is missing; it returns the function from a block's index to its result, which must be pure. With several
    workers, both must be picklable (`open_stage` a module's function), and the opener should set the same number of
    threads for any number of workers: sums depend on it.
    made_with: library versions, model revisions, device: into each manifest, not into the key.
    on_progress: called after every block; its counts include blocks whose shard is not yet on disk.

    Raises what a worker's computation raised; `RunError` if a worker died; `StorageError`; `DamagedShardError`.
    """
    _check(blocks_per_shard=blocks_per_shard, workers=workers)
    # 1  what is missing, cut so that a resumed run writes the files of an uninterrupted one
    store.remove_leftovers()
    progress = _Progress(store.progress(), on_progress)
    shards = cut_into_shards(store.missing_blocks(), blocks_per_shard)
    if not shards:
        return
    # 2  compute: block records as they come, then their shard
    workers = min(workers, len(shards))
    if workers == 1:
        events = _compute_here(shards, open_stage, open_arguments)
    else:
        events = compute_in_crews([Crew(deque(shards), open_stage, open_arguments, workers)])
    # 3  store
    with closing(events):
        for _, event in events:
            _take(event, store, progress, made_with or {})


@dataclass(frozen=True, slots=True)
class StageWork:
    """A stage to compute: `open_stage(*open_arguments)` as for `run_blocks`."""

    store: StageStore
    open_stage: OpenStage
    open_arguments: tuple[Any, ...] = ()


def run_overlapping(
    stages: Sequence[StageWork],
    *,
    blocks_per_shard: int = 1,
    workers: int = 1,
    made_with: Mapping[str, str] | None = None,
    on_progress: Callable[[StageProgress], None] | None = None,
) -> None:
    """As `run_blocks` for stages of which each reads the same blocks of the one before it, all at the same time.

    Every stage has processes of its own, `workers` each, which open it once: the models of all stages are in memory together. A shard
    is begun when the blocks it covers are on disk in the stage before. What is written is what one stage after the other would write.
    """
    _check(blocks_per_shard=blocks_per_shard, workers=workers)
    progress, crews = [], []
    for number, stage in enumerate(stages):
        stage.store.remove_leftovers()
        progress.append(_Progress(stage.store.progress(), on_progress))
        shards = cut_into_shards(stage.store.missing_blocks(), blocks_per_shard)
        before = stages[number - 1].store if number else None
        crews.append(Crew(deque(shards), stage.open_stage, stage.open_arguments, min(workers, len(shards)), partial(_has_blocks, before)))
    with closing(compute_in_crews(crews)) as events:
        for number, event in events:
            _take(event, stages[number].store, progress[number], made_with or {})


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise RunError(f"{name}: {number} is too few; give at least 1")


def _has_blocks(store: StageStore | None, shard: Shard) -> bool:
    return store is None or set(shard.blocks()) <= set(store.complete_blocks())


def _take(event: BlockRecord | ComputedShard, store: StageStore, progress: _Progress, made_with: Mapping[str, str]) -> None:
    if isinstance(event, ComputedShard):
        store.commit(event, made_with)
    else:
        progress.add(event)


def _compute_here(
    shards: list[Shard], open_stage: OpenStage, open_arguments: tuple[Any, ...]
) -> Generator[tuple[int, BlockRecord | ComputedShard], None, None]:
    compute = open_stage(*open_arguments)
    for shard in shards:
        for event in compute_shard(compute, shard):
            yield 0, event


class _Progress:
    """Adds finished blocks to where the stage stood at the start; the time left is by the pace of this run alone."""

    def __init__(self, start: StageProgress, on_progress: Callable[[StageProgress], None] | None) -> None:
        self._start = start
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._counts = Counter(start.counts)
        self._seconds = start.seconds
        self._blocks = 0
        self._report(seconds_left=None)

    def add(self, record: BlockRecord) -> None:
        self._blocks += 1
        self._seconds += record.seconds
        self._counts.update(record.counts)
        blocks_left = self._start.total_blocks - self._start.done_blocks - self._blocks
        self._report((time.monotonic() - self._began) / self._blocks * blocks_left)

    def _report(self, seconds_left: float | None) -> None:
        if self._on_progress is None:
            return
        done_blocks = self._start.done_blocks + self._blocks
        counts = dict(sorted(self._counts.items()))
        self._on_progress(StageProgress(self._start.stage, done_blocks, self._start.total_blocks, counts, self._seconds, seconds_left))
