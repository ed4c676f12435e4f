"""Stages: the pool of sentences after each context, for parallel generation (Jung et al. 2023, equation 2), and the source
sentences of self-distillation, which are a small pool of the same kind (equation 10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pyarrow as pa

from impdistill.generate.parallel import sample_pools
from impdistill.models.loading import fingerprint
from impdistill.models.memory import taken
from impdistill.recipe import Recipe, TeacherRecipe
from impdistill.recipe_student import NucleusSampling
from impdistill.run import BlockResult, Lineage, StageStore
from impdistill.stages.contexts import contexts_of_block, likelihood_settings, load_teacher, nucleus, shape_settings
from impdistill.stages.step import RowStep, input_keys, stage_name

CODE_VERSION = 2

SCHEMA = pa.schema(
    [
        ("context", pa.int64()),
        ("sentences", pa.list_(pa.string())),
        ("refusals", pa.list_(pa.string())),  # one a sentence: why it is none, or null
        ("tokens", pa.int32()),
    ]
)


def parallel_step(recipe: Recipe, teacher: TeacherRecipe, contexts: RowStep) -> RowStep:
    """k2 sentences after each context."""
    return _pool_step("parallel", recipe, teacher, contexts, recipe.parallel.samples, recipe.parallel.sampling, round_=0)


def sources_step(recipe: Recipe, teacher: TeacherRecipe, contexts: RowStep, round_: int) -> RowStep:
    """The sentences x that the student will rewrite in a round of self-distillation."""
    wanted = recipe.self_distillation
    return _pool_step("sources", recipe, teacher, contexts, wanted.sources_per_context, wanted.sampling, round_)


def _pool_step(
    what: str, recipe: Recipe, teacher: TeacherRecipe, contexts: RowStep, samples: int, sampling: NucleusSampling, round_: int
) -> RowStep:
    name = stage_name(what, round_, teacher.domain)
    return RowStep(
        lineage=Lineage(
            stage=name,
            code_version=CODE_VERSION,
            settings={
                "samples": samples,
                "sampling": sampling.model_dump(mode="json"),
                **likelihood_settings(teacher),
                **shape_settings(recipe),
            },
            models={"teacher": fingerprint(teacher.model, teacher.revision)},
            model_names={"teacher": teacher.model},
            inputs=input_keys([contexts]),
            seed=recipe.seed,
        ),
        blocks=contexts.blocks,
        open=open_pools,
        arguments=(recipe, teacher, name, samples, sampling),
        inputs=(contexts,),
    )


def open_pools(
    recipe: Recipe, teacher: TeacherRecipe, name: str, samples: int, sampling: NucleusSampling, contexts: StageStore
) -> Callable[[int], BlockResult]:
    """Load the teacher once; the result samples the pools of one block of contexts."""
    model = load_teacher(recipe, teacher)
    settings = nucleus(sampling)

    def compute(block: int) -> BlockResult:
        after = contexts_of_block(contexts, block)
        rows = sample_pools(
            model,
            after,
            samples=samples,
            nucleus=settings,
            max_rows=recipe.numerics.max_rows,
            seed=recipe.seed,
            stage=name,
            min_log_probability=teacher.min_log_probability,
        )
        counts: Counter[str] = Counter(sentences=0, tokens=0)
        for row in rows:
            counts["tokens"] += row.token_count
            counts["sentences"] += sum(refusal is None for refusal in row.refusals)
            counts.update(f"refused/{refusal}" for refusal in row.refusals if refusal is not None)
        columns = [
            [row.context for row in rows],
            [list(row.sentences) for row in rows],
            [list(row.refusals) for row in rows],
            [row.token_count for row in rows],
        ]
        return BlockResult({"pools": pa.table(columns, schema=SCHEMA)}, dict(counts), taken(model.notes))

    return compute
