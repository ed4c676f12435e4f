"""The standalone filter: y leans on nothing outside the pair, as "it was attributed to savings" or "sales are up in other areas" do.

Not in the paper. What a small model writes is a part of a longer text in which such words had a meaning; in a pair they have none, and an
entailment model that meets "it" or "also" takes them for whatever fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from impdistill.filters.direction import Direction, check_direction, supported
from impdistill.filters.funnel import Decision
from impdistill.filters.scores import Pairs, Scores
from impdistill.text.leaning import bears


@dataclass(frozen=True, slots=True)
class Standalone:
    """Keeps pairs in which y has no "it", "they", "that is", "also", "however" or the like that x has not; with "both", neither has x.

    What counts: `text.leaning`.
    """

    direction: Direction = "y in x"
    name: str = "standalone"

    def __post_init__(self) -> None:
        check_direction(self.name, self.direction)

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        yield from ()
        return supported(scores.leanings, pairs, bears, self.direction)
