"""Where a run's files are.

RUN/
  run.json               format and version; the mark of a run directory
  recipe.yaml            what was asked for
  lock
  stages/<stage>/
    current.json         the key in use
    <key, 12 digits>/    one per key the stage ever had, so that going back is cheap; `prune` removes the others
      stage.json  shards and manifests, or a folder
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from impdistill.errors import DamagedShardError, RunError
from impdistill.run.folder import FolderStage
from impdistill.run.lineage import Lineage, PlannedStage, differences
from impdistill.run.lock import LOCK_NAME, RunLock
from impdistill.run.record import RECORD_NAME, StageRecord
from impdistill.run.storage import TEMPORARY, BrokenSealError, read_sealed, remove_directory, write_durably, write_sealed
from impdistill.run.store import StageProgress, StageStore

RUN_FORMAT = 1
_MARK_NAME = "run.json"
_RECIPE_NAME = "recipe.yaml"
_CURRENT_NAME = "current.json"
_KEY_DIGITS = 12


class RunDirectory:
    """A run on disk. Get one from `create` or `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe_path = path / _RECIPE_NAME
        self._intact: set[Path] = set()

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether there is a run at `path` (not merely a directory)."""
        return (path / _MARK_NAME).exists() and (path / _RECIPE_NAME).exists()

    @classmethod
    def create(cls, path: Path, recipe_text: str) -> RunDirectory:
        """Makes a run of a new or empty directory. Raises `RunError` if it holds anything, `LockedError`, `StorageError`."""
        _refuse_foreign_files(path)
        with RunLock(path):
            _refuse_foreign_files(path)
            # the recipe last: a process killed in between leaves a directory that still counts as empty
            write_durably(path / _MARK_NAME, json.dumps({"format": RUN_FORMAT, "impdistill": version("impdistill")}).encode())
            write_durably(path / _RECIPE_NAME, recipe_text.encode())
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Raises `RunError` if there is no run, or one of a newer format."""
        if not cls.exists(path):
            raise RunError(f"{path}: no run is there (no {_MARK_NAME}); give the directory that `impdistill run --out` wrote")
        try:
            mark = json.loads((path / _MARK_NAME).read_bytes())
            found = int(mark["format"])
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(f"{path / _MARK_NAME}: does not say the format of the run; it was damaged") from error
        if found != RUN_FORMAT:
            raise RunError(
                f"{path}: has format {found}, made by impdistill {mark.get('impdistill')}; this version reads format {RUN_FORMAT}"
            )
        return cls(path)

    def write_recipe(self, text: str) -> None:
        """Puts another recipe in its place, whole or not at all. For the process that holds the lock."""
        write_durably(self.recipe_path, text.encode())

    def lock(self) -> RunLock:
        """`with run.lock():` before anything is written. Raises `LockedError`."""
        return RunLock(self.path)

    # Stages

    def stage(self, lineage: Lineage, total_blocks: int) -> StageStore:
        """The stage's rows under this lineage, created where absent, and from now on its current ones."""
        record = StageRecord(lineage, total_blocks, "rows")
        return StageStore(self._make_current(record), record)

    def folder(self, lineage: Lineage) -> FolderStage:
        """As `stage`, where the outcome is a folder."""
        record = StageRecord(lineage, 1, "folder")
        folder = FolderStage(self._make_current(record), record)
        if folder.is_done():
            folder.remove_work()  # which a process killed just after finishing it left
        return folder

    def intact(self, folder: FolderStage) -> FolderStage:
        """The folder, verified if it was not before. Raises `RunError` if it is not finished, `DamagedShardError`."""
        if folder.directory not in self._intact:
            folder.verify()
            self._intact.add(folder.directory)
        return folder

    def stage_names(self) -> list[str]:
        """The stages that were ever run, sorted. Reads no stage, so that damage in one hides none of the others."""
        return sorted(path.parent.name for path in self._stages.glob(f"*/{_CURRENT_NAME}"))

    def current(self, stage: str) -> Lineage | None:
        """What the stage was last run with; None if never."""
        directory = self._current_directory(stage)
        return StageRecord.read(directory).lineage if directory else None

    def current_stage(self, stage: str) -> StageStore | FolderStage:
        """The stage as it was last run, for reading. Raises `RunError` if it never was."""
        directory = self._current_directory(stage)
        if directory is None:
            raise RunError(f"{self.path}: stage {stage} was never run; there are {self.stage_names()}")
        record = StageRecord.read(directory)
        return StageStore(directory, record) if record.kind == "rows" else FolderStage(directory, record)

    def plan(self, lineage: Lineage, total_blocks: int = 1) -> PlannedStage:
        """What running the stage with this lineage would do, and why. Touches nothing."""
        previous = self.current(lineage.stage)
        directory = self._directory(lineage)
        done_blocks = _done_blocks(directory, total_blocks)
        state: Literal["done", "partial", "to do"]
        if done_blocks == total_blocks:
            state = "done"
            again = previous is not None and previous.key == lineage.key
            why = "up to date" if again else "kept from an earlier run with these settings"
        elif done_blocks:
            state, why = "partial", f"{done_blocks} of {total_blocks} blocks are there"
        else:
            state = "to do"
            why = "not run yet" if previous is None else "; ".join(differences(previous, lineage)) or "begun, no block finished"
        return PlannedStage(lineage.stage, lineage.key, state, why, done_blocks, total_blocks)

    def status(self) -> list[StageProgress]:
        """How far each stage is under its current key, inputs before what reads them. Safe while another process runs."""
        records = {name: StageRecord.read(directory) for name, directory in self._current_directories()}
        order = TopologicalSorter({name: sorted(record.lineage.inputs) for name, record in sorted(records.items())})
        return [_progress(self._directory(records[name].lineage), records[name]) for name in order.static_order() if name in records]

    def other_versions(self, lineage: Lineage, same_settings: Sequence[str]) -> tuple[StageStore, ...]:
        """Rows of this stage under other keys that follow from the same inputs and models, and agree in `same_settings`.

        In the order of their keys. One whose record is damaged is left out: nobody needs it.
        """
        stores = []
        for directory in sorted((self._stages / lineage.stage).glob("*/")):
            if (directory / RECORD_NAME).exists() and directory != self._directory(lineage):
                try:
                    record = StageRecord.read(directory)
                except DamagedShardError:
                    continue
                other = record.lineage
                agrees = all(other.settings.get(name) == lineage.settings.get(name) for name in same_settings)
                if agrees and other.inputs == lineage.inputs and other.models == lineage.models and record.kind == "rows":
                    stores.append(StageStore(directory, record))
        return tuple(stores)

    def superseded(self) -> list[Path]:
        """Directories of keys that are not current, and what a killed process left of directories."""
        kept = {directory for _, directory in self._current_directories()}
        keys = [path for path in self._stages.glob("*/*") if path.is_dir() and path not in kept]
        unfinished = [path for directory in kept for path in directory.glob(f"{TEMPORARY}*") if path.is_dir()]
        return sorted(keys + unfinished)

    def prune(self) -> list[Path]:
        """Removes the superseded directories and returns them. For the process that holds the lock."""
        removed = self.superseded()
        for directory in removed:
            remove_directory(directory)
        return removed

    @property
    def _stages(self) -> Path:
        return self.path / "stages"

    def _directory(self, lineage: Lineage) -> Path:
        return self._stages / lineage.stage / lineage.key[:_KEY_DIGITS]

    def _make_current(self, record: StageRecord) -> Path:
        directory = self._directory(record.lineage)
        record.write(directory)
        if self._current_directory(record.lineage.stage) != directory:
            write_sealed(directory.parent / _CURRENT_NAME, {"key": record.lineage.key})
        return directory

    def _current_directory(self, stage: str) -> Path | None:
        pointer = self._stages / stage / _CURRENT_NAME
        if not pointer.exists():
            return None
        try:
            directory = self._stages / stage / str(read_sealed(pointer)["key"])[:_KEY_DIGITS]
        except BrokenSealError as error:
            raise DamagedShardError(f"{pointer}: {error}; remove it and run again") from error
        return directory if (directory / RECORD_NAME).exists() else None  # someone may have removed it to have it rebuilt

    def _current_directories(self) -> Iterator[tuple[str, Path]]:
        for name in self.stage_names():
            directory = self._current_directory(name)
            if directory is not None:
                yield name, directory


def _refuse_foreign_files(path: Path) -> None:
    if RunDirectory.exists(path):
        raise RunError(f"{path}: there is a run already; open it")
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is not a directory; choose another")
    if path.exists():
        foreign = [
            entry.name for entry in path.iterdir() if entry.name not in (LOCK_NAME, _MARK_NAME) and not entry.name.startswith(TEMPORARY)
        ]
        if foreign:
            raise RunError(f"{path}: is not a run, and not empty (it holds {sorted(foreign)[0]}); choose another directory")


def _done_blocks(directory: Path, total_blocks: int) -> int:
    if not (directory / RECORD_NAME).exists():
        return 0
    record = StageRecord.read(directory)
    if record.kind == "folder":
        return int(FolderStage(directory, record).is_done())
    return len(StageStore(directory, StageRecord(record.lineage, total_blocks, "rows")).complete_blocks())


def _progress(directory: Path, record: StageRecord) -> StageProgress:
    if record.kind == "rows":
        return StageStore(directory, record).progress()
    folder = FolderStage(directory, record)
    return StageProgress(record.lineage.stage, int(folder.is_done()), 1, seconds=folder.seconds())
