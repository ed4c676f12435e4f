"""The tasks that a recipe describes, as filters and groups. The chain's order is fixed: cheap filters, entailment, diversity."""

from __future__ import annotations

import math

from impdistill.filters import Abstractiveness, Diversity, Echo, Entailment, Filter, Fluency, Length, Mentions, Mood, Numbers, Standalone
from impdistill.recipe import FiltersRecipe, Recipe
from impdistill.recipe_fields import Interval
from impdistill.tasks.task import Group, Task


def tasks_of(recipe: Recipe) -> tuple[Task, ...]:
    """One `Task` for each of the recipe's, in its order."""
    return tuple(
        Task(
            name=name,
            filters=_chain(task.filters),
            groups=tuple(
                Group(group_name, group.instruction, _interval(group.compression), _interval(group.similarity))
                for group_name, group in task.groups.items()
            ),
        )
        for name, task in recipe.tasks.items()
    )


def _chain(filters: FiltersRecipe) -> tuple[Filter, ...]:
    chain: list[Filter] = []
    if filters.length is not None:
        chain.append(Length(filters.length.minimum, filters.length.maximum))
    if filters.mood:
        chain.append(Mood())
    if filters.echo:
        chain.append(Echo())
    if filters.numbers is not None:
        chain.append(Numbers(filters.numbers.direction))
    if filters.mentions is not None:
        chain.append(Mentions(filters.mentions.direction))
    if filters.standalone is not None:
        chain.append(Standalone(filters.standalone.direction))
    if filters.abstractiveness is not None:
        chain.append(Abstractiveness(filters.abstractiveness.maximum))
    if filters.fluency is not None:
        chain.append(Fluency(filters.fluency.threshold))
    if filters.entailment is not None:
        chain.append(Entailment(filters.entailment.threshold, filters.entailment.direction))
    if filters.diversity is not None:
        chain.append(Diversity(filters.diversity.threshold, filters.diversity.edges, filters.diversity.max_component))
    return tuple(chain)


def _interval(bounds: Interval) -> tuple[float, float]:
    low, high = bounds
    return (0.0 if low is None else low, math.inf if high is None else high)
