"""The fluency filter: both sentences must read as if a person had written them.

Not in the paper, whose teachers have 1.5 billion parameters. A small one writes much that no reader takes for English, and an
entailment model, which has never seen such text, believes it as readily as the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from impdistill.errors import RecipeError
from impdistill.filters.funnel import Decision, Unread
from impdistill.filters.scores import Pairs, Scores


@dataclass(frozen=True, slots=True)
class Fluency:
    """Keeps pairs of which x and y both have P(fluent) >= threshold, by the critic."""

    threshold: float = 0.5
    name: str = "fluency"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise RecipeError(f"{self.name}: threshold {self.threshold}; give a probability, 0 to 1")

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        yield Unread(np.unique(pairs))
        fluent = scores.fluency >= self.threshold
        return fluent[pairs[:, 0]] & fluent[pairs[:, 1]]
