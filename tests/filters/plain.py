"""The plain algorithm, for comparison: judge everything, then filter pair by pair, then compare every two pairs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer

from impdistill.filters import (
    Abstractiveness,
    Candidates,
    Diversity,
    Echo,
    Entailment,
    Filter,
    Fluency,
    Length,
    Mentions,
    Mood,
    Numbers,
    PairRule,
    Standalone,
)
from impdistill.text.leaning import bears, leaning
from impdistill.text.mentions import asks, mentions, supports
from impdistill.text.numbers import numbers
from impdistill.text.words import word_count, words

ROUGE = RougeScorer(["rougeL"], use_stemmer=False)


class TableJudge:
    """Answers from a hash of the two sentences, evenly from 0 to 1; refuses to be asked anything twice."""

    def __init__(self, salt: int = 0, *, once: bool = True) -> None:
        self.salt = salt
        self.once = once
        self.asked: set[tuple[str, str]] = set()
        self.calls = 0

    def answer(self, premise: str, hypothesis: str) -> float:
        digest = hashlib.sha256(f"{self.salt}|{premise}|{hypothesis}".encode()).digest()
        return float(np.float32(int.from_bytes(digest[:4], "little") / 2**32))

    def entailment(self, texts: Sequence[str], pairs: NDArray[np.integer]) -> NDArray[np.float32]:
        self.calls += 1
        for premise, hypothesis in pairs:
            question = (texts[premise], texts[hypothesis])
            assert not (self.once and question in self.asked), question
            assert premise != hypothesis
            self.asked.add(question)
        return np.array([self.answer(texts[a], texts[b]) for a, b in pairs], dtype=np.float32)

    def matrix(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        table = np.ones((len(sentences), len(sentences)), dtype=np.float32)
        for i, j in permutations(range(len(sentences)), 2):
            table[i, j] = self.answer(sentences[i], sentences[j])
        return table


class HashCritic:
    """Answers from a hash of the sentence, evenly from 0 to 1; refuses to read anything twice."""

    def __init__(self, *, once: bool = True) -> None:
        self.once = once
        self.asked: list[str] = []
        self.calls = 0

    def answer(self, sentence: str) -> float:
        return float(np.float32(int.from_bytes(hashlib.sha256(f"fluent|{sentence}".encode()).digest()[:4], "little") / 2**32))

    def fluency(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls += 1
        self.asked.extend(texts)
        assert not self.once or len(self.asked) == len(set(self.asked)), self.asked
        return np.array([self.answer(text) for text in texts], dtype=np.float32)


def density(x: str, y: str) -> float:
    """sum |f|^2 / |y|^2, by the definition."""
    a, b = words(x), words(y)
    runs = {tuple(a[i:j]) for i in range(len(a)) for j in range(i + 1, len(a) + 1)}
    total = i = 0
    while i < len(b):
        longest = max((j - i for j in range(i + 1, len(b) + 1) if tuple(b[i:j]) in runs), default=0)
        total += longest**2
        i += max(longest, 1)
    return total / len(b) ** 2 if b else 0.0


def passes(rule: Filter, x: str, y: str, forward: np.float32, backward: np.float32) -> bool:
    match rule:
        case Length():
            return word_count(x) > 0 and bool(rule.minimum <= word_count(y) / word_count(x) < rule.maximum)
        case Numbers():
            return numbers(y) <= numbers(x) and (rule.direction == "y in x" or numbers(x) <= numbers(y))
        case Mentions():
            return supports(mentions(x), mentions(y)) and (rule.direction == "y in x" or supports(mentions(y), mentions(x)))
        case Standalone():
            return bears(leaning(x), leaning(y)) and (rule.direction == "y in x" or bears(leaning(y), leaning(x)))
        case Mood():
            return asks(x) == asks(y)
        case Echo():
            mine, other = Counter(words(y, unicode=True)), Counter(words(x, unicode=True))
            return not any(count > 1 and len(word) > 3 and count > other[word] for word, count in mine.items())
        case Abstractiveness():
            return bool(max(ROUGE.score(x, y)["rougeL"].fmeasure, density(x, y)) <= rule.maximum)
        case Entailment():
            return bool(forward >= rule.threshold and (rule.direction == "forward" or backward >= rule.threshold))
        case Fluency():
            return HashCritic().answer(x) >= rule.threshold and HashCritic().answer(y) >= rule.threshold
        case PairRule():
            return rule.function(x, y)
    raise AssertionError(rule)


def diverse(rule: Diversity, pairs: list[tuple[int, int]], p: NDArray[np.float32]) -> list[int]:
    """Algorithm 1 over all pairs of pairs: indices of those kept."""

    def strength(a: int, b: int) -> float:
        if a == b:
            return 1.0
        values = sorted([float(p[a, b]), float(p[b, a])])
        value = values[1] if rule.edges == "any" else values[0]
        return value if value > rule.threshold else 0.0

    edges = {}
    for i, j in combinations(range(len(pairs)), 2):
        edge = max(strength(pairs[i][0], pairs[j][0]), strength(pairs[i][1], pairs[j][1]))
        if edge:
            edges[i, j] = edge
    component = list(range(len(pairs)))

    def join(members: list[int], limit: int | None) -> None:
        for member in members:
            component[member] = member
        for (i, j), _ in sorted(edges.items(), key=lambda item: (-item[1], item[0])):
            if i in members and j in members and component[i] != component[j]:
                joined = [k for k in members if component[k] in (component[i], component[j])]
                if limit is None or len(joined) <= limit:
                    for k in joined:
                        component[k] = component[i]

    everything = list(range(len(pairs)))
    join(everything, None)
    if rule.max_component is not None:
        first = list(component)
        for label in set(first):
            members = [k for k in everything if first[k] == label]
            if len(members) > rule.max_component:
                join(members, rule.max_component)
    return sorted(min((k for k in everything if component[k] == label), key=lambda k: (-p[pairs[k]], k)) for label in set(component))


def plain_reasons(candidates: Candidates, chain: Sequence[Filter], p: NDArray[np.float32]) -> list[str | None]:
    """Why each candidate is dropped; None: kept."""
    reasons: list[str | None] = [None] * len(candidates)
    for rule in chain:
        left = [k for k, reason in enumerate(reasons) if reason is None]
        pairs = [(int(candidates.pairs[k, 0]), int(candidates.pairs[k, 1])) for k in left]
        if isinstance(rule, Diversity):
            kept = {left[k] for k in diverse(rule, pairs, p)}
        else:
            text = candidates.sentences
            kept = {k for k, (x, y) in zip(left, pairs, strict=True) if passes(rule, text[x], text[y], p[x, y], p[y, x])}
        for k in left:
            if k not in kept:
                reasons[k] = rule.name
    return reasons
