"""Finished runs made of given pairs, without any model: the run store's own writers put in what a distillation would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from impdistill.evaluate import pair_shapes
from impdistill.outcome import Run
from impdistill.recipe import Recipe
from impdistill.run import BlockResult, Lineage, RunDirectory, run_blocks, write_dataset
from impdistill.stages.dataset import COLUMNS
from impdistill.stages.filtering import PAIRS, SCORES
from impdistill.stages.parallel import SCHEMA as POOLS
from impdistill.tasks import tasks_of

VERSIONS = {"impdistill": "0.0", "device": "cpu"}


def small_recipe(rounds: int = 1) -> Recipe:
    content = {"name": "made", "teachers": [{"domain": "news", "model": "gpt2"}], "self_distillation": {"rounds": rounds}}
    return Recipe.load(content)


REFUSED = "“It was <b>never</b> finished"


def made_run(
    path: Path, pairs: Sequence[tuple[str, str]], *, drops: Sequence[tuple[str, str]] = (), rounds: int = 1, fluency: float | None = None
) -> Run:
    """A finished run whose every dataset holds `pairs`, in the groups that their forms put them in; `drops` were not entailed.

    `fluency` is what a critic said of every pair.
    """
    recipe = small_recipe(rounds)
    directory = RunDirectory.create(path, recipe.to_yaml())
    run = Run(directory)
    with directory.lock():
        for round_ in range(rounds + 1):
            _write_round(directory, recipe, round_, pairs, drops, fluency)
    return run


def _write_round(
    directory: RunDirectory,
    recipe: Recipe,
    round_: int,
    pairs: Sequence[tuple[str, str]],
    drops: Sequence[tuple[str, str]],
    fluency: float | None,
) -> None:
    process = "parallel" if round_ == 0 else "self-distillation"
    kept, dropped = (_rows(recipe, some, process, reason, fluency) for some, reason in ((pairs, None), (drops, "entailment")))
    counts = {"contexts": 10}
    for task in recipe.tasks:
        mine = sum(row["task"] == task for row in kept)
        counts[f"{task}/{process}/kept"] = mine
        counts[f"{task}/{process}/dropped/entailment"] = len(drops)
        counts[f"{task}/{process}/dropped/length"] = 70
        counts[f"{task}/{process}/dropped/quotes"] = 20
        counts[f"{task}/{process}/generated"] = mine + len(drops) + 90
    counts |= {"questions/all": 90, "questions/asked/entailment": 50, "questions/spared/length": 40}
    columns = {name: [row[name] for row in [*kept, *dropped]] for name in PAIRS.names}
    tables = {"pairs": pa.table(columns, schema=PAIRS), "scores": SCORES.empty_table()}
    contexts = directory.stage(_lineage(f"contexts.{round_}.news", {"teacher": "gpt2"}), 1)
    run_blocks(contexts, lambda: lambda block: BlockResult({}, {"accepted": 10, "refused/link": 4, "tokens": 600}), made_with=VERSIONS)
    pools = pa.table(
        [[0, 1], [["A good one.", REFUSED], ["", REFUSED]], [[None, "quotes"], ["too-long", "quotes"]], [20, 20]], schema=POOLS
    )
    texts = directory.stage(_lineage(f"{'sources' if round_ else 'parallel'}.{round_}.news", {"teacher": "gpt2"}), 1)
    found = {"sentences": 1, "refused/quotes": 2, "refused/too-long": 1, "tokens": 400}
    run_blocks(texts, lambda: lambda block: BlockResult({"pools": pools}, found), made_with=VERSIONS)
    store = directory.stage(_lineage(f"filter.{round_}.news", {"judge": "a-judge"}), 1)
    run_blocks(store, lambda: lambda block: BlockResult(tables, counts), made_with=VERSIONS)

    table = pa.table({name: [row[name] for row in kept if row["group"]] for name in COLUMNS})
    held_out = max(1, table.num_rows // 10)
    with directory.folder(_lineage(f"dataset.{round_}", {})).building(VERSIONS) as building:
        groups = table["group"].to_pylist()
        building.facts.update(pairs=len(groups), outside_groups=0, groups={name: groups.count(name) for name in sorted(set(groups))})
        splits = {"train": table.slice(held_out), "validation": table.slice(0, held_out)}
        write_dataset(building.path, splits, "A dataset.")
    with directory.folder(_lineage(f"student.{round_}", {"base": "t5-small"})).building(VERSIONS) as building:
        curve = [{"step": step, "train_loss": 3 / step + 0.4, "validation_loss": 2 / step + 0.9} for step in range(1, 9)]
        building.facts.update(steps=8, best_step=8, epochs=1.0, best_validation_loss=1.15, curve=curve, seconds=3.5, tokens=900, pairs=5)
        (building.path / "README.md").write_text("A student.", encoding="utf-8")


def _lineage(stage: str, models: dict[str, str]) -> Lineage:
    return Lineage(stage, 1, models={role: f"{role}-hash-0123" for role in models}, model_names=models)


def _rows(
    recipe: Recipe, pairs: Sequence[tuple[str, str]], process: str, reason: str | None, fluency: float | None
) -> list[dict[str, object]]:
    if not pairs:
        return []
    shapes = pair_shapes([x for x, _ in pairs], [y for _, y in pairs])
    groups = [(task.name, group) for task in tasks_of(recipe) for group in task.groups]
    places = shapes.groups([group for _, group in groups])
    draws = np.random.default_rng(0).uniform(0.9, 1, size=(len(pairs), 2))
    return [
        {
            "x": x,
            "y": y,
            "context": number % 10,
            "task": groups[places[number]][0] if places[number] >= 0 else "summary",
            "group": groups[places[number]][1].name if places[number] >= 0 else None,
            "domain": "news",
            "process": process,
            "requested": None,
            "compression": float(shapes.compression[number]),
            "rouge_l": float(shapes.rouge_l[number]),
            "density": float(shapes.density[number]),
            "entailment": float(draws[number, 0]),
            "reverse_entailment": float(draws[number, 1]) if number % 2 else None,
            "fluency": fluency,
            "reason": reason,
        }
        for number, (x, y) in enumerate(pairs)
    ]
