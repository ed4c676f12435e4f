"""Stage: a student trained on a round's dataset: M0 -> M1 -> M2 (Jung et al. 2023, sections 2.1.2 and 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from impdistill.models.loading import fingerprint
from impdistill.models.student_format import StudentFormat
from impdistill.recipe import Recipe
from impdistill.run import FolderStage, Lineage, StageProgress
from impdistill.stages.cards import card_facts
from impdistill.stages.dataset import SPLITS
from impdistill.stages.machine import made_with, use_threads
from impdistill.stages.step import FolderStep, Observer, input_keys, stage_name
from impdistill.tasks import Task, borders, instructions
from impdistill.train.card import model_card
from impdistill.train.examples import Example
from impdistill.train.finetune import finetune
from impdistill.train.training import TrainingProgress

CODE_VERSION = 1
EXAMPLE = pa.schema([("group", pa.string()), ("x", pa.string()), ("y", pa.string())])


def training_step(recipe: Recipe, tasks: Sequence[Task], dataset: FolderStep, previous: FolderStep | None, round_: int) -> FolderStep:
    """The student of a round, from the last one's weights or from M0's."""
    training = recipe.student.training if round_ == 0 else recipe.self_distillation.training or recipe.student.training
    from_base = previous is None or recipe.self_distillation.start_from == "base"
    inputs = (dataset,) if previous is None or from_base else (dataset, previous)
    return FolderStep(
        lineage=Lineage(
            stage=stage_name("student", round_),
            code_version=CODE_VERSION,
            settings={"training": training.model_dump(mode="json"), "groups": dict(instructions(tasks))},
            models={"base": fingerprint(recipe.student.model, recipe.student.revision)} if from_base else {},
            model_names={"base": recipe.student.model} if from_base else {},
            inputs=input_keys(inputs),
            seed=recipe.seed,
        ),
        build=build_student,
        arguments=(recipe, tuple(tasks), round_),
        inputs=inputs,
    )


def build_student(
    stage: FolderStage,
    observer: Observer,
    recipe: Recipe,
    tasks: Sequence[Task],
    round_: int,
    dataset: Path,
    previous: Path | None = None,
) -> None:
    """Train into the stage's folder, going on from the checkpoints in its work folder."""
    training = recipe.student.training if round_ == 0 else recipe.self_distillation.training or recipe.student.training

    use_threads(recipe.execution, alone=True)

    def report(progress: TrainingProgress) -> None:
        observer(StageProgress(stage.stage, progress.step, progress.total_steps))

    with stage.building(made_with(recipe.execution)) as building:
        result = finetune(
            recipe.student.model if previous is None else str(previous),
            recipe.student.revision if previous is None else None,
            read_examples(dataset, "train"),
            read_examples(dataset, "validation"),
            building.path,
            stage.work,
            training,
            instructions(tasks),
            seed=recipe.seed,
            borders=borders(tasks),
            device=recipe.execution.device,
            on_progress=report,
        )
        building.facts.update(result.facts())
        splits = {split: read_split(dataset, split) for split in SPLITS}
        facts = card_facts(
            recipe,
            tasks,
            round_,
            {split: table for split, table in splits.items() if table.num_rows},
            kind=StudentFormat.read(str(building.path)).kind,
            training=result,
        )
        (building.path / "README.md").write_text(model_card(facts), encoding="utf-8")
    observer(StageProgress(stage.stage, 1, 1, counts={"pairs": result.pairs, "steps": result.steps}))


def read_examples(dataset: Path, split: str) -> list[Example]:
    """The examples of a dataset folder's split, in its order."""
    return [Example(group=row["group"], x=row["x"], y=row["y"]) for row in read_split(dataset, split).to_pylist()]


def read_split(dataset: Path, split: str) -> pa.Table:
    """Groups and sentences of a dataset folder's split; no rows if it has no such split."""
    tables = [pq.read_table(path, columns=EXAMPLE.names) for path in sorted((dataset / "data").glob(f"{split}-*.parquet"))]
    return pa.concat_tables([EXAMPLE.empty_table(), *(table.cast(EXAMPLE) for table in tables)])
