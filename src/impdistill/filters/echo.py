"""The echo filter: y says no word again that x says once ("The bridge is a part of the bridge").

Not in the paper. Small models fill a sentence up with what it has already, and an entailment model finds nothing wrong with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from impdistill.filters.direction import supported
from impdistill.filters.funnel import Decision
from impdistill.filters.scores import Pairs, Scores


@dataclass(frozen=True, slots=True)
class Echo:
    """Keeps pairs in which no word of four letters or more stands in y several times, and more often than in x."""

    name: str = "echo"

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        yield from ()
        return supported(scores.repeated, pairs, _no_echo, "y in x")


def _no_echo(x: Mapping[str, int], y: Mapping[str, int]) -> bool:
    return all(count <= x.get(word, 0) for word, count in y.items())
