"""The dataset's own decisions: groups by interval, caps, and a split by context that does not depend on what else there is."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from impdistill.console.summary import print_summary
from impdistill.outcome import Run
from impdistill.recipe import DatasetRecipe, Recipe, TeacherRecipe
from impdistill.run import BlockResult, Lineage, RunDirectory, run_blocks
from impdistill.stages.dataset import build_dataset, capped, unit_draws, validation_mask
from impdistill.stages.filtering import PAIRS
from impdistill.tasks import tasks_of


def pairs_of(groups: list[str], contexts: list[int]) -> pa.Table:
    size = len(groups)
    return pa.table(
        {
            "x": [f"x {number}" for number in range(size)],
            "y": [f"y {number}" for number in range(size)],
            "group": groups,
            "domain": ["news"] * size,
            "context": contexts,
        }
    )


@pytest.mark.parametrize(
    ("compression", "similarity", "group"),
    [
        (0.49, 0.59, "short-abstractive"),
        (0.49, 0.6, "short-extractive"),
        (0.5, 0.59, "long-abstractive"),
        (0.79, 1.0, "long-extractive"),
        (0.8, 0.59, "paraphrase"),
        (1.49, 0.0, "paraphrase"),
        (0.8, 0.6, None),
        (1.5, 0.1, None),
    ],
)
def test_groups_are_half_open_as_published(compression: float, similarity: float, group: str | None) -> None:
    found = [
        task.groups[index].name
        for task in tasks_of(Recipe(teachers=(TeacherRecipe(domain="news", model="m"),)))
        for index in task.group_of(np.array([compression]), np.array([similarity]))
        if index >= 0
    ]
    assert found == ([] if group is None else [group])


def test_balance_and_caps() -> None:
    pairs = pairs_of(["a"] * 50 + ["b"] * 7 + ["c"] * 20, list(range(77)))
    assert Counter(capped(pairs, DatasetRecipe(balance=True), 0)["group"].to_pylist()) == {"a": 7, "b": 7, "c": 7}
    assert Counter(capped(pairs, DatasetRecipe(max_per_group=10), 0)["group"].to_pylist()) == {"a": 10, "b": 7, "c": 10}
    assert capped(pairs, DatasetRecipe(), 0) is pairs
    said = pa.array(["Any help?", "any HELP!", *pairs["y"].to_pylist()[2:]])
    twice = capped(pairs.set_column(pairs.schema.get_field_index("y"), "y", said), DatasetRecipe(max_same_output=1), 0)
    assert twice.num_rows == pairs.num_rows - 1
    chosen = capped(pairs, DatasetRecipe(max_per_group=10), 0)["x"].to_pylist()
    assert chosen == [x for x in pairs["x"].to_pylist() if x in set(chosen)]  # the old order
    assert capped(pairs, DatasetRecipe(max_per_group=10), 1)["x"].to_pylist() != chosen


def test_split_keeps_contexts_together_and_depends_on_nothing_else() -> None:
    contexts = [number // 3 for number in range(3000)]
    pairs = pairs_of(["a"] * 3000, contexts)
    held_out = validation_mask(pairs, 0.1, seed=0)
    assert 0.05 < held_out.mean() < 0.15
    by_context = held_out.reshape(-1, 3)
    assert (by_context.all(axis=1) == by_context.any(axis=1)).all()
    assert (validation_mask(pairs.slice(300), 0.1, seed=0) == held_out[300:]).all()


def test_something_is_held_out_of_the_smallest_dataset() -> None:
    pairs = pairs_of(["a"] * 4, [1, 1, 2, 2])
    assert validation_mask(pairs, 0.01, seed=0).sum() == 2
    assert not validation_mask(pairs, 0.0, seed=0).any()
    assert not validation_mask(pairs.slice(0, 2), 0.01, seed=0).any()


def test_draws_are_uniform() -> None:
    draws = unit_draws(pairs_of(["a"] * 5000, list(range(5000))), ("domain", "context"), seed=3)
    assert abs(draws.mean() - 0.5) < 0.02
    assert draws.min() >= 0
    assert draws.max() < 1


def test_what_is_kept_and_not_in_the_dataset_is_counted(tmp_path: Path) -> None:
    """Of 12 pairs kept by the filters, 3 fit no group, and a group may have 4."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", encoding="utf-8")
    model = str(tmp_path / "model")
    content = {"teachers": [{"domain": "news", "model": model}], "judge": {"model": model}, "student": {"model": model}}
    recipe = Recipe.load(content, ["dataset.max_per_group=4", "sequential.outputs=0", "self_distillation.rounds=0"])
    directory = RunDirectory.create(tmp_path / "run", recipe.to_yaml())
    shapes = [(0.3, 0.2)] * 6 + [(0.6, 0.7)] * 3 + [(0.9, 0.2)] * 3  # no summary is as long as the last
    fixed = {"task": "summary", "process": "parallel", "requested": None, "density": 0.0, "entailment": 0.9}
    rows = [
        {**fixed, "context": number, "x": f"x {number}", "y": f"y {number}", "compression": compression, "rouge_l": similarity}
        for number, (compression, similarity) in enumerate(shapes)
    ]
    result = BlockResult({"pairs": pa.Table.from_pylist(rows, PAIRS)}, {"summary/parallel/generated": 12, "summary/parallel/kept": 12})
    store = directory.stage(Lineage("filter.0.news", 1), 1)
    run_blocks(store, lambda: lambda block: result)
    folder = directory.folder(Lineage("dataset.0", 1))
    build_dataset(folder, lambda progress: None, recipe, tasks_of(recipe), 0, store)
    facts = folder.facts()
    assert (facts["pairs"], facts["outside_groups"], facts["capped"]) == (7, 3, 2)
    assert "Of 12 kept pairs 3 are in no group, and 2 are above" in (folder.path / "README.md").read_text(encoding="utf-8")
    console = Console(record=True, width=100, file=io.StringIO())
    print_summary(Run(directory), console)
    lines = [line.split() for line in console.export_text().splitlines()]
    assert [line for line in lines if line and line[0] in ("all", "in", "above")] == [
        ["all", "7"],
        ["in", "no", "group", "3"],
        ["above", "the", "cap", "2"],
    ]
