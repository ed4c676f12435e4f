"""The best of several rewrites: a student samples, and a judge takes what says nothing new and is in the group asked for.

The loop learns only from outputs that pass its filters (Jung et al. 2023, section 2.1.2); this is the same sieve where a student is
used. Not in the paper, which decodes once. Small students gain most: what they seldom do right they do right once in sixteen times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from impdistill.decode.randomness import uniforms
from impdistill.errors import ModelError, RecipeError
from impdistill.evaluate.pair_shape import pair_shapes
from impdistill.models.judge import Judge
from impdistill.models.student import Decoding, Student
from impdistill.tasks import Group
from impdistill.text.leaning import bears, leaning
from impdistill.text.mentions import asks, mentions, supports
from impdistill.text.numbers import numbers
from impdistill.text.words import words

CANDIDATES = 16
THRESHOLD = 0.7
TOP_P = 0.9
_AS_LONG_AS_ITS_SOURCE = 0.8
"""Outputs of a group that starts at this compression leave out nothing: they must entail their source too."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One rewrite, and how it fares.

    Attributes:
        output: the text; empty if the student wrote nothing else.
        entailment: P(source entails output); in groups as long as their source the smaller of both directions. 0 if empty.
        in_group: whether it lies in the group asked for.
        passes: whether it does, `entailment` reaches the threshold, and it has no number, name or person that the source has not.
        candidates: how many different ones it was chosen from.
    """

    output: str
    entailment: float
    in_group: bool
    passes: bool
    candidates: int


@dataclass(frozen=True, eq=False)
class BestOf:
    """A student of whose rewrites a judge takes the best. Has `rewrite`, so it can be measured like a student.

    Attributes:
        groups: borders of the student's groups, by name (`tasks_of`, or what a student's folder says).
        candidates: rewrites a text: a greedy one, and sampled ones.
        threshold: P(entailment) from which a rewrite counts as faithful.
        top_p: of the sampled ones, in (0, 1].
        seed: of the sampling. The same texts, in the same order, give the same outputs.
    """

    student: Student
    judge: Judge
    groups: Mapping[str, Group]
    candidates: int = CANDIDATES
    threshold: float = THRESHOLD
    top_p: float = TOP_P
    seed: int = 0

    def __post_init__(self) -> None:
        if self.candidates < 1 or not 0 <= self.threshold <= 1 or not 0 < self.top_p <= 1:
            raise RecipeError(
                f"best of {self.candidates}, threshold {self.threshold:g}, top_p {self.top_p:g}: at least one candidate, "
                "0 <= threshold <= 1 and 0 < top_p <= 1 are needed"
            )

    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        """The best output of each text, in order. Raises as `choose`."""
        return [chosen.output for chosen in self.choose(texts, group)]

    def choose(self, texts: Sequence[str], group: str, first: int = 0) -> list[Chosen]:
        """The best rewrite of each text: one that passes; else a faithful one; else the likeliest to be, without new numbers or names.

        Args:
            first: the number of the first text, where they are handed over in parts: the draws follow from it.

        Raises:
            TextError: a text is empty or over the student's limit.
            ModelError: the student has no such group, or its borders are not known.
        """
        self.student.check(texts, group)
        check_borders(self.student.name, self.groups, [group])
        wanted = self.groups[group]

        # 1. Candidates: a greedy one, then samples; each once.
        candidates: list[list[str]] = [[output] for output in self.student.rewrite(texts, group)]
        again = self.candidates - 1
        repeated = [text for text in texts for _ in range(again)]

        def draws(name: str, chosen: torch.Tensor, position: int) -> torch.Tensor:
            return uniforms(self.seed, f"best-of/{name}", first + chosen // again, chosen % again, position)

        if again:
            sampled = self.student.rewrite(repeated, group, decoding=Decoding(top_p=self.top_p), uniforms=draws)
            for number, output in enumerate(sampled):
                candidates[number // again].append(output)
        distinct = [[output for output in dict.fromkeys(each) if output] for each in candidates]

        # 2. What they are: in the group, faithful.
        sources = [text for text, each in zip(texts, distinct, strict=True) for _ in each]
        outputs = [output for each in distinct for output in each]
        if not outputs:
            return [Chosen("", 0.0, False, False, 0) for _ in texts]
        shapes = pair_shapes(sources, outputs)
        in_group = wanted.contains(shapes.compression, shapes.similarity)
        entailment = self.judge.probabilities(sources, outputs)[:, 0]
        if wanted.compression[0] >= _AS_LONG_AS_ITS_SOURCE:
            entailment = np.minimum(entailment, self.judge.probabilities(outputs, sources)[:, 0])
        nothing_new = np.array([_nothing_new(source, output) for source, output in zip(sources, outputs, strict=True)])
        faithful = (entailment >= self.threshold) & nothing_new
        copied = np.array([words(source) == words(output) for source, output in zip(sources, outputs, strict=True)])

        # 3. The best of each text. Copying is always faithful, so a copy comes after everything else that is.
        ranks = [*zip(faithful & in_group, faithful & ~copied, faithful, nothing_new, entailment, strict=True)]
        best: list[Chosen] = []
        start = 0
        for each in distinct:
            if not each:
                best.append(Chosen("", 0.0, False, False, 0))
                continue
            place = max(range(start, start + len(each)), key=lambda index: ranks[index])
            passes = bool(faithful[place] & in_group[place])
            best.append(Chosen(outputs[place], float(entailment[place]), bool(in_group[place]), passes, len(each)))
            start += len(each)
        return best


def check_borders(student: str, known: Mapping[str, Group], wanted: Sequence[str]) -> None:
    """Raise `ModelError` for the first wanted group whose borders are not known."""
    for group in wanted:
        if group not in known:
            raise ModelError(f"{student}: the borders of {group!r} are not known, so no rewrite can be chosen; give the run that made it")


def _nothing_new(source: str, output: str) -> bool:
    """Numbers, names and persons of the output are the source's, it leans on nothing else, and asks if the source does."""
    return (
        numbers(output) <= numbers(source)
        and supports(mentions(source), mentions(output))
        and bears(leaning(source), leaning(output))
        and asks(source) == asks(output)
    )
