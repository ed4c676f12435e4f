"""Distinct-n: different n-grams / all n-grams of a set of texts (Li et al. 2016).

Scale 0-1, more is more varied. It falls with the number of tokens: compare only sets of equal size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from impdistill.evaluate.answers import Answers
from impdistill.evaluate.metrics.ngrams import TOKENS, ngram_counts
from impdistill.evaluate.statistic import Floats, Statistic

ORDERS = (1, 2)


def distinct(answers: Answers) -> tuple[Statistic, ...]:
    """Distinct-1 and distinct-2 of the outputs."""
    return distinct_ngrams(answers.outputs)


def distinct_ngrams(texts: Sequence[str]) -> tuple[Statistic, ...]:
    """The same of any texts; 0 where there is no n-gram."""
    return tuple(
        Statistic(f"Distinct-{order}", ngram_counts(texts, order), _distinct, digits=3, note=TOKENS, plug_in=True, most=1.0)
        for order in ORDERS
    )


def _distinct(counts: Floats) -> Floats:
    return np.asarray((counts > 0).sum(axis=1) / np.maximum(counts.sum(axis=1), 1))
