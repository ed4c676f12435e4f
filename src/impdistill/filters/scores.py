"""Every score between the sentences of one context, each computed once, when first asked for.

All candidates of a context come from one set of sentences, so P(premise => hypothesis) is one n x n matrix, and all
filters of all tasks read it. Knows nothing of thresholds, and does not call the judge: `missing` says what to ask,
`answer` takes the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from impdistill.errors import RunError
from impdistill.filters import overlap
from impdistill.text.leaning import Leaning, leaning
from impdistill.text.mentions import Mentions, asks, mentions
from impdistill.text.numbers import numbers
from impdistill.text.words import word_count, words

Pairs = NDArray[np.integer]
"""(q, 2) indices of sentences. Of a candidate: x, y; of a question: premise, hypothesis."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What was asked about one context and answered, by the judge in the order in which it was asked.

    Attributes:
        premises, hypotheses: (q,) int32, indices of sentences.
        entailment: (q,) float32, P(premise => hypothesis).
        read: (s,) int32, indices of the sentences that the critic read, ascending.
        fluency: (s,) float32, their P(fluent).
    """

    premises: NDArray[np.int32]
    hypotheses: NDArray[np.int32]
    entailment: NDArray[np.float32]
    read: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    fluency: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))


class Scores:
    """The scores of one context's sentences.

    Attributes:
        sentences: n unique sentences.
        entailment: (n, n) float32, `[premise, hypothesis]`; nan where the judge was not asked. The diagonal is 1: a
            sentence entails itself by definition.
        fluency: (n,) float32, P(fluent) of each sentence; nan where the critic was not asked.
    """

    def __init__(self, sentences: Sequence[str], *, unicode: bool = False) -> None:
        """
        Args:
            unicode: count letters beyond ASCII in overlaps; ROUGE does not.
        """
        self.sentences = tuple(sentences)
        self._unicode = unicode
        n = len(self.sentences)
        self.entailment: NDArray[np.float32] = np.full((n, n), np.nan, dtype=np.float32)
        np.fill_diagonal(self.entailment, 1)
        self.fluency: NDArray[np.float32] = np.full(n, np.nan, dtype=np.float32)
        self._answered: list[Pairs] = []
        self._spared = np.zeros((n, n), dtype=np.int8)
        self._spared_reasons: list[str] = []

    @cached_property
    def screening(self) -> NDArray[np.float32]:
        """(n, n), `[premise, hypothesis]`: what a smaller model says before the judge is asked; nan where it was not asked."""
        return np.full(self.entailment.shape, np.nan, dtype=np.float32)

    @cached_property
    def word_counts(self) -> NDArray[np.int64]:
        """(n,) lengths, as the length filter counts them."""
        return np.array([word_count(sentence) for sentence in self.sentences], dtype=np.int64)

    @cached_property
    def numbers(self) -> tuple[frozenset[str], ...]:
        """The numbers named in each sentence."""
        return tuple(numbers(sentence) for sentence in self.sentences)

    @cached_property
    def mentions(self) -> tuple[Mentions, ...]:
        """The names and persons of each sentence."""
        return tuple(mentions(sentence) for sentence in self.sentences)

    @cached_property
    def leanings(self) -> tuple[Leaning, ...]:
        """What each sentence leans on."""
        return tuple(leaning(sentence) for sentence in self.sentences)

    @cached_property
    def repeated(self) -> tuple[Mapping[str, int], ...]:
        """Of each sentence, how often each word of four letters or more stands in it that stands there more than once."""
        counted = (Counter(word for word in words(sentence, unicode=True) if len(word) > 3) for sentence in self.sentences)
        return tuple({word: count for word, count in counts.items() if count > 1} for counts in counted)

    @cached_property
    def questions(self) -> NDArray[np.bool_]:
        """(n,), whether each sentence asks."""
        return np.array([asks(sentence) for sentence in self.sentences], dtype=bool)

    def compression(self, pairs: Pairs) -> NDArray[np.float64]:
        """|y| / |x| of q pairs, (q,); infinite where x has no words."""
        x, y = self.word_counts[pairs[:, 0]], self.word_counts[pairs[:, 1]]
        ratio: NDArray[np.float64] = np.divide(y, x, out=np.full(len(pairs), np.inf), where=x > 0)
        return ratio

    def rouge_l(self, pairs: Pairs) -> NDArray[np.float64]:
        """ROUGE-L F1 of q pairs, (q,) in [0, 1]."""
        return self._rouge_l[pairs[:, 0], pairs[:, 1]]

    def density(self, pairs: Pairs) -> NDArray[np.float64]:
        """Normalised Density of q pairs, (q,) in [0, 1]."""
        return self._density[pairs[:, 0], pairs[:, 1]]

    def similarity(self, pairs: Pairs) -> NDArray[np.float64]:
        """max(Density, ROUGE-L) of q pairs, (q,) in [0, 1] (Jung et al. 2023, equations 9 and 11)."""
        return np.maximum(self.rouge_l(pairs), self.density(pairs))

    def containment(self, pairs: Pairs) -> NDArray[np.float64]:
        """The share of the second sentence's words that the first has, in order, (q,) in [0, 1]. A guess at
        entailment."""
        common = self._common[pairs[:, 0], pairs[:, 1]]
        share: NDArray[np.float64] = common / np.maximum(self._ids.lengths[pairs[:, 1]], 1)
        return share

    def probability(self, questions: Pairs) -> NDArray[np.float32]:
        """P(premise => hypothesis) of q questions, (q,) float32; nan where the judge was not asked."""
        return self.entailment[questions[:, 0], questions[:, 1]]

    def missing(self, questions: Pairs) -> Pairs:
        """Those of the questions that have no answer yet, each once, in the order of their first occurrence."""
        return questions[self._unanswered(questions)]

    def answer(self, questions: Pairs, entailment: NDArray[np.float32]) -> None:
        """Take the judge's answers to q different questions that had none."""
        self.entailment[questions[:, 0], questions[:, 1]] = entailment
        self._answered.append(questions)

    def unread(self, sentences: NDArray[np.integer]) -> NDArray[np.int32]:
        """Those of the sentences whose fluency is not known, each once, ascending."""
        found: NDArray[np.int32] = np.unique(sentences[np.isnan(self.fluency[sentences])]).astype(np.int32)
        return found

    def record(self) -> Judged:
        """Everything the judge and the critic ever answered about this context, for `preload`."""
        questions = np.concatenate([np.empty((0, 2), dtype=np.int32), *self._answered]).astype(np.int32)
        read = np.flatnonzero(~np.isnan(self.fluency)).astype(np.int32)
        return Judged(questions[:, 0], questions[:, 1], self.probability(questions), read, self.fluency[read])

    def preload(self, judged: Judged) -> None:
        """Take the answers of an earlier run over the same sentences.

        Raises:
            RunError: the record names sentences that are not here.
        """
        questions = np.stack([judged.premises, judged.hypotheses], axis=1)
        named = np.concatenate([questions.ravel(), judged.read])
        if named.size and not 0 <= named.min() <= named.max() < len(self.sentences):
            raise RunError(
                f"recorded scores name sentences {named.min()} to {named.max()}, but the context has "
                f"{len(self.sentences)}; they belong to other candidates: rerun the filter stage"
            )
        unanswered = self._unanswered(questions)
        self.answer(questions[unanswered], judged.entailment[unanswered])
        read, first = np.unique(judged.read, return_index=True)
        self.fluency[read] = judged.fluency[first]

    def spare(self, questions: Pairs, reason: str) -> None:
        """Note why q questions need no answer. For the account only; of several reasons the last counts."""
        if reason not in self._spared_reasons:
            self._spared_reasons.append(reason)
        self._spared[questions[:, 0], questions[:, 1]] = self._spared_reasons.index(reason) + 1

    def spared(self) -> Mapping[str, int]:
        """Reason -> how many ordered pairs of different sentences were not judged for it. Sums to all that were not
        judged."""
        codes = np.bincount(self._spared[np.isnan(self.entailment)], minlength=1).tolist()
        names = ("no candidate", *self._spared_reasons)
        return Counter({name: count for name, count in zip(names, codes, strict=False) if count})

    def _unanswered(self, questions: Pairs) -> NDArray[np.int64]:
        """Indices of the questions without an answer, each question once, ascending."""
        open_questions = np.flatnonzero(np.isnan(self.probability(questions)))
        cells = np.ravel_multi_index((questions[open_questions, 0], questions[open_questions, 1]), self.entailment.shape)
        first: NDArray[np.int64] = np.sort(np.unique(cells, return_index=True)[1])
        return open_questions[first]

    @cached_property
    def _ids(self) -> overlap.WordIds:
        return overlap.WordIds([words(sentence, unicode=self._unicode) for sentence in self.sentences])

    @cached_property
    def _common(self) -> NDArray[np.int32]:
        return overlap.common_subsequences(self._ids)

    @cached_property
    def _rouge_l(self) -> NDArray[np.float64]:
        return overlap.rouge_l(self._common, self._ids.lengths)

    @cached_property
    def _density(self) -> NDArray[np.float64]:
        return overlap.density(self._ids)
