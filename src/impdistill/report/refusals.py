"""What was refused before there were pairs to filter: contexts, sentences, and sources that a student was not given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from impdistill.outcome import Run
from impdistill.run import StageStore
from impdistill.stages.step import stage_name

PER_REASON = 3
BLOCKS_READ = 8
"""Of a stage, for examples."""

ACCEPTED = {"contexts": "accepted", "parallel": "sentences", "sequential": "sources", "sources": "sentences", "rewrites": "sources"}
"""Stage -> its count of what was not refused, in the order of the loop."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Of one stage of a round, all domains together.

    Attributes:
        stage: key of `ACCEPTED`.
        accepted: what was not refused.
        reasons: (reason, how many, examples), most frequent first. Only sentences are stored where they are refused; contexts and
            rewrites have no examples.
    """

    stage: str
    accepted: int
    reasons: tuple[tuple[str, int, tuple[str, ...]], ...]


def refusals_of(run: Run, round_: int) -> tuple[Refusals, ...]:
    """Those of every stage of a round that refuses, as far as it is done."""
    found = []
    for what, accepted in ACCEPTED.items():
        stores = list(_stores(run, what, round_))
        counts: Counter[str] = Counter()
        examples: dict[str, list[str]] = {}
        for store in stores:
            counts.update(store.counts())
            for reason, text in _refused(store, what):
                examples.setdefault(reason, []).append(text)
        if what == "sequential":  # earlier versions did not count refusals; its rows have them all
            counts = Counter({accepted: counts[accepted], **_refused_sources(stores)})
        if stores:
            refused = {key.removeprefix("refused/"): count for key, count in counts.items() if key.startswith("refused/")}
            reasons = +Counter(refused)
            shown = {reason: tuple(dict.fromkeys(texts))[:PER_REASON] for reason, texts in examples.items()}
            found.append(
                Refusals(what, counts[accepted], tuple((reason, count, shown.get(reason, ())) for reason, count in reasons.most_common()))
            )
    return tuple(found)


def _stores(run: Run, what: str, round_: int) -> Iterator[StageStore]:
    for teacher in run.recipe.teachers:
        name = stage_name(what, round_, teacher.domain)
        if run.directory.current(name) is not None:
            stage = run.directory.current_stage(name)
            assert isinstance(stage, StageStore)
            yield stage


def _refused_sources(stores: Sequence[StageStore]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for store in stores:
        for _, rows in store.iter_blocks("sequential", ["source_refusal"], partial=True):
            counts.update(f"refused/{reason}" for reason in rows["source_refusal"].drop_null().to_pylist())
    return counts


def _refused(store: StageStore, what: str) -> Iterator[tuple[str, str]]:
    """(reason, text) of refused sentences in the first blocks."""
    for block in store.complete_blocks()[:BLOCKS_READ]:
        if what in ("parallel", "sources"):
            rows = store.read_block("pools", block, ["sentences", "refusals"])
            pairs = zip(_flat(rows["refusals"]), _flat(rows["sentences"]), strict=True)
        elif what == "sequential":
            rows = store.read_block("sequential", block, ["source", "source_refusal"])
            pairs = zip(rows["source_refusal"].to_pylist(), rows["source"].to_pylist(), strict=True)
        else:
            return
        yield from ((reason, text) for reason, text in pairs if reason is not None and text)  # without text: nothing was written


def _flat(column: pa.ChunkedArray) -> list[str | None]:
    return [value for several in column.to_pylist() for value in several]
