"""Pairs to read: kept ones by group, dropped ones by reason. What a model wrote is shown as text, never as markup."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from impdistill.errors import RunError
from impdistill.outcome import Run


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
    """Print `number` pairs of each group (kept) or of each task and reason (dropped), chosen by `seed`.

    Raises:
        RunError: the group or reason does not occur; the message lists those that do.
    """
    rows = _dropped(run, round_) if dropped else _kept(run, round_)
    field, wanted = ("reason", reason) if dropped else ("group", group)
    shelves: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shelves.setdefault(row[field], []).append(row)
    if wanted is not None and wanted not in shelves:
        raise RunError(f"{run.path}: no pair with {field} {wanted!r}; there are {', '.join(sorted(shelves)) or 'none at all'}")
    for name, found in sorted(shelves.items()):
        if wanted in (None, name):
            console.rule(f"[bold]{escape(name)}[/bold]  {len(found):,}{' of the drops kept for reading' if dropped else ''}", align="left")
            for row in random.Random(seed).sample(found, min(number, len(found))):
                _print_pair(console, row)


def _kept(run: Run, round_: int | None) -> Iterator[dict[str, Any]]:
    for pair in run.pairs(round_):
        yield {name: getattr(pair, name) for name in pair.__slots__}


def _dropped(run: Run, round_: int | None) -> Iterator[dict[str, Any]]:
    rounds: Iterable[int] = range(run.recipe.self_distillation.rounds, -1, -1) if round_ is None else [round_]
    for number in rounds:
        stores = run.filters(number)
        if not stores:
            continue
        for domain, store in stores.items():
            for row in store.read("pairs", partial=True).to_pylist():
                if row["reason"] is not None:
                    yield {**row, "domain": domain}
        return


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
