"""What a filter stage reads: the candidates of a block's contexts, and answers of the judge that are on disk already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from impdistill.filters import Candidates, Judged
from impdistill.run import StageStore
from impdistill.text.wellformed import refusal


def candidates_of_block(stores: Sequence[StageStore], block: int, groups: Sequence[str]) -> list[Candidates]:
    """The candidates of a block's contexts, those of all processes together, in the order of the contexts."""
    parts: dict[int, list[Candidates]] = {}
    for store in stores:
        process = store.stage.split(".")[0]
        for candidates in READERS[process](store, block, groups):
            parts.setdefault(candidates.context, []).append(candidates)
    return [Candidates.union(*parts[context]) for context in sorted(parts)]


def _from_pools(store: StageStore, block: int, groups: Sequence[str]) -> Iterator[Candidates]:
    for row in store.read_block("pools", block).to_pylist():
        yield Candidates.from_pool(row["context"], row["sentences"], row["refusals"])


def _from_sequential(store: StageStore, block: int, groups: Sequence[str]) -> Iterator[Candidates]:
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in store.read_block("sequential", block).to_pylist():
        rows.setdefault(row["context"], []).append(row)
    for context, found in rows.items():
        yield Candidates.from_pairs(
            context,
            "sequential",
            [row["source"] for row in found for _ in row["outputs"]],
            [output for row in found for output in row["outputs"]],
            [row["source_refusal"] or refusal for row in found for refusal in row["refusals"]],
        )


def _from_rewrites(store: StageStore, block: int, groups: Sequence[str]) -> Iterator[Candidates]:
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in store.read_block("rewrites", block).to_pylist():
        rows.setdefault(row["context"], []).append(row)
    for context, found in rows.items():
        outputs = [output for row in found for output in row["outputs"]]
        yield Candidates.from_pairs(
            context,
            "self-distillation",
            [row["source"] for row in found for _ in row["outputs"]],
            outputs,
            [refusal(output) for output in outputs],
            [groups.index(group) for row in found for group in row["groups"]],
        )


READERS: Mapping[str, Callable[[StageStore, int, Sequence[str]], Iterator[Candidates]]] = {
    "parallel": _from_pools,
    "sequential": _from_sequential,
    "rewrites": _from_rewrites,
}


def known_scores(history: Sequence[StageStore], block: int) -> dict[int, Judged]:
    """Context -> the judge's answers that earlier versions of this stage stored for it, the later versions' first."""
    answers: dict[int, list[Judged]] = {}
    for store in history:
        if block in store.complete_blocks():
            for row in store.read_block("scores", block).to_pylist():
                answers.setdefault(row["context"], []).append(
                    Judged(
                        np.array(row["premises"], dtype=np.int32),
                        np.array(row["hypotheses"], dtype=np.int32),
                        np.array(row["entailment"], dtype=np.float32),
                    )
                )
    return {
        context: Judged(
            np.concatenate([each.premises for each in found]),
            np.concatenate([each.hypotheses for each in found]),
            np.concatenate([each.entailment for each in found]),
        )
        for context, found in answers.items()
    }
