"""Stage: the candidates of every context through each task's chain of filters (Jung et al. 2023, section 2.1.2).

Every answer of judge and critic is stored with the pairs, so a later version of this stage, with other thresholds, asks only what
is missing.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from impdistill.filters import PROCESSES, ContextOutcome, Filter, run_block
from impdistill.models.critic import Critic
from impdistill.models.judge import Judge
from impdistill.models.loading import fingerprint
from impdistill.recipe import CascadeRecipe, Recipe, TeacherRecipe
from impdistill.run import JSON, BlockResult, Lineage, StageStore
from impdistill.stages.candidates import candidates_of_block, known_scores
from impdistill.stages.contexts import shape_settings
from impdistill.stages.critic import critic_model, load_critic
from impdistill.stages.machine import use_threads
from impdistill.stages.screening import scorer_of, screened_chains
from impdistill.stages.step import FolderStep, RowStep, Step, input_keys, stage_name
from impdistill.tasks import Task

CODE_VERSION = 3

DROPS_PER_REASON = 3
"""Dropped pairs kept for reading, of each task and reason in a block; drawn from all of them. Refused sentences are in no pair: of
those there are counts only."""

PAIRS = pa.schema(
    [
        ("context", pa.int64()),
        ("task", pa.string()),
        ("process", pa.string()),
        ("requested", pa.string()),  # the group asked of the student; null for the teacher's pairs
        ("x", pa.string()),
        ("y", pa.string()),
        ("compression", pa.float64()),
        ("rouge_l", pa.float64()),
        ("density", pa.float64()),
        ("entailment", pa.float32()),
        ("reverse_entailment", pa.float32()),
        ("fluency", pa.float32()),  # the lower one of x's and y's; null: the critic was not asked about both
        ("reason", pa.string()),  # why it was dropped; null: kept
    ]
)

SCORES = pa.schema(
    [
        ("context", pa.int64()),
        ("premises", pa.list_(pa.int32())),
        ("hypotheses", pa.list_(pa.int32())),
        ("entailment", pa.list_(pa.float32())),
        ("read", pa.list_(pa.int32())),  # sentences, by the critic
        ("fluency", pa.list_(pa.float32())),
    ]
)


def filtering_step(
    recipe: Recipe,
    teacher: TeacherRecipe,
    tasks: Sequence[Task],
    candidates: Sequence[RowStep],
    round_: int,
    screen: tuple[RowStep, FolderStep] | None = None,
) -> RowStep:
    """The pairs that pass, with every score, for one teacher.

    Args:
        screen: of a cascade, the calibration and the cut-offs found with it. They are not among the inputs of the lineage: answers of
            the judge serve a version of this stage with other cut-offs too.
    """
    models = {"judge": (recipe.judge.model, recipe.judge.revision), **critic_model(recipe, tasks)}
    settings: dict[str, JSON] = {
        "tasks": {task.name: {rule.name: rule.settings() for rule in task.filters} for task in tasks},
        "order": {task.name: [rule.name for rule in task.filters] for task in tasks},
        **shape_settings(recipe),
    }
    if recipe.unicode_words:  # came later: where it is off, keys stay what they were
        settings["unicode_words"] = True
    inputs: tuple[Step, ...] = tuple(candidates)
    if screen is not None:
        settings["cascade"] = {"screen": screen[1].lineage.key}
        inputs = (*inputs, *screen)
    return RowStep(
        lineage=Lineage(
            stage=stage_name("filter", round_, teacher.domain),
            code_version=CODE_VERSION,
            settings=settings,
            models={role: fingerprint(model, revision) for role, (model, revision) in models.items()},
            model_names={role: model for role, (model, _) in models.items()},
            inputs=input_keys(candidates),
            seed=recipe.seed,
        ),
        blocks=candidates[0].blocks,
        open=open_filtering,
        arguments=(recipe, tuple(tasks), len(candidates)),
        inputs=inputs,
        reusable_under=tuple(shape_settings(recipe)),
    )


def calibration_step(
    recipe: Recipe, cascade: CascadeRecipe, teacher: TeacherRecipe, tasks: Sequence[Task], candidates: Sequence[RowStep], round_: int
) -> RowStep:
    """The first contexts as the judge alone filters them. Contexts are alike in distribution, so the first are a random sample."""
    plain = filtering_step(recipe, teacher, tasks, candidates, round_)
    wanted = math.ceil(cascade.contexts / recipe.numerics.contexts_per_block)
    lineage = replace(plain.lineage, stage=stage_name("calibration", round_, teacher.domain))
    return replace(plain, lineage=lineage, blocks=min(wanted, plain.blocks))


def open_filtering(
    recipe: Recipe, tasks: Sequence[Task], sources: int, *places: StageStore | Path | tuple[StageStore, ...]
) -> Callable[[int], BlockResult]:
    """The result filters one block. Judge and critic are loaded when the first question comes that no earlier version has answered.

    Args:
        sources: how many of `places` hold candidates. Of a cascade the calibration and the folder of cut-offs come next. A tuple holds
            other versions of this stage.
    """
    stores = [place for place in places[:sources] if isinstance(place, StageStore)]
    calibrations = [place for place in places[sources:] if isinstance(place, StageStore)]
    history = [store for place in places[sources:] if isinstance(place, tuple) for store in place]
    groups = [group.name for task in tasks for group in task.groups]
    chains: Mapping[str, Sequence[Filter]] = {task.name: task.filters for task in tasks}
    notes: list[list[str]] = []  # of the models that are loaded
    screened = chains
    for place in places[sources:]:
        if isinstance(place, Path):
            screened = screened_chains(chains, place, scorer_of(recipe, notes.append))
    judges: list[Judge] = []

    @functools.cache
    def judge() -> Judge:
        use_threads(recipe.execution)
        loaded = Judge.load(
            recipe.judge.model,
            revision=recipe.judge.revision,
            device=recipe.execution.device,
            dtype=recipe.numerics.dtype,
            max_batch_tokens=recipe.numerics.max_batch_tokens,
        )
        notes.append(loaded.notes)
        judges.append(loaded)
        return loaded

    @functools.cache
    def critic() -> Critic:
        loaded = load_critic(recipe, tasks)
        assert loaded is not None  # a recipe with a fluency filter has a critic
        notes.append(loaded.notes)
        return loaded

    def compute(block: int) -> BlockResult:
        block_candidates = candidates_of_block(stores, block, groups)
        cut_before = sum(each.pairs_truncated for each in judges)
        # what the sample of a cascade's calibration has answered stays answered, and needs no screen
        chosen = chains if any(block < sample.total_blocks for sample in calibrations) else screened
        outcomes = run_block(
            block_candidates,
            chosen,
            judge,
            known=known_scores(calibrations, history, block),
            critic=critic,
            unicode=recipe.unicode_words,
        )
        counts: Counter[str] = Counter(contexts=len(outcomes))
        for outcome in outcomes:
            counts.update(outcome.counts)
            if chosen is not chains:
                counts["screen/questions"] += int(np.isfinite(outcome.scores.screening).sum())
        tables = {"pairs": _pairs(outcomes, groups), "scores": _scores(outcomes)}
        noted = [note for of_model in notes for note in of_model]
        noted += [
            f"judge: {cut} pairs cut to the {each.most_tokens} tokens that it reads"
            for each in judges
            if (cut := each.pairs_truncated - cut_before)
        ]
        return BlockResult(tables, dict(counts), tuple(noted))

    return compute


def _scores(outcomes: Sequence[ContextOutcome]) -> pa.Table:
    records = [(outcome.candidates.context, outcome.scores.record()) for outcome in outcomes]
    columns = [
        [context for context, _ in records],
        [record.premises for _, record in records],
        [record.hypotheses for _, record in records],
        [record.entailment for _, record in records],
        [record.read for _, record in records],
        [record.fluency for _, record in records],
    ]
    return pa.table(columns, schema=SCORES)


def _pairs(outcomes: Sequence[ContextOutcome], groups: Sequence[str]) -> pa.Table:
    """The kept pairs, and a few drops of each task and reason out of all the contexts."""
    drawn = _drawn_drops(outcomes)
    tables = []
    for number, outcome in enumerate(outcomes):
        for task, result in outcome.tasks.items():
            chosen: list[tuple[int, str | None]] = [(int(index), None) for index in result.kept]
            chosen += [(index, result.reason(index)) for index in drawn.get((number, task), ())]
            tables.append(_rows(outcome, task, chosen, groups))
    return pa.concat_tables([PAIRS.empty_table(), *tables])


def _drawn_drops(outcomes: Sequence[ContextOutcome]) -> dict[tuple[int, str], list[int]]:
    """(number of the outcome, task) -> candidates, so that of each task and reason every drop of the block is as likely to be chosen.

    What is chosen depends on the contexts' numbers and on nothing else: each candidate draws a ticket, and the lowest ones win.
    """
    tickets: dict[tuple[str, str], list[tuple[float, int, int]]] = {}
    for number, outcome in enumerate(outcomes):
        draws = np.random.Generator(np.random.Philox(key=outcome.candidates.context)).random(len(outcome.candidates))
        for task, result in outcome.tasks.items():
            for code, reason in enumerate(result.names):
                dropped = np.flatnonzero(result.dropped_by == code)
                lowest = dropped[np.argsort(draws[dropped])[:DROPS_PER_REASON]]
                tickets.setdefault((task, reason), []).extend((float(draws[index]), number, int(index)) for index in lowest)
    drawn: dict[tuple[int, str], list[int]] = {}
    for (task, _), found in tickets.items():
        for _, number, index in sorted(found)[:DROPS_PER_REASON]:
            drawn.setdefault((number, task), []).append(index)
    return drawn


def _rows(outcome: ContextOutcome, task: str, chosen: Sequence[tuple[int, str | None]], groups: Sequence[str]) -> pa.Table:
    candidates, scores = outcome.candidates, outcome.scores
    numbers = np.array([index for index, _ in chosen], dtype=np.int64)
    pairs = candidates.pairs[numbers]
    requested = candidates.requested[numbers]
    columns = [
        [candidates.context] * len(chosen),
        [task] * len(chosen),
        [PROCESSES[code] for code in candidates.process[numbers]],
        [None if code < 0 else groups[code] for code in requested],
        [candidates.sentences[x] for x in pairs[:, 0]],
        [candidates.sentences[y] for y in pairs[:, 1]],
        scores.compression(pairs),
        scores.rouge_l(pairs),
        scores.density(pairs),
        pa.array(scores.probability(pairs), from_pandas=True),  # nan: never judged
        pa.array(scores.probability(pairs[:, ::-1]), from_pandas=True),
        pa.array(scores.fluency[pairs].min(axis=1), from_pandas=True),
        [reason for _, reason in chosen],
    ]
    return pa.table(columns, schema=PAIRS)
