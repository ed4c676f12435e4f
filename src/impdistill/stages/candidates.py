"""What a filter stage reads: the candidates of a block's contexts, and answers of the judge that are on disk already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from impdistill.errors import DamagedShardError
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


def known_scores(samples: Sequence[StageStore], history: Sequence[StageStore], block: int) -> dict[int, Judged]:
    """Context -> the answers of judge and critic that are on disk for it; of several to one question the first counts (`Scores.preload`).

    Args:
        samples: of a cascade's calibration, which are part of the run: damage is an error. They go first.
        history: other versions of this stage, in the order of their keys. They only spare questions: a damaged block,
            or a version with a damaged manifest, counts as absent.
    """
    answers: dict[int, list[Judged]] = {}
    for store in (*samples, *history):
        try:
            rows = store.read_block("scores", block).to_pylist() if block in store.complete_blocks() else []
        except DamagedShardError:
            if store in samples:
                raise
            continue
        for row in rows:
            answers.setdefault(row["context"], []).append(
                Judged(
                    np.array(row["premises"], dtype=np.int32),
                    np.array(row["hypotheses"], dtype=np.int32),
                    np.array(row["entailment"], dtype=np.float32),
                    np.array(row.get("read", ()), dtype=np.int32),  # not stored before version 3 of the stage
                    np.array(row.get("fluency", ()), dtype=np.float32),
                )
            )
    return {
        context: Judged(
            np.concatenate([each.premises for each in found]),
            np.concatenate([each.hypotheses for each in found]),
            np.concatenate([each.entailment for each in found]),
            np.concatenate([each.read for each in found]),
            np.concatenate([each.fluency for each in found]),
        )
        for context, found in answers.items()
    }
