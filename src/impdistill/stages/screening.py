"""Stage: where the screen of a cascade cuts, found on a sample that the judge filtered alone (not in the paper).

The sample is a filter stage without a screen over the first contexts. The outcome is a folder with the cut-offs; its facts say what the
screen may lose and what it spares.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from impdistill.errors import RecipeError
from impdistill.filters import Cutoff, Entailment, Filter, Scorer, choose_cutoff, with_screen
from impdistill.models.embedder import Embedder
from impdistill.models.judge import Judge
from impdistill.models.loading import fingerprint
from impdistill.recipe import CascadeRecipe, Recipe, TeacherRecipe
from impdistill.run import FolderStage, Lineage, StageProgress, StageStore
from impdistill.stages.candidates import candidates_of_block
from impdistill.stages.contexts import shape_settings
from impdistill.stages.machine import made_with, use_threads
from impdistill.stages.step import FolderStep, Observer, RowStep, input_keys, stage_name
from impdistill.tasks import Task

CODE_VERSION = 1

CUTOFFS_NAME = "cutoffs.json"

QUESTIONS_DRAWN = 4_000
"""Of the judge's questions in the sample, for what a cut-off would spare: its standard error is then below .01."""


def screen_step(
    recipe: Recipe,
    cascade: CascadeRecipe,
    teacher: TeacherRecipe,
    tasks: Sequence[Task],
    candidates: Sequence[RowStep],
    calibration: RowStep,
    round_: int,
) -> FolderStep:
    """The cut-off of each task, for one teacher."""
    return FolderStep(
        lineage=Lineage(
            stage=stage_name("screen", round_, teacher.domain),
            code_version=CODE_VERSION,
            settings={
                "cascade": cascade.model_dump(mode="json", exclude={"model", "revision", "contexts"}),
                "blocks": calibration.blocks,
                **shape_settings(recipe),
            },
            models={"screen": fingerprint(cascade.model, cascade.revision)},
            model_names={"screen": cascade.model},
            inputs=input_keys([calibration]),
            seed=recipe.seed,
        ),
        build=build_screen,
        arguments=(recipe, tuple(tasks)),
        inputs=(calibration, *candidates),
    )


def build_screen(
    stage: FolderStage, observer: Observer, recipe: Recipe, tasks: Sequence[Task], calibration: StageStore, *candidates: StageStore
) -> None:
    """Write the cut-offs.

    Raises:
        RecipeError: the recipe has no cascade.
    """
    cascade = recipe.judge.cascade
    if cascade is None:
        raise RecipeError("judge.cascade is missing; give the screening model, or no cascade")
    started = time.perf_counter()
    score = scorer_of(recipe)
    judged = score(*judged_questions(calibration, candidates, tasks, recipe.seed))
    pairs = calibration.read("pairs", ["task", "x", "y", "reason"])
    pairs = pairs.filter(pc.is_null(pairs["reason"]))
    cutoffs = {}
    for task in tasks:
        kept = pairs.filter(pc.equal(pairs["task"], task.name))
        both = any(isinstance(rule, Entailment) and rule.direction == "both" for rule in task.filters)
        scores = pair_scores(score, kept["x"].to_pylist(), kept["y"].to_pylist(), both=both)
        cutoffs[task.name] = choose_cutoff(
            scores, judged, recall=cascade.recall, confidence=cascade.confidence, least_saving=cascade.least_saving
        )
    with stage.building(made_with(recipe.execution, recipe.numerics.dtype)) as building:
        found = {task: cutoff.as_json() for task, cutoff in cutoffs.items()}
        building.facts.update(model=cascade.model, tasks=found, seconds=round(time.perf_counter() - started, 3))
        (building.path / CUTOFFS_NAME).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    observer(StageProgress(stage.stage, 1, 1))


def pair_scores(score: Scorer, xs: Sequence[str], ys: Sequence[str], *, both: bool) -> NDArray[np.float32]:
    """The screening score of n pairs, (n,): of x => y, or the smaller one of both directions."""
    places = np.arange(len(xs))
    forward = score([*xs, *ys], np.stack([places, places + len(xs)], axis=1))
    return np.minimum(forward, score([*xs, *ys], np.stack([places + len(xs), places], axis=1))) if both else forward


def judged_questions(
    calibration: StageStore, candidates: Sequence[StageStore], tasks: Sequence[Task], seed: int
) -> tuple[list[str], NDArray[np.int64]]:
    """Some of the questions that the judge was asked in the sample: texts, and (q, 2) indices of premise and hypothesis."""
    groups = [group.name for task in tasks for group in task.groups]
    asked = pc.sum(pc.list_value_length(calibration.read("scores", ["premises"])["premises"])).as_py() or 0
    chosen = np.zeros(asked, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(asked)[:QUESTIONS_DRAWN]] = True
    texts: list[str] = []
    questions: list[tuple[int, int]] = []
    start = 0
    for block, rows in calibration.iter_blocks("scores"):
        sentences = {each.context: each.sentences for each in candidates_of_block(candidates, block, groups)}
        for row in rows.to_pylist():
            for place in np.flatnonzero(chosen[start : start + len(row["premises"])]).tolist():
                said = sentences[row["context"]]
                questions.append((len(texts), len(texts) + 1))
                texts += [said[row["premises"][place]], said[row["hypotheses"][place]]]
            start += len(row["premises"])
    return texts, np.array(questions, dtype=np.int64).reshape(-1, 2)


def scorer_of(recipe: Recipe, noted: Callable[[list[str]], None] = lambda notes: None) -> Scorer:
    """The cascade's small model, loaded when it is first asked; `noted` then gets the list of its notes, to which later ones are added."""
    cascade = recipe.judge.cascade
    loaded: list[Scorer] = []

    def score(texts: Sequence[str], pairs: NDArray[np.integer]) -> NDArray[np.float32]:
        if not len(pairs):
            return np.empty(0, dtype=np.float32)
        if not loaded:
            assert cascade is not None
            scorer, notes = _load(recipe, cascade)
            loaded.append(scorer)
            noted(notes)
        return loaded[0](texts, pairs)

    return score


def _load(recipe: Recipe, cascade: CascadeRecipe) -> tuple[Scorer, list[str]]:
    use_threads(recipe.execution)
    device = recipe.execution.device
    if cascade.kind == "embedder":
        return Embedder.load(cascade.model, revision=cascade.revision, device=device).cosines, []
    numerics = recipe.numerics
    screen = Judge.load(
        cascade.model, revision=cascade.revision, device=device, dtype=numerics.dtype, max_batch_tokens=numerics.max_batch_tokens
    )
    return screen.entailment, screen.notes


def screened_chains(chains: Mapping[str, Sequence[Filter]], folder: Path, scorer: Scorer) -> dict[str, tuple[Filter, ...]]:
    """Each task's chain with its screen, as the cut-offs in `folder` say."""
    found = {task: Cutoff(**fields) for task, fields in json.loads((folder / CUTOFFS_NAME).read_text(encoding="utf-8")).items()}
    return {task: with_screen(chain, found[task].value, scorer) for task, chain in chains.items()}
