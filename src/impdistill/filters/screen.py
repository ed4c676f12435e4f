"""The screen of a cascade: a small model drops what it holds for hopeless, so that the large judge is not asked about it.

Not in the paper. A screen can only lose pairs: it stands before the entailment filter and never decides that a pair is good. A pair
that passes is kept just when the judge alone would have kept it or a better one of its duplicates: the best of a component stays the
best where others are missing. How much it may lose is bounded by `choose_cutoff`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from impdistill.filters.entailment import Entailment
from impdistill.filters.funnel import Decision, Filter
from impdistill.filters.scores import Pairs, Scores

Scorer: TypeAlias = Callable[[Sequence[str], NDArray[np.integer]], NDArray[np.float32]]
"""Texts and (q, 2) indices into them (premise, hypothesis) -> (q,) float32, larger where entailment is likelier."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Keeps pairs whose screening score reaches the cut-off.

    Attributes:
        cutoff: the least score.
        scorer: the small model; asked nothing twice.
        direction: "both": x => y and y => x must reach it.
    """

    cutoff: float
    scorer: Scorer
    direction: Literal["forward", "both"] = "forward"
    name: str = "screen"

    def settings(self) -> Mapping[str, Any]:
        return {"cutoff": self.cutoff, "direction": self.direction}

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        yield from ()
        kept = self._scores(scores, pairs) >= self.cutoff
        if self.direction == "both":
            kept[kept] = self._scores(scores, pairs[kept][:, ::-1]) >= self.cutoff
        return kept

    def _scores(self, scores: Scores, questions: Pairs) -> NDArray[np.float32]:
        table = scores.screening
        missing = np.unique(questions[np.isnan(table[questions[:, 0], questions[:, 1]])], axis=0)
        if len(missing):
            table[missing[:, 0], missing[:, 1]] = self.scorer(scores.sentences, missing)
        found: NDArray[np.float32] = table[questions[:, 0], questions[:, 1]]
        return found


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Where a task's screen cuts, and how that was found.

    Attributes:
        value: None: all pass, and the small model is not asked.
        kept: pairs of the sample that the judge alone kept.
        passed: how many of them reach the cut-off.
        bound: one-sided lower confidence bound of the share that pass, in [0, 1].
        spared: share of the judge's questions in the sample that score below the cut-off.
        why: in words.
    """

    value: float | None
    kept: int
    passed: int
    bound: float
    spared: float
    why: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def choose_cutoff(
    kept: NDArray[np.float32], judged: NDArray[np.float32], *, recall: float, confidence: float, least_saving: float
) -> Cutoff:
    """The highest cut-off at which, with this confidence, at least a share `recall` of what the judge keeps passes.

    The number of pairs that may be lost follows from how many there are, before any score is looked at; so the cut-off is an order
    statistic, and the Clopper-Pearson bound holds although it is chosen on the same sample (Wilks 1941). It holds for contexts like
    those of the sample, and as far as kept pairs are independent: of each set of duplicates there is but one.

    Args:
        kept: (n,) screening scores of the pairs that the judge alone keeps.
        judged: (m,) of questions that it was asked.
        least_saving: share of these that must fall below the cut-off.
    """
    lost = most_lost(len(kept), recall, confidence)
    if lost is None:
        needed = math.ceil(math.log(1 - confidence) / math.log(recall))
        return Cutoff(
            None, len(kept), len(kept), 0.0, 0.0, f"all pass: the judge kept {len(kept)} pairs of the sample, {needed} are needed"
        )
    value = float(np.sort(kept)[lost])
    passed = int((kept >= value).sum())
    bound = lower_bound(passed, len(kept), confidence)
    spared = float((judged < value).mean()) if len(judged) else 0.0
    if spared < least_saving:
        return Cutoff(
            None, len(kept), len(kept), 1.0, spared, f"all pass: it would spare {spared:.1%} of the questions, less than {least_saving:.1%}"
        )
    why = f"keeps at least {bound:.2%} of what the judge alone keeps ({passed} of {len(kept)} in the sample, {confidence:.0%} confidence)"
    return Cutoff(value, len(kept), passed, bound, spared, why)


def most_lost(pairs: int, recall: float, confidence: float) -> int | None:
    """How many of so many pairs may be lost at most; None: not even one need be, there are too few to show it."""
    lost = None
    for number in range(pairs):
        if lower_bound(pairs - number, pairs, confidence) < recall:
            break
        lost = number
    return lost


def lower_bound(passed: int, of: int, confidence: float) -> float:
    """One-sided lower confidence bound of a share (Clopper and Pearson 1934), in [0, 1]."""
    from scipy.stats import beta  # takes half a second to import

    return float(beta.ppf(1 - confidence, passed, of - passed + 1)) if passed else 0.0


def with_screen(chain: Sequence[Filter], cutoff: float | None, scorer: Scorer) -> tuple[Filter, ...]:
    """The chain with a screen just before its entailment filter; as it is where there is none, or no cut-off."""
    place = next((index for index, rule in enumerate(chain) if isinstance(rule, Entailment)), None)
    if cutoff is None or place is None:
        return tuple(chain)
    rule = chain[place]
    assert isinstance(rule, Entailment)
    return (*chain[:place], Screen(cutoff, scorer, rule.direction), *chain[place:])
