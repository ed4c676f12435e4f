"""When the loop asks the critic: for the fluency filters of the tasks, and for source sentences before a student rewrites them in vain."""

from __future__ import annotations

from collections.abc import Sequence

from impdistill.filters import Fluency
from impdistill.models.critic import Critic
from impdistill.recipe import Recipe
from impdistill.stages.machine import use_threads
from impdistill.tasks import Task


def asks_critic(tasks: Sequence[Task]) -> bool:
    """Whether any task's chain has a fluency filter."""
    return any(isinstance(rule, Fluency) for task in tasks for rule in task.filters)


def least_fluency(tasks: Sequence[Task]) -> float | None:
    """P(fluent) below which a sentence can be in no pair of any task; None: some task takes any sentence."""
    thresholds = [max((rule.threshold for rule in task.filters if isinstance(rule, Fluency)), default=None) for task in tasks]
    known = [threshold for threshold in thresholds if threshold is not None]
    return min(known) if len(known) == len(thresholds) and known else None


def critic_model(recipe: Recipe, tasks: Sequence[Task]) -> dict[str, tuple[str, str | None]]:
    """`critic` -> (name, revision), or nothing where no filter asks it."""
    wanted = recipe.critic
    return {"critic": (wanted.model, wanted.revision)} if wanted.model is not None and asks_critic(tasks) else {}


def load_critic(recipe: Recipe, tasks: Sequence[Task]) -> Critic | None:
    """The critic where and as the recipe says; None where no filter asks it."""
    for name, revision in critic_model(recipe, tasks).values():
        use_threads(recipe.execution)
        numerics = recipe.numerics
        return Critic.load(
            name, revision=revision, device=recipe.execution.device, dtype=numerics.dtype, max_batch_tokens=numerics.max_batch_tokens
        )
    return None
