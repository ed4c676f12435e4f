"""Where do rounds of self-distillation stop helping? Every dataset beside the earlier ones: what is new in it, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from impdistill.evaluate import PairShapes, lexical_diversity, strategy_map
from impdistill.evaluate.dataset import LexicalDiversity
from impdistill.evaluate.metrics.ngrams import diversity_tokens
from impdistill.report.quality import SAMPLE


@dataclass(frozen=True, slots=True)
class RoundQuality:
    """One round's dataset.

    Attributes:
        pairs: in it.
        new_pairs, new_sources: pairs (x, y), and different x, that no earlier round's dataset holds.
        entailment: mean P(x => y); None where no filter asked the judge.
        compression, rouge_l: means; ROUGE-L in 0-1.
        spread: of the strategy map, bits: more is more evenly spread.
        diversity: of the outputs, at a number of tokens common to all rounds; None where an output of some round has no token.
    """

    round_: int
    pairs: int
    new_pairs: int
    new_sources: int
    entailment: float | None
    compression: float
    rouge_l: float
    spread: float
    diversity: LexicalDiversity | None


def rounds_of(tables: Mapping[int, pa.Table], *, seed: int = 0) -> tuple[RoundQuality, ...]:
    """Compare the finished datasets that hold any pair, by round."""
    filled = {number: tables[number] for number in sorted(tables) if tables[number].num_rows}
    texts = {str(number): _drawn(table, seed) for number, table in filled.items()}
    measurable = bool(texts) and all(any(diversity_tokens(text) for text in found) for found in texts.values())
    diversity = {one.name: one for one in lexical_diversity(texts, seed=seed)} if measurable else {}
    seen_pairs: set[int] = set()
    seen_sources: set[int] = set()
    found = []
    for number, table in filled.items():
        xs, ys = table["x"].to_pylist(), table["y"].to_pylist()
        pairs, sources = {hash(pair) for pair in zip(xs, ys, strict=True)}, {hash(x) for x in xs}
        shapes = PairShapes(*(np.asarray(table[name].to_numpy(), dtype=np.float64) for name in ("compression", "rouge_l", "density")))
        found.append(
            RoundQuality(
                number,
                table.num_rows,
                len(pairs - seen_pairs),
                len(sources - seen_sources),
                pc.mean(table["entailment"]).as_py(),
                float(shapes.compression.mean()),
                float(shapes.rouge_l.mean()),
                strategy_map(shapes).spread,
                diversity.get(str(number)),
            )
        )
        seen_pairs |= pairs
        seen_sources |= sources
    return tuple(found)


def _drawn(table: pa.Table, seed: int) -> list[str]:
    rows = np.sort(np.random.default_rng(seed).permutation(table.num_rows)[:SAMPLE])
    texts: list[str] = table["y"].take(pa.array(rows)).to_pylist()
    return texts
