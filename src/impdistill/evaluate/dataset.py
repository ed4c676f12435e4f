"""What a dataset of pairs is like: group sizes, strategy maps, lexical diversity at equal sizes, and what each process yields.

Jung et al. 2023: tables 4, 7 and 9, figures 4 and 5. Reads pairs and counts; knows nothing of runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from impdistill.errors import BenchmarkError
from impdistill.evaluate.bootstrap import Estimate, estimate
from impdistill.evaluate.metrics.entropy import entropies
from impdistill.evaluate.metrics.msttr import msttr_of
from impdistill.evaluate.metrics.ngrams import diversity_tokens
from impdistill.evaluate.pair_shape import PairShapes
from impdistill.evaluate.statistic import Floats, mean_of
from impdistill.tasks import Group

MAX_COMPRESSION = 1.5
"""Right edge of a strategy map; longer outputs are counted beside it."""

GUEST_TOKENS = 10_000
"""A guest among sets compared does not shrink the samples of the others below this many tokens."""


@dataclass(frozen=True, slots=True)
class StrategyMap:
    """Where a dataset's pairs lie between short and long, abstractive and extractive (figures 4 and 5).

    Attributes:
        pairs: how many.
        outside: of them with a compression above `MAX_COMPRESSION`, in no cell.
        compression_edges, rouge_l_edges: (bins + 1,) cell borders.
        counts: [compression bin][ROUGE-L bin] pairs.
        spread: entropy of the cells' shares, bits, 0 to 2 log2(bins): more is more evenly spread.
    """

    pairs: int
    outside: int
    compression_edges: tuple[float, ...]
    rouge_l_edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...] = field(repr=False)
    spread: float


@dataclass(frozen=True, slots=True)
class LexicalDiversity:
    """How varied a set of texts is, at a size that all sets of the table have (table 4).

    Attributes:
        texts, tokens: of the sample measured (the last text may go over the common number of tokens).
        all_texts: of the whole set.
        entropy: of 1-, 2- and 3-grams, bits.
        msttr: 0-1, windows of 100 tokens; None where the sample fills none.
        small: a guest that is measured whole, at fewer tokens than the other sets: its entropies are lower for that alone.
    """

    name: str
    texts: int
    tokens: int
    all_texts: int
    entropy: tuple[Estimate, Estimate, Estimate]
    msttr: Estimate | None
    small: bool = False


@dataclass(frozen=True, slots=True)
class ProcessYield:
    """What one way of making pairs is worth (table 9).

    Attributes:
        kept_per_context: "sample efficiency".
        kept_per_candidate: the chance of a single candidate.
        rouge_l: mean ROUGE-L of kept pairs, 0-100; None where none was kept.
    """

    process: str
    contexts: int
    candidates: int
    kept: int
    kept_per_context: float
    kept_per_candidate: float
    rouge_l: Estimate | None


def group_counts(shapes: PairShapes, groups: Sequence[Group]) -> dict[str, int]:
    """Pairs in each group, in order, and in "no group" (table 7)."""
    found = shapes.groups(groups)
    counts = np.bincount(found + 1, minlength=len(groups) + 1).tolist()
    return {group.name: count for group, count in zip(groups, counts[1:], strict=True)} | {"no group": counts[0]}


def strategy_map(shapes: PairShapes, *, bins: int = 30) -> StrategyMap:
    """Count pairs in cells of compression x ROUGE-L.

    Raises:
        BenchmarkError: there is no pair.
    """
    if not len(shapes):
        raise BenchmarkError("a strategy map needs at least one pair")
    inside = shapes.compression <= MAX_COMPRESSION
    counts, compression_edges, rouge_l_edges = np.histogram2d(
        shapes.compression[inside], shapes.rouge_l[inside], bins=bins, range=((0, MAX_COMPRESSION), (0, 1))
    )
    shares = counts[counts > 0] / max(1, counts.sum())
    return StrategyMap(
        len(shapes),
        int((~inside).sum()),
        tuple(compression_edges.tolist()),
        tuple(rouge_l_edges.tolist()),
        tuple(tuple(row) for row in counts.astype(int).tolist()),
        abs(float((shares * np.log2(shares)).sum())),  # all terms are 0 or less; no -0.0
    )


def lexical_diversity(
    sets: Mapping[str, Sequence[str]],
    *,
    guests: Collection[str] = (),
    max_tokens: int = 1_000_000,
    seed: int = 0,
    resamples: int = 200,
) -> tuple[LexicalDiversity, ...]:
    """Entropies and MSTTR of sets of texts, each from a shuffled sample of as many tokens as the smallest set has.

    Args:
        sets: name -> texts. The paper's row for Turk is that of the sources alone.
        guests: names of sets that the others are not cut to where they have fewer than `GUEST_TOKENS`.
        max_tokens: most tokens of a sample.

    Raises:
        BenchmarkError: a set has no token.
    """
    sizes = {name: sum(len(diversity_tokens(text)) for text in texts) for name, texts in sets.items()}
    for name, size in sizes.items():
        if not size:
            raise BenchmarkError(f"{name}: no token to measure")
    budget = min(max_tokens, *(size for name, size in sizes.items() if name not in guests or size >= GUEST_TOKENS))
    found = []
    for name, texts in sets.items():
        sample = _sample(texts, budget, seed)
        first, second, third = (estimate(statistic, resamples=resamples, seed=seed) for statistic in entropies(sample))
        windows = msttr_of(sample)
        found.append(
            LexicalDiversity(
                name,
                len(sample),
                sum(len(diversity_tokens(text)) for text in sample),
                len(texts),
                (first, second, third),
                None if windows is None else estimate(windows, resamples=resamples, seed=seed),
                small=sizes[name] < budget,
            )
        )
    return tuple(found)


def process_yields(
    contexts: int, candidates: Mapping[str, int], kept_rouge_l: Mapping[str, Floats], *, resamples: int = 1000, seed: int = 0
) -> tuple[ProcessYield, ...]:
    """Sample efficiency of each process.

    Args:
        contexts: how many each process started from.
        candidates: process -> pairs generated.
        kept_rouge_l: process -> ROUGE-L (kept,), 0-1, of the pairs kept.

    Raises:
        BenchmarkError: no context, or more pairs kept than generated.
    """
    if contexts < 1:
        raise BenchmarkError(f"sample efficiency needs contexts; there are {contexts}")
    found = []
    for process, generated in candidates.items():
        scores = np.asarray(kept_rouge_l.get(process, ()), dtype=np.float64)
        kept = len(scores)
        if kept > generated:
            raise BenchmarkError(f"{process}: {kept} pairs kept of {generated} generated")
        rouge_l = estimate(mean_of("ROUGE-L", 100 * scores), resamples=resamples, seed=seed) if kept else None
        found.append(ProcessYield(process, contexts, generated, kept, kept / contexts, kept / generated if generated else 0.0, rouge_l))
    return tuple(found)


def _sample(texts: Sequence[str], budget: int, seed: int) -> list[str]:
    """Texts in random order until they hold `budget` tokens."""
    sample, tokens = [], 0
    for index in np.random.default_rng(seed).permutation(len(texts)).tolist():
        if tokens >= budget:
            break
        sample.append(texts[index])
        tokens += len(diversity_tokens(texts[index]))
    return sample
