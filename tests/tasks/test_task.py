"""A task's groups: half-open intervals, first match, and nothing above a similarity of 1; and the tasks that a recipe describes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from impdistill.errors import RecipeError
from impdistill.filters import Abstractiveness, Entailment, Fluency, Length, Mood, Numbers
from impdistill.recipe import Recipe
from impdistill.tasks import Group, Task, borders, instructions, tasks_of

TEACHER = {"teachers": [{"domain": "news", "model": "m"}]}


def groups_of(task: Task, pairs: list[tuple[float, float]]) -> list[str | None]:
    compression, similarity = np.array(pairs, dtype=np.float64).T
    return [None if index < 0 else task.groups[index].name for index in task.group_of(compression, similarity)]


def test_intervals_are_half_open_and_the_first_group_wins() -> None:
    groups = (Group("low", "", (0.2, 0.5), (0.0, 0.6)), Group("high", "", (0.5, 0.8)), Group("any", "", (0.4, 0.9)))
    task = Task("t", (), groups)
    pairs = [(0.2, 0.59), (0.199, 0.0), (0.2, 0.6), (0.45, 0.1), (0.45, 0.6), (0.5, 1.0), (0.8, 0.0), (0.9, 0.0)]
    assert groups_of(task, pairs) == ["low", None, None, "low", "any", "high", "any", None]
    assert groups_of(Task("t", ()), pairs) == [None] * len(pairs)


@pytest.mark.parametrize("high", [1.0, 1.5, math.inf])
def test_an_interval_that_ends_at_one_holds_copies(high: float) -> None:
    assert groups_of(Task("t", (), (Group("near", "", similarity=(0.6, high)),)), [(1, 0.59), (1, 0.6), (1, 1)]) == [None, "near", "near"]


def test_compression_may_be_above_one() -> None:
    assert groups_of(Task("t", (), (Group("short", "", compression=(0.0, 1.0)),)), [(0.99, 0), (1.0, 0)]) == ["short", None]


def test_a_recipe_describes_its_tasks() -> None:
    filters = {
        "length": {"minimum": 0.1, "maximum": 0.6},
        "mood": True,
        "numbers": {"direction": "both"},
        "abstractiveness": {"maximum": 0.5},
        "fluency": {"threshold": 0.4},
        "entailment": {"threshold": 0.8, "direction": "both"},
        "diversity": None,
    }
    group = {"instruction": "Shorten: ", "compression": [None, 0.6], "similarity": [0.2, None]}
    recipe = Recipe.load({**TEACHER, "critic": {"model": "c"}, "tasks": {"headline": {"filters": filters, "groups": {"one": group}}}})
    [task] = tasks_of(recipe)
    assert task.name == "headline"
    assert task.filters == (Length(0.1, 0.6), Mood(), Numbers("both"), Abstractiveness(0.5), Fluency(0.4), Entailment(0.8, "both"))
    assert task.groups == (Group("one", "Shorten: ", (0.0, 0.6), (0.2, math.inf)),)


def test_the_default_tasks_are_the_five_groups_of_the_paper() -> None:
    tasks = tasks_of(Recipe.load(TEACHER))
    assert [[rule.name for rule in task.filters] for task in tasks] == [
        ["length", "entailment", "diversity"],
        ["length", "abstractiveness", "entailment", "diversity"],
    ]
    assert list(instructions(tasks)) == ["short-abstractive", "short-extractive", "long-abstractive", "long-extractive", "paraphrase"]
    assert borders(tasks)["long-extractive"] == {"compression": (0.5, 0.8), "similarity": (0.6, None)}


def test_two_filters_of_one_name_are_refused() -> None:
    with pytest.raises(RecipeError, match="two filters are called 'length'"):
        Task("t", (Length(0, 0.8), Length(0, 0.5)))
