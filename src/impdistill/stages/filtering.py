"""Stage: the candidates of every context through each task's chain of filters (Jung et al. 2023, section 2.1.2).

Every judged question is stored with the pairs, so a later version of this stage, with other thresholds, asks only what is
missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from impdistill.filters import PROCESSES, Candidates, ContextOutcome, Fluency, Judged, run_block
from impdistill.models.critic import Critic
from impdistill.models.judge import Judge
from impdistill.models.loading import fingerprint
from impdistill.recipe import Recipe, TeacherRecipe
from impdistill.run import BlockResult, Lineage, StageStore
from impdistill.stages.contexts import shape_settings
from impdistill.stages.machine import use_threads
from impdistill.stages.step import RowStep, input_keys, stage_name
from impdistill.tasks import Task
from impdistill.text.wellformed import refusal

CODE_VERSION = 2

DROPS_PER_REASON = 3
"""Dropped pairs kept for reading, of each task and reason in a block."""

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
        ("fluency", pa.float32()),  # the lower one of x's and y's; null: no filter asked
        ("reason", pa.string()),  # why it was dropped; null: kept
    ]
)

SCORES = pa.schema(
    [
        ("context", pa.int64()),
        ("premises", pa.list_(pa.int32())),
        ("hypotheses", pa.list_(pa.int32())),
        ("entailment", pa.list_(pa.float32())),
    ]
)


def filtering_step(recipe: Recipe, teacher: TeacherRecipe, tasks: Sequence[Task], candidates: Sequence[RowStep], round_: int) -> RowStep:
    """The pairs that pass, with every score, for one teacher."""
    judge, critic = recipe.judge, recipe.critic
    models = {"judge": (judge.model, judge.revision)}
    if critic.model is not None and asks_critic(tasks):
        models["critic"] = (critic.model, critic.revision)
    return RowStep(
        lineage=Lineage(
            stage=stage_name("filter", round_, teacher.domain),
            code_version=CODE_VERSION,
            settings={
                "tasks": {task.name: {rule.name: rule.settings() for rule in task.filters} for task in tasks},
                **shape_settings(recipe),
            },
            models={role: fingerprint(model, revision) for role, (model, revision) in models.items()},
            model_names={role: model for role, (model, _) in models.items()},
            inputs=input_keys(candidates),
            seed=recipe.seed,
        ),
        blocks=candidates[0].blocks,
        open=open_filtering,
        arguments=(recipe, tuple(tasks), len(candidates)),
        inputs=tuple(candidates),
        reusable_under=tuple(shape_settings(recipe)),
    )


def asks_critic(tasks: Sequence[Task]) -> bool:
    """Whether any task's chain has a filter that needs the critic."""
    return any(isinstance(rule, Fluency) for task in tasks for rule in task.filters)


def open_filtering(
    recipe: Recipe, tasks: Sequence[Task], sources: int, *places: StageStore | tuple[StageStore, ...]
) -> Callable[[int], BlockResult]:
    """The result filters one block. The judge is loaded when the first question comes that no earlier version has answered."""
    stores = [place for place in places[:sources] if isinstance(place, StageStore)]
    history = [store for place in places[sources:] if isinstance(place, tuple) for store in place]
    groups = [group.name for task in tasks for group in task.groups]
    chains = {task.name: task.filters for task in tasks}
    loaded: list[Judge] = []
    critic: Critic | None = None
    if recipe.critic.model is not None and asks_critic(tasks):
        use_threads(recipe.execution)
        critic = Critic.load(
            recipe.critic.model,
            revision=recipe.critic.revision,
            device=recipe.execution.device,
            dtype=recipe.numerics.dtype,
            max_batch_tokens=recipe.numerics.max_batch_tokens,
        )

    def judge() -> Judge:
        if not loaded:
            use_threads(recipe.execution)
            loaded.append(
                Judge.load(
                    recipe.judge.model,
                    revision=recipe.judge.revision,
                    device=recipe.execution.device,
                    dtype=recipe.numerics.dtype,
                    max_batch_tokens=recipe.numerics.max_batch_tokens,
                )
            )
        return loaded[0]

    def compute(block: int) -> BlockResult:
        block_candidates = candidates_of_block(stores, block, groups)
        outcomes = run_block(block_candidates, chains, judge, known=known_scores(history, block), critic=critic)
        counts: Counter[str] = Counter(contexts=len(outcomes))
        for outcome in outcomes:
            counts.update(outcome.counts)
        tables = {"pairs": _pairs(outcomes, groups), "scores": _scores(outcomes)}
        notes = tuple(loaded[0].notes) if loaded else ()
        return BlockResult(tables, dict(counts), notes)

    return compute


def candidates_of_block(stores: Sequence[StageStore], block: int, groups: Sequence[str]) -> list[Candidates]:
    """The candidates of a block's contexts, those of all processes together, in the order of the contexts."""
    parts: dict[int, list[Candidates]] = {}
    for store in stores:
        process = store.stage.split(".")[0]
        for candidates in READERS[process](store, block, groups):
            parts.setdefault(candidates.context, []).append(candidates)
    return [Candidates.union(*parts[context]) for context in sorted(parts)]


def _from_pools(store: StageStore, block: int, groups: Sequence[str]) -> Iterator[Candidates]:
    for row in store.read_block("pools", block).to_pylist():
        yield Candidates.from_pool(row["context"], row["sentences"], row["refusals"])


def _from_sequential(store: StageStore, block: int, groups: Sequence[str]) -> Iterator[Candidates]:
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in store.read_block("sequential", block).to_pylist():
        rows.setdefault(row["context"], []).append(row)
    for context, found in rows.items():
        yield Candidates.from_pairs(
            context,
            "sequential",
            [row["source"] for row in found for _ in row["outputs"]],
            [output for row in found for output in row["outputs"]],
            [row["source_refusal"] or refusal for row in found for refusal in row["refusals"]],
        )


def _from_rewrites(store: StageStore, block: int, groups: Sequence[str]) -> Iterator[Candidates]:
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in store.read_block("rewrites", block).to_pylist():
        rows.setdefault(row["context"], []).append(row)
    for context, found in rows.items():
        outputs = [output for row in found for output in row["outputs"]]
        yield Candidates.from_pairs(
            context,
            "self-distillation",
            [row["source"] for row in found for _ in row["outputs"]],
            outputs,
            [refusal(output) for output in outputs],
            [groups.index(group) for row in found for group in row["groups"]],
        )


READERS: Mapping[str, Callable[[StageStore, int, Sequence[str]], Iterator[Candidates]]] = {
    "parallel": _from_pools,
    "sequential": _from_sequential,
    "rewrites": _from_rewrites,
}


def known_scores(history: Sequence[StageStore], block: int) -> dict[int, Judged]:
    """Context -> the judge's answers that earlier versions of this stage stored for it, the later versions' first."""
    answers: dict[int, list[Judged]] = {}
    for store in history:
        if block in store.complete_blocks():
            for row in store.read_block("scores", block).to_pylist():
                answers.setdefault(row["context"], []).append(
                    Judged(
                        np.array(row["premises"], dtype=np.int32),
                        np.array(row["hypotheses"], dtype=np.int32),
                        np.array(row["entailment"], dtype=np.float32),
                    )
                )
    return {
        context: Judged(
            np.concatenate([each.premises for each in found]),
            np.concatenate([each.hypotheses for each in found]),
            np.concatenate([each.entailment for each in found]),
        )
        for context, found in answers.items()
    }


def _scores(outcomes: Sequence[ContextOutcome]) -> pa.Table:
    records = [(outcome.candidates.context, outcome.scores.record()) for outcome in outcomes]
    columns = [
        [context for context, _ in records],
        [record.premises for _, record in records],
        [record.hypotheses for _, record in records],
        [record.entailment for _, record in records],
    ]
    return pa.table(columns, schema=SCORES)


def _pairs(outcomes: Sequence[ContextOutcome], groups: Sequence[str]) -> pa.Table:
    """The kept pairs, and the first few drops of each task and reason."""
    tables = []
    drops: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        for task, result in outcome.tasks.items():
            chosen: list[tuple[int, str | None]] = [(int(index), None) for index in result.kept]
            for index in np.flatnonzero(result.dropped_by >= 0):
                reason = result.reason(int(index))
                assert reason is not None
                if drops[task, reason] < DROPS_PER_REASON:
                    drops[task, reason] += 1
                    chosen.append((int(index), reason))
            tables.append(_rows(outcome, task, chosen, groups))
    return pa.concat_tables([PAIRS.empty_table(), *tables])


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
