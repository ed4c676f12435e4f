"""Stage: what the last student makes of each source sentence, for every group (Jung et al. 2023, equation 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import torch

from impdistill.decode.randomness import uniforms
from impdistill.models.loading import fingerprint
from impdistill.models.memory import taken
from impdistill.models.student import Decoding, Student
from impdistill.recipe import Recipe, TeacherRecipe
from impdistill.run import BlockResult, Lineage, StageStore
from impdistill.stages.contexts import shape_settings
from impdistill.stages.critic import critic_model, least_fluency, load_critic
from impdistill.stages.machine import use_threads
from impdistill.stages.step import FolderStep, RowStep, input_keys, stage_name
from impdistill.tasks import Task, instructions

CODE_VERSION = 4

SCHEMA = pa.schema(
    [
        ("context", pa.int64()),
        ("source", pa.string()),
        ("groups", pa.list_(pa.string())),
        ("outputs", pa.list_(pa.string())),  # one for each of `groups`, in which a group stands as often as it was sampled
    ]
)


def rewriting_step(
    recipe: Recipe, tasks: Sequence[Task], sources: RowStep, student: FolderStep, teacher: TeacherRecipe, round_: int
) -> RowStep:
    """Outputs y for each group and source sentence, but for sentences that no task's fluency filter would let pass."""
    groups = tuple(instructions(tasks))
    critic = critic_model(recipe, tasks)
    return RowStep(
        lineage=Lineage(
            stage=stage_name("rewrites", round_, teacher.domain),
            code_version=CODE_VERSION,
            settings={
                "groups": list(groups),
                "decoding": recipe.self_distillation.decoding.model_dump(mode="json"),
                **({"least_fluency": least_fluency(tasks)} if critic else {}),
                **shape_settings(recipe),
            },
            models={role: fingerprint(model, revision) for role, (model, revision) in critic.items()},
            model_names={role: model for role, (model, _) in critic.items()},
            inputs=input_keys([sources, student]),
            seed=recipe.seed,
        ),
        blocks=sources.blocks,
        open=open_rewriting,
        arguments=(recipe, tuple(tasks), teacher, round_),
        inputs=(sources, student),
    )


def open_rewriting(
    recipe: Recipe, tasks: Sequence[Task], teacher: TeacherRecipe, round_: int, sources: StageStore, folder: Path
) -> Callable[[int], BlockResult]:
    """Load the student once; the result rewrites the source sentences of one block."""
    use_threads(recipe.execution)
    groups = tuple(instructions(tasks))
    critic, least = load_critic(recipe, tasks), least_fluency(tasks)
    student = Student.load(
        str(folder),
        device=recipe.execution.device,
        dtype=recipe.numerics.dtype,
        max_batch_tokens=recipe.numerics.max_batch_tokens,
    )
    wanted = recipe.self_distillation.decoding
    sampling = wanted.sampling
    decoding = Decoding(
        max_new_tokens=wanted.max_new_tokens,
        beams=wanted.beams,
        top_p=None if sampling is None else sampling.top_p,
        temperature=1.0 if sampling is None else sampling.temperature,
    )
    name = stage_name("rewrites", round_, teacher.domain)

    def compute(block: int) -> BlockResult:
        rows = [
            (row["context"], sentence)
            for row in sources.read_block("pools", block).to_pylist()
            for sentence, refusal in zip(row["sentences"], row["refusals"], strict=True)
            if refusal is None
        ]
        found = list(dict.fromkeys(rows))
        limit = student.format.max_source_tokens
        longest = [max(student.source_tokens([sentence], group)[0] for group in groups) for _, sentence in found]
        rows = [row for row, tokens in zip(found, longest, strict=True) if tokens <= limit]
        counts = {"refused/over-long": len(found) - len(rows)}
        if critic is not None and least is not None:
            fluency = critic.fluency([sentence for _, sentence in rows])
            counts["refused/fluency"] = int((fluency < least).sum())
            rows = [row for row, fluent in zip(rows, fluency >= least, strict=True) if fluent]
        texts = [sentence for _, sentence in rows]
        numbers = torch.tensor([context for context, _ in rows], dtype=torch.int64)

        def rewritten(sample: int) -> Mapping[str, list[str]]:
            def randomness(group: str, chosen: torch.Tensor, position: int) -> torch.Tensor:
                stream = f"{name}/{group}" + (f"/{sample}" if sample else "")
                return uniforms(recipe.seed, stream, numbers[chosen], chosen, position)

            return student.rewrite_groups(texts, groups, decoding=decoding, uniforms=randomness)

        samples = [rewritten(sample) for sample in range(wanted.samples)]
        columns = [
            [context for context, _ in rows],
            texts,
            [list(groups) * len(samples)] * len(rows),
            [[outputs[group][number] for outputs in samples for group in groups] for number in range(len(rows))],
        ]
        written = [output for outputs in samples for group in groups for output in outputs[group]]
        tokens = student.tokenizer(written, add_special_tokens=False).input_ids if written else []
        counts |= {"sources": len(rows), "outputs": len(written), "tokens": sum(map(len, tokens))}
        return BlockResult(
            {"rewrites": pa.table(columns, schema=SCHEMA)}, counts, (*taken(student.notes), *(taken(critic.notes) if critic else ()))
        )

    return compute
