"""Two filters on what a sentence is about, before any judge: whom it mentions, and whether it asks.

Not in the paper. An entailment model is trained on statements about third persons, and is sure of much that it should not be: that
"I like tea" says "You like tea", that "I need to learn this" says "What do I need to learn?". Where the judge is small these are many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impdistill.filters.direction import Direction, check_direction, supported
from impdistill.filters.funnel import Decision
from impdistill.filters.scores import Pairs, Scores
from impdistill.text.mentions import supports


@dataclass(frozen=True, slots=True)
class Mentions:
    """Keeps pairs in which y mentions no name and no person that x does not; with "both", neither x any that y does not.

    What counts as a mention: `text.mentions`.
    """

    direction: Direction = "y in x"
    name: str = "mentions"

    def __post_init__(self) -> None:
        check_direction(self.name, self.direction)

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        yield from ()
        return supported(scores.mentions, pairs, supports, self.direction)


@dataclass(frozen=True, slots=True)
class Mood:
    """Keeps pairs of which x and y both ask, or neither does."""

    name: str = "mood"

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        yield from ()
        alike: NDArray[np.bool_] = scores.questions[pairs[:, 0]] == scores.questions[pairs[:, 1]]
        return alike
