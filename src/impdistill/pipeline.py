"""The loop of Impossible Distillation (Jung et al. 2023, section 2), from language models to a dataset and a task model.

`loop` says what follows what and is the only place that does; `distill` makes it, `plan` says what making it would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from impdistill import recipe_source
from impdistill.errors import MismatchError, RecipeError
from impdistill.outcome import Run
from impdistill.recipe import Recipe, TeacherRecipe
from impdistill.run import JSON, PlannedStage, RunDirectory, StageStore, StageWork, recipe_difference, run_blocks, run_overlapping
from impdistill.stages.contexts import contexts_step
from impdistill.stages.dataset import dataset_step
from impdistill.stages.filtering import calibration_step, filtering_step
from impdistill.stages.machine import made_with
from impdistill.stages.parallel import parallel_step, sources_step
from impdistill.stages.rewriting import rewriting_step
from impdistill.stages.screening import screen_step
from impdistill.stages.sequential import sequential_step
from impdistill.stages.step import FolderStep, Observer, Place, RowStep, Step
from impdistill.stages.training import training_step
from impdistill.tasks import Task, for_self_distillation, tasks_of
from impdistill.train.finetune import choose_training_device

AnyStep = TypeVar("AnyStep", RowStep, FolderStep)


class Doer(Protocol):
    """Makes a step, or only notes it; returns it, so that it can be the next one's input."""

    def __call__(self, step: AnyStep, /) -> AnyStep: ...


def loop(recipe: Recipe, tasks: Sequence[Task], do: Doer) -> None:
    """The whole method, step by step."""
    # 1-3: contexts, candidates, filters -> D0, one teacher after the other
    filtered = []
    for teacher in recipe.teachers:
        contexts = do(contexts_step(recipe, teacher, round_=0))
        candidates = []
        if recipe.sequential.outputs:
            candidates.append(do(sequential_step(recipe, teacher, contexts)))
        if recipe.parallel.samples:
            candidates.append(do(parallel_step(recipe, teacher, contexts)))
        filtered.append(filter_candidates(recipe, teacher, tasks, candidates, 0, do))

    # 4: quantize into groups;  5: M0 -> M1
    dataset = do(dataset_step(recipe, tasks, filtered, round_=0))
    student = do(training_step(recipe, tasks, dataset, previous=None, round_=0))

    for round_ in range(1, recipe.self_distillation.rounds + 1):
        # 6: x from the teacher, y from the last student, the same filters -> D1
        filtered = []
        stricter = for_self_distillation(tasks, recipe.self_distillation.entailment, recipe.self_distillation.fluency)
        for teacher in recipe.teachers:
            contexts = do(contexts_step(recipe, teacher, round_))
            sources = do(sources_step(recipe, teacher, contexts, round_))
            rewrites = do(rewriting_step(recipe, stricter, sources, student, teacher, round_))
            filtered.append(filter_candidates(recipe, teacher, stricter, [rewrites], round_, do))
        dataset = do(dataset_step(recipe, tasks, filtered, round_))

        # 7: M1 -> M2
        student = do(training_step(recipe, tasks, dataset, student, round_))


def filter_candidates(
    recipe: Recipe, teacher: TeacherRecipe, tasks: Sequence[Task], candidates: Sequence[RowStep], round_: int, do: Doer
) -> RowStep:
    """The filters; of a cascade, first how the judge alone filters a sample, and where its screen may cut."""
    cascade = recipe.judge.cascade
    if cascade is None:
        return do(filtering_step(recipe, teacher, tasks, candidates, round_))
    calibration = do(calibration_step(recipe, cascade, teacher, tasks, candidates, round_))
    screen = do(screen_step(recipe, cascade, teacher, tasks, candidates, calibration, round_))
    return do(filtering_step(recipe, teacher, tasks, candidates, round_, (calibration, screen)))


def distill(
    recipe: Recipe,
    out: str | Path,
    *,
    tasks: Sequence[Task] | None = None,
    update: bool = False,
    repair: bool = False,
    observer: Observer | None = None,
) -> Run:
    """Run the loop into the directory `out`, or go on with the run that is there.

    Args:
        recipe: what to do.
        out: the run directory; made if it does not exist.
        tasks: in place of the recipe's own tasks (for filters written in Python).
        update: if `out` holds a run of another recipe, take this one over: what it does not touch is kept, the rest is made anew.
        repair: discard damaged shards and make just those again.
        observer: told of progress, with counts.

    Raises:
        MismatchError: `out` holds a run of another recipe and `update` is false.
        ImpdistillError: see `impdistill.errors`.
    """
    chosen = _tasks(recipe, tasks)
    choose_training_device(recipe.execution.device)
    loop(recipe, chosen, lambda step: step)  # works out every key, so a model that is not there is refused before anything is written
    run = _open_for(recipe, Path(out), update)
    with run.lock():
        if update:
            run.write_recipe(recipe.to_yaml())
        if repair:
            repair_run(run)
        maker = _Maker(run, recipe, observer or (lambda progress: None))
        loop(recipe, chosen, maker)
        maker.finish()
    return Run(run)


def plan(recipe: Recipe, out: str | Path, *, tasks: Sequence[Task] | None = None) -> list[PlannedStage]:
    """What `distill` would run in `out`, in order, and why. Loads no model and writes nothing."""
    planner = _Planner(RunDirectory(Path(out)))
    loop(recipe, _tasks(recipe, tasks), planner)
    return planner.planned


def repair_run(run: RunDirectory) -> list[str]:
    """Discard every damaged shard and folder of the current stages; the next run makes just those. Returns what was discarded."""
    discarded = []
    for name in run.stage_names():
        if run.current(name) is None:
            continue
        stage = run.current_stage(name)
        if isinstance(stage, StageStore):
            discarded += [f"{name}: {shard}" for shard in stage.repair()]
        elif stage.repair():
            discarded.append(name)
    return discarded


def _tasks(recipe: Recipe, tasks: Sequence[Task] | None) -> tuple[Task, ...]:
    return tasks_of(recipe) if tasks is None else tuple(tasks)


def _open_for(recipe: Recipe, out: Path, update: bool) -> RunDirectory:
    if not RunDirectory.exists(out):
        return RunDirectory.create(out, recipe.to_yaml())
    run = RunDirectory.open(out)
    changed = [] if update else recipe_difference(_outcome(_stored_recipe(run)), _outcome(recipe.model_dump(mode="json")))
    if changed:
        shown = "; ".join(changed[:5]) + (f"; and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise MismatchError(f"{out}: holds a run of another recipe ({shown}); give another --out, or --update to take this one over")
    return run


def _stored_recipe(run: RunDirectory) -> dict[str, JSON]:
    """The fields of a run's recipe; those that came with a later version than wrote it have their defaults."""
    _, written = recipe_source.read(run.recipe_path)
    try:
        return Recipe.load(written).model_dump(mode="json")
    except RecipeError:
        return written  # of a version that knew other fields, or took other values


def _outcome(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    """The part of a recipe that can change what comes out."""
    return {name: value for name, value in fields.items() if name not in ("execution", "name")}


class _Planner:
    """Notes every step's plan; a step whose input is not done cannot be known to be up to date, but its key already tells."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.planned: list[PlannedStage] = []

    def __call__(self, step: AnyStep, /) -> AnyStep:
        self.planned.append(self.run.plan(step.lineage, step.blocks if isinstance(step, RowStep) else 1))
        return step


class _Maker:
    """Makes every step that is not done; with `execution.overlap`, steps of rows that feed each other at the same time.

    Such steps are held back until one comes that does not read the last of them; `finish` makes those still held.
    """

    def __init__(self, run: RunDirectory, recipe: Recipe, observer: Observer) -> None:
        self.run, self.recipe, self.observer = run, recipe, observer
        self._held: list[RowStep] = []

    def __call__(self, step: AnyStep, /) -> AnyStep:
        if isinstance(step, RowStep):
            if not (self._held and self.recipe.execution.overlap and _feeds(self._held[-1], step)):
                self.finish()
            self._held.append(step)
            if not self.recipe.execution.overlap:
                self.finish()
            return step
        self.finish()
        folder = self.run.folder(step.lineage)
        if not folder.is_done():
            step.build(folder, self.observer, *step.arguments, *(self._place(source) for source in step.inputs))
        return step

    def finish(self) -> None:
        """Make what is held."""
        if not self._held:
            return
        works = [self._work(step) for step in self._held]
        self._held = []
        execution = self.recipe.execution
        options: dict[str, Any] = {
            "blocks_per_shard": execution.blocks_per_shard,
            "workers": execution.workers,
            "made_with": made_with(execution, self.recipe.numerics.dtype),
            "on_progress": self.observer,
        }
        if len(works) == 1:
            run_blocks(works[0].store, works[0].open_stage, works[0].open_arguments, **options)
        else:
            run_overlapping(works, **options)

    def _work(self, step: RowStep) -> StageWork:
        store = self.run.stage(step.lineage, step.blocks)
        places = tuple(self._place(source) for source in step.inputs)
        history = (self.run.other_versions(step.lineage, step.reusable_under),) if step.reusable_under else ()
        return StageWork(store, step.open, (*step.arguments, *places, *history))

    def _place(self, step: Step) -> Place:
        if isinstance(step, RowStep):
            return self.run.stage(step.lineage, step.blocks)
        return self.run.intact(self.run.folder(step.lineage)).path


def _feeds(before: RowStep, step: RowStep) -> bool:
    """Whether a step can run while `before` does: block by block on what it has made, with another model."""
    shared = set(before.lineage.models.values()) & set(step.lineage.models.values())
    return any(source is before for source in step.inputs) and before.blocks == step.blocks and not shared
