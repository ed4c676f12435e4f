"""Impossible Distillation: datasets and task models from any off-the-shelf language model (Jung et al. 2023).

The public face; everything here is loaded on first use, so that `import impdistill` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impdistill.best_of import BestOf
    from impdistill.errors import ImpdistillError
    from impdistill.filters import PairRule
    from impdistill.models.judge import Judge
    from impdistill.models.student import Decoding, Student
    from impdistill.outcome import Pair, Run
    from impdistill.pipeline import distill, plan
    from impdistill.recipe import Recipe
    from impdistill.tasks import Group, Task, tasks_of

__version__ = "0.1.0"

__all__ = [
    "BestOf",
    "Decoding",
    "Group",
    "ImpdistillError",
    "Judge",
    "Pair",
    "PairRule",
    "Recipe",
    "Run",
    "Student",
    "Task",
    "distill",
    "plan",
    "tasks_of",
]

_HOMES = {
    "BestOf": "impdistill.best_of",
    "Decoding": "impdistill.models.student",
    "Group": "impdistill.tasks",
    "ImpdistillError": "impdistill.errors",
    "Judge": "impdistill.models.judge",
    "Pair": "impdistill.outcome",
    "PairRule": "impdistill.filters",
    "Recipe": "impdistill.recipe",
    "Run": "impdistill.outcome",
    "Student": "impdistill.models.student",
    "Task": "impdistill.tasks",
    "distill": "impdistill.pipeline",
    "plan": "impdistill.pipeline",
    "tasks_of": "impdistill.tasks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
