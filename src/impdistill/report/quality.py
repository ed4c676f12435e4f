"""Is the dataset varied, free of repetition and of benchmarks, and fit to be shown?

Leaks and audit look at every pair: what they find is there to be dropped. Diversity and near-duplicates, whose cost grows faster,
look at a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from impdistill.evaluate import Audit, Benchmark, audit, leakage, lexical_diversity, near_duplicates
from impdistill.evaluate.dataset import LexicalDiversity
from impdistill.evaluate.duplicates import Leak, NearDuplicates
from impdistill.evaluate.metrics.ngrams import diversity_tokens

SAMPLE = 20_000
AUDIT_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Quality:
    """Of a dataset.

    Attributes:
        pairs, of: how many pairs were drawn at random for diversity and repetition, of how many.
        diversity: of x and of y of these, of the sources of benchmarks, and of x and y of datasets beside, at equal sizes: each says on
            how many texts it rests.
        repeated: near-duplicates among the outputs y of the sample.
        leaks: of all pairs; `dataset_texts` number all x, then all y.
        audit: of all pairs.
    """

    pairs: int
    of: int
    diversity: tuple[LexicalDiversity, ...]
    repeated: NearDuplicates
    leaks: tuple[Leak, ...]
    audit: Audit


def quality_of(table: pa.Table, benchmarks: Sequence[Benchmark] = (), beside: Sequence[Benchmark] = (), *, seed: int = 0) -> Quality | None:
    """Look at a dataset; None for an empty one.

    Args:
        benchmarks: to look for in it.
        beside: whose diversity to measure too.
    """
    if not table.num_rows:
        return None
    # 1. a sample
    rows = np.sort(np.random.default_rng(seed).permutation(table.num_rows)[:SAMPLE])
    xs, ys = table["x"].to_pylist(), table["y"].to_pylist()
    sample = {"x": [xs[row] for row in rows], "y": [ys[row] for row in rows]}
    known = {one.origin for one in beside}
    texts = {**sample, **{f"{one.name}, sources": one.sources for one in benchmarks if one.origin not in known}}
    for one in beside:
        texts |= {f"{one.name}, x": one.sources, f"{one.name}, y": [text for each in one.references for text in each]}
    measurable = {name: found for name, found in texts.items() if any(diversity_tokens(text) for text in found)}

    # 2. everything
    looked_for = {one.name: [*one.sources, *(text for each in one.references for text in each)] for one in benchmarks}
    return Quality(
        pairs=len(rows),
        of=table.num_rows,
        diversity=lexical_diversity(measurable, guests=measurable.keys() - sample.keys(), seed=seed) if measurable else (),
        repeated=near_duplicates(sample["y"]),
        leaks=tuple(leakage([*xs, *ys], looked_for)) if looked_for else (),
        audit=audit(xs, ys, examples=AUDIT_EXAMPLES),
    )
