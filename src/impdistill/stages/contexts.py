"""Stage: left contexts, whole sentences sampled from a teacher after its domain prefix (Jung et al. 2023, section 2.1.1)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pyarrow as pa

from impdistill.decode.nucleus import Nucleus
from impdistill.generate.contexts import ContextSettings, sample_contexts
from impdistill.models.loading import fingerprint
from impdistill.models.memory import taken
from impdistill.models.teacher import Teacher
from impdistill.recipe import Recipe, TeacherRecipe
from impdistill.recipe_student import NucleusSampling
from impdistill.run import JSON, BlockResult, Lineage, StageStore
from impdistill.stages.machine import use_threads
from impdistill.stages.step import RowStep, stage_name

CODE_VERSION = 2

SCHEMA = pa.schema(
    [
        ("context", pa.int64()),
        ("prefix", pa.string()),
        ("text", pa.string()),
        ("sentences", pa.int32()),
        ("attempts", pa.int32()),
    ]
)


def contexts_step(recipe: Recipe, teacher: TeacherRecipe, round_: int) -> RowStep:
    """Contexts for one teacher: those of the first stage (round 0) or of a round of self-distillation.

    Their number is rounded up to a whole block, so that asking for more later only adds blocks.
    """
    wanted = recipe.contexts.count if round_ == 0 else recipe.self_distillation.contexts
    per_block = recipe.numerics.contexts_per_block
    return RowStep(
        lineage=Lineage(
            stage=stage_name("contexts", round_, teacher.domain),
            code_version=CODE_VERSION,
            settings={
                "prefix": teacher.prefix,
                "contexts": recipe.contexts.model_dump(mode="json", exclude={"count"}),
                **shape_settings(recipe),
            },
            models={"teacher": fingerprint(teacher.model, teacher.revision)},
            model_names={"teacher": teacher.model},
            seed=recipe.seed,
        ),
        blocks=math.ceil(recipe.contexts_of(wanted)[teacher.domain] / per_block),
        open=open_contexts,
        arguments=(recipe, teacher, round_),
    )


def shape_settings(recipe: Recipe) -> dict[str, int | str]:
    """What floating point depends on besides the models: part of every key of a stage that runs one."""
    return recipe.numerics.model_dump(mode="json")


def likelihood_settings(teacher: TeacherRecipe) -> dict[str, JSON]:
    """What a sentence's likelihood must be. It came later: where it does not matter, keys stay what they were."""
    return {} if teacher.min_log_probability is None else {"min_log_probability": teacher.min_log_probability}


def load_teacher(recipe: Recipe, teacher: TeacherRecipe) -> Teacher:
    """Load a teacher where and as the recipe says."""
    use_threads(recipe.execution)
    return Teacher.load(teacher.model, revision=teacher.revision, device=recipe.execution.device, dtype=recipe.numerics.dtype)


def nucleus(sampling: NucleusSampling) -> Nucleus:
    return Nucleus(top_p=sampling.top_p, temperature=sampling.temperature, max_new_tokens=sampling.max_new_tokens)


def open_contexts(recipe: Recipe, teacher: TeacherRecipe, round_: int) -> Callable[[int], BlockResult]:
    """Load the teacher once; the result samples the contexts of one block."""
    model = load_teacher(recipe, teacher)
    per_block = recipe.numerics.contexts_per_block
    wanted = recipe.contexts
    settings = ContextSettings(
        min_sentences=wanted.sentences[0],
        max_sentences=wanted.sentences[1],
        attempts=wanted.attempts,
        nucleus=nucleus(wanted.sampling),
    )
    name = stage_name("contexts", round_, teacher.domain)

    def compute(block: int) -> BlockResult:
        numbers = range(block * per_block, (block + 1) * per_block)
        rows = sample_contexts(
            model, teacher.prefix, list(numbers), settings, max_rows=recipe.numerics.max_rows, seed=recipe.seed, stage=name
        )
        counts = Counter({"accepted": sum(bool(row.text) for row in rows), "exhausted": sum(not row.text for row in rows), "tokens": 0})
        for row in rows:
            counts["tokens"] += row.token_count
            counts.update({f"refused/{reason}": times for reason, times in row.refused.items()})
        columns = [
            [row.context for row in rows],
            [row.prefix for row in rows],
            [row.text for row in rows],
            [row.sentences for row in rows],
            [row.attempts for row in rows],
        ]
        return BlockResult({"contexts": pa.table(columns, schema=SCHEMA)}, dict(counts), taken(model.notes))

    return compute


def contexts_of_block(contexts: StageStore, block: int) -> list[tuple[int, str, str]]:
    """(number, domain prefix, text) of a block's accepted contexts."""
    rows = contexts.read_block("contexts", block).to_pylist()
    return [(row["context"], row["prefix"], row["text"]) for row in rows if row["text"]]
