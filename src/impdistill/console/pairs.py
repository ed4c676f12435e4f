"""Pairs to read: kept ones by group, dropped ones by reason. What a model wrote is shown as text, never as markup."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from impdistill.errors import RunError
from impdistill.outcome import Run
from impdistill.report.refusals import refusals_of


def print_pairs(
    run: Run,
    console: Console,
    *,
    round_: int | None,
    group: str | None,
    dropped: bool,
    reason: str | None,
    number: int,
    seed: int,
) -> None:
    """Print `number` pairs of each group (kept) or of each reason (dropped), chosen by `seed`. Sentences that were refused before
    they were in any pair are shown as such; where not even these are stored, it says that there are counts only.

    Raises:
        RunError: the group or reason does not occur; the message lists those that do.
    """
    if not dropped:
        shelves = _shelves(_kept(run, round_), "group")
        _check(run, shelves, "group", group)
        for name, found in sorted(shelves.items()):
            if group in (None, name):
                _print_shelf(console, name, f"{len(found):,}", found, number, seed)
        return
    round_, rows, totals = _dropped(run, round_)
    shelves = {reason: [] for reason in totals} | _shelves(rows, "reason")
    _check(run, shelves, "reason", reason)
    refused = {} if all(shelves.values()) else _refused_sentences(run, round_)
    for name, found in sorted(shelves.items()):
        if reason not in (None, name):
            continue
        if found:
            _print_shelf(console, name, f"{len(found):,} of {totals[name]:,} drops kept for reading", found, number, seed)
            continue
        console.rule(f"[bold]{escape(name)}[/bold]  {totals[name]:,}, refused as sentences before they were in a pair", align="left")
        for sentence in refused.get(name, ())[:number]:
            console.print(escape(sentence), highlight=False)
        if name not in refused:
            console.print("[dim]counts only: no text is kept[/dim]")
        console.print()


def _shelves(rows: Iterable[dict[str, Any]], field: str) -> dict[str, list[dict[str, Any]]]:
    shelves: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shelves.setdefault(row[field], []).append(row)
    return shelves


def _check(run: Run, shelves: Mapping[str, object], field: str, wanted: str | None) -> None:
    if wanted is not None and wanted not in shelves:
        raise RunError(f"{run.path}: no pair with {field} {wanted!r}; there are {', '.join(sorted(shelves)) or 'none at all'}")


def _print_shelf(console: Console, name: str, how_many: str, rows: Sequence[Mapping[str, Any]], number: int, seed: int) -> None:
    console.rule(f"[bold]{escape(name)}[/bold]  {how_many}", align="left")
    for row in random.Random(seed).sample(rows, min(number, len(rows))):
        _print_pair(console, row)


def _kept(run: Run, round_: int | None) -> Iterator[dict[str, Any]]:
    for pair in run.pairs(round_):
        yield {name: getattr(pair, name) for name in pair.__slots__}


def _dropped(run: Run, round_: int | None) -> tuple[int, list[dict[str, Any]], Counter[str]]:
    """The round (None: the last one with filters), its dropped pairs that are kept for reading, and reason -> how many were dropped."""
    rounds: Iterable[int] = range(run.recipe.self_distillation.rounds, -1, -1) if round_ is None else [round_]
    number, stores = next(((number, found) for number in rounds if (found := run.filters(number))), (0, {}))
    totals: Counter[str] = Counter()
    rows = []
    for domain, store in stores.items():
        for key, count in store.counts().items():
            if "/dropped/" in key:
                totals[key.split("/")[-1]] += count
        rows += [{**row, "domain": domain} for row in store.read("pairs", partial=True).to_pylist() if row["reason"] is not None]
    return number, rows, +totals


def _refused_sentences(run: Run, round_: int) -> dict[str, tuple[str, ...]]:
    """Reason -> a few of the sentences refused for it."""
    return {reason: examples for stage in refusals_of(run, round_) for reason, _, examples in stage.reasons if examples}


def _print_pair(console: Console, row: Mapping[str, Any]) -> None:
    scores = [f"length {row['compression']:.2f}", f"ROUGE-L {row['rouge_l']:.2f}", f"density {row['density']:.2f}"]
    if row["entailment"] is not None:
        scores.append(f"x=>y {row['entailment']:.2f}")
    if row["reverse_entailment"] is not None:
        scores.append(f"y=>x {row['reverse_entailment']:.2f}")
    if row["fluency"] is not None:
        scores.append(f"fluency {row['fluency']:.2f}")
    console.print(f"[cyan]x[/cyan] {escape(row['x'])}", highlight=False)
    console.print(f"[green]y[/green] {escape(row['y'])}", highlight=False)
    line = f"{row['domain']}, {row['task']}, {row['process']}: {'  '.join(scores)}"
    console.print(Padding(f"[dim]{escape(line)}[/dim]", (0, 0, 1, 2)), highlight=False)
