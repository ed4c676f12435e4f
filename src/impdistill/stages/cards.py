"""What the cards of a round's dataset and student say, gathered from the recipe and the account of its filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import yaml

from impdistill import __version__
from impdistill.models.loading import fingerprint
from impdistill.models.student_format import Kind
from impdistill.recipe import Recipe
from impdistill.run import StageStore
from impdistill.tasks import Task
from impdistill.train.card import CardFacts, FunnelFacts, GroupFacts, ModelFacts
from impdistill.train.finetune import TrainingResult

COLUMNS = {
    "x": "input sentence",
    "y": "output sentence",
    "task": "what the pair is an example of",
    "group": "its control class",
    "domain": "of the teacher",
    "process": "sequential, parallel or self-distillation",
    "context": "number of the context that it was generated after, within its domain and round",
    "compression": "words of y / words of x",
    "rouge_l": "ROUGE-L F1 between x and y",
    "density": "normalised Density of y in x",
    "entailment": "P(x => y) by the judge",
    "reverse_entailment": "P(y => x), null where no filter asked",
    "fluency": "the lower P(fluent) of x and y by the critic, null where no filter asked",
}
EXAMPLES_PER_GROUP = 2


def card_facts(
    recipe: Recipe,
    tasks: Sequence[Task],
    round_: int,
    splits: Mapping[str, pa.Table],
    filtered: Sequence[StageStore] = (),
    left_out: Mapping[str, int] | None = None,
    kind: Kind | None = None,
    training: TrainingResult | None = None,
) -> CardFacts:
    """Facts for a dataset's card, or with `kind` and `training` for a student's.

    Args:
        splits: the dataset's rows by split.
        filtered: the filter stages behind the dataset, for the funnel.
        left_out: `outside_groups` and `capped`, kept pairs that are not in the dataset.
    """
    sizes = {split: Counter(splits[split]["group"].to_pylist() if split in splits else ()) for split in ("train", "validation")}
    first = splits["train"] if "train" in splits else next(iter(splits.values()))
    return CardFacts(
        title=recipe.name,
        round_number=round_,
        impdistill_version=__version__,
        recipe_yaml=yaml.safe_dump(recipe.model_dump(mode="json", exclude={"execution"}), sort_keys=False, allow_unicode=True),
        models=_models(recipe),
        groups=[
            GroupFacts(
                group.name, task.name, group.instruction, *(sizes.get(split, Counter())[group.name] for split in ("train", "validation"))
            )
            for task in tasks
            for group in task.groups
        ],
        funnel=_funnel(filtered),
        left_out=left_out,
        columns=COLUMNS,
        kind=kind,
        training=None if training is None else _training(training),
        examples=_examples(first),
    )


def _models(recipe: Recipe) -> list[ModelFacts]:
    named = [(f"teacher ({teacher.domain})", teacher.model, teacher.revision) for teacher in recipe.teachers]
    named.append(("judge", recipe.judge.model, recipe.judge.revision))
    if (cascade := recipe.judge.cascade) is not None:
        named.append(("screen", cascade.model, cascade.revision))
    if recipe.critic.model is not None:
        named.append(("critic", recipe.critic.model, recipe.critic.revision))
    if recipe.sequential.outputs:
        named.append(("embedder", recipe.sequential.embedder, recipe.sequential.embedder_revision))
    named.append(("base of the student", recipe.student.model, recipe.student.revision))
    return [ModelFacts(role, model, fingerprint(model, revision)) for role, model, revision in named]


def _funnel(filtered: Sequence[StageStore]) -> list[FunnelFacts]:
    counts: Counter[str] = Counter()
    for store in filtered:
        counts.update(store.counts())
    rows = sorted({tuple(key.split("/")[:2]) for key in counts if key.endswith("/generated")})
    facts = []
    for task, process in rows:
        start = f"{task}/{process}/"
        dropped = {key.removeprefix(f"{start}dropped/"): number for key, number in counts.items() if key.startswith(f"{start}dropped/")}
        facts.append(FunnelFacts(task, process, counts[f"{start}generated"], counts[f"{start}kept"], dict(sorted(dropped.items()))))
    return facts


def _training(result: TrainingResult) -> dict[str, int | float | str | None]:
    """What is the same for every training of these weights: no seconds."""
    return {
        "steps": result.steps,
        "epochs": round(result.epochs, 3),
        "best step": result.best_step,
        "held-out loss a token": result.best_validation_loss,
        "pairs": result.pairs,
        "tokens": result.tokens,
    }


def _examples(table: pa.Table) -> list[tuple[str, str, str]]:
    shown: Counter[str] = Counter()
    examples = []
    for row in table.select(["group", "x", "y"]).to_pylist():
        if shown[row["group"]] < EXAMPLES_PER_GROUP:
            shown[row["group"]] += 1
            examples.append((row["group"], row["x"], row["y"]))
    return sorted(examples)
