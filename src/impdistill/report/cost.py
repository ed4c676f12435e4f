"""What pairs cost: seconds of computing and tokens written, per kept pair and for a hundred thousand of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from impdistill.outcome import Run

PROJECTED_PAIRS = 100_000
WRITING = ("contexts", "parallel", "sequential", "sources", "rewrites")
"""Stages in which a model writes."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of making one round's pairs, training not included.

    Attributes:
        seconds: stage -> computing, summed over workers and domains.
        tokens: that teachers and students wrote, in texts that were refused or not needed too; of constrained decoding and beam search
            those of the outputs alone.
        uncounted: stages whose tokens are missing in that: an earlier version did not count them.
        kept: pairs that passed the filters.
        seconds_per_pair, tokens_per_pair: None where nothing was kept.
        hours_projected, tokens_projected: for `PROJECTED_PAIRS` at the same yield on the same machine.
    """

    seconds: Mapping[str, float]
    tokens: int
    uncounted: tuple[str, ...]
    kept: int
    seconds_per_pair: float | None
    tokens_per_pair: float | None
    hours_projected: float | None
    tokens_projected: float | None


def cost_of(run: Run, round_: int, kept: int) -> Cost:
    """Add up the stages of a round that work by blocks."""
    seconds: dict[str, float] = {}
    tokens = 0
    uncounted: list[str] = []
    for stage in run.status():
        what, _, rest = stage.stage.partition(".")
        if rest.split(".")[0] == str(round_) and what not in ("dataset", "student"):
            seconds[what] = seconds.get(what, 0.0) + stage.seconds
            tokens += stage.counts.get("tokens", 0)
            if what in WRITING and stage.done_blocks and "tokens" not in stage.counts:
                uncounted.append(what)
    total = sum(seconds.values())
    return Cost(
        {what: round(spent, 3) for what, spent in seconds.items()},
        tokens,
        tuple(dict.fromkeys(uncounted)),
        kept,
        total / kept if kept else None,
        tokens / kept if kept else None,
        total / kept * PROJECTED_PAIRS / 3600 if kept else None,
        tokens / kept * PROJECTED_PAIRS if kept else None,
    )
