"""A run, as its users see it: its datasets, its students, and how it got there. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from impdistill.errors import RunError
from impdistill.filters import Cutoff
from impdistill.models.student import Student
from impdistill.recipe import Recipe
from impdistill.run import FolderStage, Holder, RunDirectory, RunLock, StageProgress, StageStore
from impdistill.stages.step import stage_name


@dataclass(frozen=True, slots=True)
class Pair:
    """A kept pair, as it stands in a dataset.

    Attributes:
        x, y: input and output sentence.
        task, group, domain: what it is an example of, and where it comes from.
        process: sequential, parallel or self-distillation.
        context: number of the context it was generated after (unique within its domain and round).
        compression: |y| / |x| in words.   rouge_l, density: in [0, 1].
        entailment: P(x => y);   reverse_entailment: P(y => x), None where no filter asked for it. Both in [0, 1].
        fluency: the lower P(fluent) of x and y, in [0, 1]; None where no filter asked for it.
        split: train or validation.
    """

    x: str
    y: str
    task: str
    group: str
    domain: str
    process: str
    context: int
    compression: float
    rouge_l: float
    density: float
    entailment: float | None
    reverse_entailment: float | None
    fluency: float | None
    split: str


class Run:
    """A run directory, finished or not.

    Example:
        >>> run = Run.open("runs/starter")
        >>> run.student().rewrite(["The committee met on Tuesday to discuss the new rules."], "paraphrase")
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Raises `RunError` if no run is there."""
        return cls(RunDirectory.open(Path(path)))

    @property
    def path(self) -> Path:
        return self.directory.path

    @property
    def recipe(self) -> Recipe:
        """What the run was asked for."""
        return Recipe.load(self.directory.recipe_path)

    def status(self) -> list[StageProgress]:
        """How far each stage is, in the order of the loop; safe while another process runs."""
        return self.directory.status()

    def dataset(self, round_: int | None = None) -> FolderStage:
        """The dataset D of a round: 0 is D0, made from the teachers alone; None is the last one that is done.

        Raises:
            RunError: it is not done.
            DamagedShardError: a file of it is not what was written; the first call looks at all of them.
        """
        return self._folder("dataset", round_)

    def pairs(self, round_: int | None = None) -> Iterator[Pair]:
        """The pairs of a dataset, train before validation (see `dataset` for `round_`)."""
        folder = self.dataset(round_).path
        for split in ("train", "validation"):
            for path in sorted((folder / "data").glob(f"{split}-*.parquet")):
                for batch in pq.ParquetFile(path).iter_batches():
                    for row in batch.to_pylist():
                        yield Pair(split=split, **{name: row[name] for name in Pair.__slots__ if name != "split"})

    def student_folder(self, round_: int | None = None) -> FolderStage:
        """The folder of the student trained on `dataset(round_)`: 0 is M1; None is the last one that is done."""
        return self._folder("student", round_)

    def student(self, round_: int | None = None, *, device: str = "auto", dtype: str = "auto") -> Student:
        """Load a student (see `student_folder` for `round_`)."""
        return Student.load(str(self.student_folder(round_).path), device=device, dtype=dtype)

    def filters(self, round_: int) -> dict[str, StageStore]:
        """Domain -> the rows of its filter stage in a round: kept and dropped pairs, scores, counts."""
        stores = {}
        for teacher in self.recipe.teachers:
            name = stage_name("filter", round_, teacher.domain)
            if self.directory.current(name) is not None:
                stage = self.directory.current_stage(name)
                assert isinstance(stage, StageStore)
                stores[teacher.domain] = stage
        return stores

    def contexts(self, round_: int) -> int:
        """How many contexts the filters of a round are done with, those after which no sentence was worth a candidate among them."""
        number = 0
        for domain, store in self.filters(round_).items():
            name = stage_name("contexts", round_, domain)
            if self.directory.current(name) is None:  # a run that begins with candidates
                number += store.counts().get("contexts", 0)
                continue
            contexts = self.directory.current_stage(name)
            assert isinstance(contexts, StageStore)
            number += contexts.counts(blocks=set(store.complete_blocks())).get("accepted", 0)
        return number

    def notes(self) -> dict[str, list[str]]:
        """Stage -> what its blocks noted: batches halved for want of memory, pairs cut to what the judge reads. Others are left out."""
        found = {}
        for progress in self.status():
            stage = self.directory.current_stage(progress.stage)
            if isinstance(stage, StageStore) and (notes := stage.notes()):
                found[progress.stage] = notes
        return found

    def holder(self) -> Holder | None:
        """The process that works on it now; None if nobody does."""
        return RunLock.holder(self.path)

    def cutoffs(self, round_: int) -> dict[str, dict[str, Cutoff]]:
        """Domain -> task -> where the screen of a cascade cuts in a round, and what it may lose; empty without a cascade."""
        found = {}
        for domain, store in self.filters(round_).items():
            lineage = self.directory.current(store.stage)
            if lineage is not None and "cascade" in lineage.settings:
                stage = self.directory.current_stage(stage_name("screen", round_, domain))
                assert isinstance(stage, FolderStage)
                found[domain] = {task: Cutoff(**fields) for task, fields in stage.facts()["tasks"].items()}
        return found

    def _folder(self, what: str, round_: int | None) -> FolderStage:
        rounds = range(self.recipe.self_distillation.rounds, -1, -1) if round_ is None else [round_]
        for number in rounds:
            name = stage_name(what, number)
            if self._is_up_to_date(name):
                stage = self.directory.current_stage(name)
                if isinstance(stage, FolderStage) and stage.is_done():
                    return self.directory.intact(stage)
        which = "no" if round_ is None else f"no round-{round_}"
        raise RunError(f"{self.path}: {which} {what} is finished yet; see `impdistill status {self.path}`, and run again to go on")

    def _is_up_to_date(self, name: str) -> bool:
        """Whether a stage's current version was made from the current versions of what it reads: an update may have got only so far."""
        lineage = self.directory.current(name)
        if lineage is None:
            return False
        inputs = {stage: self.directory.current(stage) for stage in lineage.inputs}
        return all(
            found is not None and found.key == lineage.inputs[stage] and self._is_up_to_date(stage) for stage, found in inputs.items()
        )
