"""Texts of a dataset that nearly repeat each other, or stand in a benchmark.

Alike means: the sets of words have a Jaccard similarity of .8 or more. Order does not count, so a few different sentences made
of the same words are found too; read the examples before dropping anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from impdistill.errors import BenchmarkError
from impdistill.evaluate.similarity_join import similar_pairs

THRESHOLD = 0.8

TEXTS_AT_ONCE = 50_000
"""Texts whose words are in memory at once while leaks are looked for."""


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """How much of a set of texts repeats itself.

    Attributes:
        texts: how many.
        repeated: texts that say again, exactly (ignoring case and white space), what an earlier one says.
        near_repeated: texts that would go if one of each cluster of near-duplicates stayed (exact repetitions included).
        largest_cluster: texts in the largest cluster; 1 where nothing repeats.
        surplus: indices of the `near_repeated` texts: all but the first of every cluster.
        examples: up to 10 pairs of texts that are alike without being the same, the least alike first.
    """

    texts: int
    repeated: int
    near_repeated: int
    largest_cluster: int
    surplus: tuple[int, ...] = field(repr=False)
    examples: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Leak:
    """What a dataset shares with one benchmark.

    Attributes:
        benchmark: its name.
        benchmark_texts: sources and references looked for.
        exact: benchmark texts that stand in the dataset (ignoring case and white space).
        near: benchmark texts with a near-duplicate there (exact ones included).
        dataset_texts: indices of the dataset's texts concerned.
        examples: up to 10 (dataset text, benchmark text), the most alike first.
    """

    benchmark: str
    benchmark_texts: int
    exact: int
    near: int
    dataset_texts: tuple[int, ...] = field(repr=False)
    examples: tuple[tuple[str, str], ...] = field(repr=False)


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> NearDuplicates:
    """Find near-duplicates among texts, and the clusters that they form.

    Raises:
        BenchmarkError: the threshold is not in (0, 1].
    """
    _check(threshold)
    first: dict[str, int] = {}
    originals = [first.setdefault(_same(text), index) for index, text in enumerate(texts)]
    distinct = sorted(first.values())
    pairs = list(similar_pairs([texts[index] for index in distinct], None, threshold))
    links = [(distinct[a], distinct[b]) for a, b, _ in pairs] + list(enumerate(originals))
    labels = np.zeros(0, dtype=np.int64)
    if texts:
        rows, columns = np.array(links, dtype=np.int64).T
        graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(texts), len(texts)))
        labels = np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
    seen: set[int] = set()
    surplus = []
    for index, label in enumerate(labels.tolist()):
        if label in seen:
            surplus.append(index)
        seen.add(label)
    least_alike = sorted(pairs, key=lambda pair: pair[2])[:10]
    return NearDuplicates(
        len(texts),
        len(texts) - len(distinct),
        len(surplus),
        int(np.bincount(labels).max()) if len(labels) else 0,
        tuple(surplus),
        tuple((texts[distinct[a]], texts[distinct[b]]) for a, b, _ in least_alike),
    )


def leakage(texts: Sequence[str], benchmarks: Mapping[str, Sequence[str]], threshold: float = THRESHOLD) -> tuple[Leak, ...]:
    """Look for the texts of benchmarks in a dataset.

    Args:
        texts: the dataset's, x and y alike.
        benchmarks: name -> texts, sources and references alike.

    Raises:
        BenchmarkError: the threshold is not in (0, 1].
    """
    _check(threshold)
    leaks = []
    for name, held_out in benchmarks.items():
        wanted = list(dict.fromkeys(_same(text) for text in held_out))
        pairs = sorted(_similar_to(wanted, texts, threshold), key=lambda pair: (-pair[2], pair[0], pair[1]))
        there = {_same(text) for text in texts}
        leaks.append(
            Leak(
                name,
                len(wanted),
                sum(text in there for text in wanted),
                len({theirs for _, theirs, _ in pairs}),
                tuple(sorted({ours for ours, _, _ in pairs})),
                tuple((texts[ours], wanted[theirs]) for ours, theirs, _ in pairs[:10]),
            )
        )
    return tuple(leaks)


def _similar_to(wanted: Sequence[str], texts: Sequence[str], threshold: float) -> Iterator[tuple[int, int, float]]:
    """(index in texts, index in wanted, similarity) of all that are alike."""
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        for ours, theirs, similarity in similar_pairs(texts[start : start + TEXTS_AT_ONCE], wanted, threshold):
            yield start + ours, theirs, similarity


def _same(text: str) -> str:
    return " ".join(text.lower().split())


def _check(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise BenchmarkError(f"near-duplicate threshold is {threshold}; it is a Jaccard similarity above 0, at most 1")
