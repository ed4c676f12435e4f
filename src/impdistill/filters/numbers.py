"""The number filter: y names no number that x does not (the authors' code to the 2024 version of Jung et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from impdistill.filters.direction import Direction, check_direction, supported
from impdistill.filters.funnel import Decision
from impdistill.filters.scores import Pairs, Scores


@dataclass(frozen=True, slots=True)
class Numbers:
    """Keeps pairs in which every number of y is one of x's; with "both", also every number of x one of y's.

    What counts as the same number: `text.numbers`.
    """

    direction: Direction = "y in x"
    name: str = "numbers"

    def __post_init__(self) -> None:
        check_direction(self.name, self.direction)

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        yield from ()
        return supported(scores.numbers, pairs, frozenset.issuperset, self.direction)
