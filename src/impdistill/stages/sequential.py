"""Stage: sequential generation. A sentence x after each context, its keywords, and the outputs y that NeuroLogic finds after the
same context with those keywords in them (Jung et al. 2023, equation 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from impdistill.decode.neurologic import NeuroLogic
from impdistill.generate.sequential import SequentialSettings, sample_sequential
from impdistill.models.embedder import Embedder
from impdistill.models.loading import fingerprint
from impdistill.models.memory import taken
from impdistill.recipe import NeuroLogicRecipe, Recipe, SequentialRecipe, TeacherRecipe
from impdistill.run import BlockResult, Lineage, StageStore
from impdistill.stages.contexts import contexts_of_block, likelihood_settings, load_teacher, nucleus, shape_settings
from impdistill.stages.step import RowStep, input_keys, stage_name

CODE_VERSION = 2

SCHEMA = pa.schema(
    [
        ("context", pa.int64()),
        ("source", pa.string()),
        ("source_refusal", pa.string()),
        ("keywords", pa.list_(pa.string())),
        ("outputs", pa.list_(pa.string())),
        ("refusals", pa.list_(pa.string())),  # one an output: why it is no sentence, or null
        ("clauses_met", pa.list_(pa.int32())),
    ]
)


def sequential_step(recipe: Recipe, teacher: TeacherRecipe, contexts: RowStep) -> RowStep:
    """k1 constrained outputs for each sampled x."""
    wanted = recipe.sequential
    return RowStep(
        lineage=Lineage(
            stage=stage_name("sequential", 0, teacher.domain),
            code_version=CODE_VERSION,
            settings={"sequential": _settings(wanted), **likelihood_settings(teacher), **shape_settings(recipe)},
            models={
                "teacher": fingerprint(teacher.model, teacher.revision),
                "embedder": fingerprint(wanted.embedder, wanted.embedder_revision),
            },
            model_names={"teacher": teacher.model, "embedder": wanted.embedder},
            inputs=input_keys([contexts]),
            seed=recipe.seed,
        ),
        blocks=contexts.blocks,
        open=open_sequential,
        arguments=(recipe, teacher),
        inputs=(contexts,),
    )


def _settings(wanted: SequentialRecipe) -> dict[str, Any]:
    """Its part of the recipe. `forbidden` came later: where it is not used, keys stay what they were."""
    elsewhere = {"embedder", "embedder_revision"}
    return wanted.model_dump(mode="json", exclude=elsewhere if wanted.forbidden else elsewhere | {"forbidden"})


def open_sequential(recipe: Recipe, teacher: TeacherRecipe, contexts: StageStore) -> Callable[[int], BlockResult]:
    """Load teacher and embedder once; the result makes the candidates of one block of contexts."""
    model = load_teacher(recipe, teacher)
    wanted = recipe.sequential
    embedder = Embedder.load(wanted.embedder, revision=wanted.embedder_revision, device=recipe.execution.device)
    settings = SequentialSettings(
        sources_per_context=wanted.sources_per_context,
        keywords=wanted.keywords,
        outputs=wanted.outputs,
        forbidden=wanted.forbidden,
        min_log_probability=teacher.min_log_probability,
        nucleus=nucleus(wanted.sampling),
        neurologic=neurologic(wanted.neurologic),
    )
    name = stage_name("sequential", 0, teacher.domain)

    def compute(block: int) -> BlockResult:
        after = contexts_of_block(contexts, block)
        rows = sample_sequential(model, embedder, after, settings, max_rows=recipe.numerics.max_rows, seed=recipe.seed, stage=name)
        counts: Counter[str] = Counter(sources=0, outputs=0, tokens=0)
        for row in rows:
            counts["tokens"] += row.token_count
            counts["sources"] += row.source_refusal is None
            counts["outputs"] += sum(output.refusal is None for output in row.outputs)
            counts["clauses"] += sum(output.clauses for output in row.outputs)
            counts["clauses_met"] += sum(output.clauses_met for output in row.outputs)
            if row.source_refusal is not None:
                counts[f"refused/{row.source_refusal}"] += 1
        columns = [
            [row.context for row in rows],
            [row.source for row in rows],
            [row.source_refusal for row in rows],
            [list(row.keywords) for row in rows],
            [[output.text for output in row.outputs] for row in rows],
            [[output.refusal for output in row.outputs] for row in rows],
            [[output.clauses_met for output in row.outputs] for row in rows],
        ]
        return BlockResult({"sequential": pa.table(columns, schema=SCHEMA)}, dict(counts), taken(model.notes))

    return compute


def neurologic(wanted: NeuroLogicRecipe) -> NeuroLogic:
    return NeuroLogic(**wanted.model_dump())
