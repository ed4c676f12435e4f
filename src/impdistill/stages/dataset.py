"""Stage: the kept pairs of a round as a dataset, in groups, balanced or capped, split by context (Jung et al. 2023, A.3)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from impdistill.errors import RunError
from impdistill.recipe import DatasetRecipe, Recipe
from impdistill.run import FolderStage, Lineage, StageProgress, StageStore, write_dataset
from impdistill.stages.cards import card_facts
from impdistill.stages.machine import made_with
from impdistill.stages.step import FolderStep, Observer, RowStep, input_keys, stage_name
from impdistill.tasks import Task
from impdistill.text.words import words
from impdistill.train.card import dataset_body, dataset_metadata

CODE_VERSION = 1

COLUMNS = (
    "x",
    "y",
    "task",
    "group",
    "domain",
    "process",
    "context",
    "compression",
    "rouge_l",
    "density",
    "entailment",
    "reverse_entailment",
    "fluency",
)
SPLITS = ("train", "validation")


def dataset_step(recipe: Recipe, tasks: Sequence[Task], filtered: Sequence[RowStep], round_: int) -> FolderStep:
    """D0 (round 0) or the dataset of a round of self-distillation."""
    return FolderStep(
        lineage=Lineage(
            stage=stage_name("dataset", round_),
            code_version=CODE_VERSION,
            settings={
                "dataset": recipe.dataset.model_dump(mode="json"),
                "groups": {
                    group.name: [group.instruction, *map(str, group.compression + group.similarity)]
                    for task in tasks
                    for group in task.groups
                },
                "blocks": {step.lineage.stage: step.blocks for step in filtered},
            },
            inputs=input_keys(filtered),
            seed=recipe.seed,
        ),
        build=build_dataset,
        arguments=(recipe, tuple(tasks), round_),
        inputs=tuple(filtered),
    )


def build_dataset(
    stage: FolderStage, observer: Observer, recipe: Recipe, tasks: Sequence[Task], round_: int, *filtered: StageStore
) -> None:
    """Write data/*.parquet and the card.

    Raises:
        RunError: no pair was kept, so that there is nothing to train on.
    """
    tables = [kept_pairs(store, tasks, teacher.domain) for teacher, store in zip(recipe.teachers, filtered, strict=True)]
    pairs = pa.concat_tables(tables)
    if pairs.num_rows == 0:
        raise RunError(
            f"{stage.stage}: no pair passed the filters; read the drops with `impdistill inspect RUN --dropped`, then use more contexts "
            "(contexts.count), more samples (parallel.samples) or a lower entailment threshold"
        )
    grouped = pairs.filter(pc.is_valid(pairs["group"]))
    outside = pairs.num_rows - grouped.num_rows
    pairs = capped(grouped, recipe.dataset, recipe.seed)
    left_out = {"outside_groups": outside, "capped": grouped.num_rows - pairs.num_rows}
    held_out = validation_mask(pairs, recipe.dataset.validation, recipe.seed)
    splits = {"train": pairs.filter(pa.array(~held_out)), "validation": pairs.filter(pa.array(held_out))}
    with stage.building(made_with(recipe.execution)) as building:
        facts = card_facts(recipe, tasks, round_, splits, filtered, left_out=left_out)
        building.facts.update(pairs=pairs.num_rows, **left_out, groups=dict(Counter(pairs["group"].to_pylist())))
        write_dataset(
            building.path,
            {split: table for split, table in splits.items() if table.num_rows},
            dataset_body(facts),
            dataset_metadata(facts),
        )
    observer(StageProgress(stage.stage, 1, 1, counts={split: table.num_rows for split, table in splits.items()}))


def kept_pairs(store: StageStore, tasks: Sequence[Task], domain: str) -> pa.Table:
    """What a filter stage kept, in the order of its contexts, with each pair's group (null where it is in none)."""
    table = store.read("pairs")
    table = table.filter(pc.is_null(table["reason"]))
    names = np.full(table.num_rows, None, dtype=object)
    compression = table["compression"].to_numpy()
    similarity = np.maximum(table["rouge_l"].to_numpy(), table["density"].to_numpy())
    for task in tasks:
        mine = pc.equal(table["task"], task.name).to_numpy()
        groups = np.array([*(group.name for group in task.groups), None], dtype=object)
        names[mine] = groups[task.group_of(compression[mine], similarity[mine])]
    table = table.append_column("group", pa.array(names, pa.string()))
    return table.append_column("domain", pa.array([domain] * table.num_rows, pa.string())).select(COLUMNS)


def capped(pairs: pa.Table, wanted: DatasetRecipe, seed: int) -> pa.Table:
    """At most `max_same_output` pairs of one y, then `max_per_group` of a group, chosen at random by what they say, in their old order."""
    if wanted.max_same_output is not None:
        pairs = _at_most(pairs, [" ".join(words(y, unicode=True)) for y in pairs["y"].to_pylist()], wanted.max_same_output, seed)
    sizes = Counter(pairs["group"].to_pylist())
    cap = min(
        min(sizes.values(), default=0) if wanted.balance else pairs.num_rows,
        pairs.num_rows if wanted.max_per_group is None else wanted.max_per_group,
    )
    return _at_most(pairs, pairs["group"].to_pylist(), cap, seed)


def _at_most(pairs: pa.Table, kinds: Sequence[str], most: int, seed: int) -> pa.Table:
    """Of each kind at most so many pairs; `kinds` has one a pair."""
    draws = unit_draws(pairs, ("x", "y"), seed)
    seen: Counter[str] = Counter()
    keep = np.zeros(pairs.num_rows, dtype=bool)
    for row in np.argsort(draws, kind="stable").tolist():
        seen[kinds[row]] += 1
        keep[row] = seen[kinds[row]] <= most
    return pairs if keep.all() else pairs.filter(pa.array(keep))


def validation_mask(pairs: pa.Table, share: float, seed: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which pairs are held out, (n,) bool: `share` of the contexts, whole contexts at a time, whatever else is in the dataset.

    Where chance would hold out none although `share` is above 0, the first context in the random order is.
    """
    draws = unit_draws(pairs, ("domain", "context"), seed)
    held_out = draws < share
    if share > 0 and len(np.unique(draws)) > 1 and not held_out.any():
        held_out = draws == draws.min()
    return held_out


def unit_draws(pairs: pa.Table, columns: Sequence[str], seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A uniform number in [0, 1) for each row, (n,), that depends on the seed and the row's `columns` alone."""
    rows = zip(*(pairs[column].to_pylist() for column in columns), strict=True)
    digests = (hashlib.blake2b(repr((seed, *row)).encode(), digest_size=8).digest() for row in rows)
    return np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests], dtype=np.float64)
