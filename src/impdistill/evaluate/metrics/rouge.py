"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004), as the `rouge-score` package computes them without stemming.

Scale 0-100, higher is better. F1; lower-cased tokens [a-z0-9]+; with several references the best one, separately for each of
the three. Beware on Turk: copying the input scores 98 (every table here therefore has a row for it). Letters beyond ASCII are no
tokens here, so that an item written in others scores 0 whatever the output: such items are counted in the score's note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from rapidfuzz.distance import LCSseq

from impdistill.evaluate.answers import Answers
from impdistill.evaluate.statistic import Floats, Statistic, mean_of
from impdistill.text.words import words

Gram = TypeVar("Gram", str, tuple[str, str])

NAMES = ("ROUGE-1", "ROUGE-2", "ROUGE-L")


def rouge(answers: Answers) -> tuple[Statistic, ...]:
    """ROUGE-1, ROUGE-2, ROUGE-L: means over items."""
    scores = rouge_f1(answers.outputs, answers.references)
    note = "F1, best of references, lower-cased [a-z0-9]+, no stemming"
    unseen = unseen_items(answers.references)
    if unseen:
        note += f"; {unseen} of {len(answers)} items have references without such a token and score 0"
    return tuple(mean_of(name, scores[:, column], note=note) for column, name in enumerate(NAMES))


def unseen_items(references: Sequence[Sequence[str]]) -> int:
    """Items of whose references ROUGE sees nothing."""
    return sum(not any(words(reference) for reference in several) for several in references)


def rouge_f1(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """ROUGE-1, ROUGE-2 and ROUGE-L F1 of each output against its best reference: (n, 3), 0-100."""
    scores = np.zeros((len(outputs), 3))
    for row, (output, several) in enumerate(zip(outputs, references, strict=True)):
        tokens = words(output)
        if tokens:
            scores[row] = np.max([_scores(tokens, words(reference)) for reference in several], axis=0)
    return scores


def _scores(output: list[str], reference: list[str]) -> tuple[float, float, float]:
    unigrams = _overlap(Counter(output), Counter(reference))
    bigrams = _overlap(Counter(pairwise(output)), Counter(pairwise(reference)))
    common = LCSseq.similarity(output, reference)
    return (
        _f1(unigrams, len(output), len(reference)),
        _f1(bigrams, len(output) - 1, len(reference) - 1),
        _f1(common, len(output), len(reference)),
    )


def _overlap(output: Counter[Gram], reference: Counter[Gram]) -> int:
    return sum(min(count, reference[gram]) for gram, count in output.items() if gram in reference)


def _f1(matched: float, output_total: int, reference_total: int) -> float:
    return 200.0 * matched / (output_total + reference_total) if matched else 0.0
