"""What a run came to: its stages, its funnels, its datasets by group, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from impdistill.console.funnel import funnel_table, progress_table, questions_line, sentences_line
from impdistill.outcome import Run
from impdistill.run import FolderStage


def print_status(run: Run, console: Console) -> None:
    """Who works on it, progress of every stage and what its blocks noted, then the funnel of each round."""
    if (holder := run.holder()) is not None:
        console.print(f"In use by {holder}\n", markup=False, highlight=False)
    console.print(progress_table(run.status()))
    for stage, notes in run.notes().items():
        for line in notes_lines(stage, notes):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    for round_ in range(run.recipe.self_distillation.rounds + 1):
        counts, contexts = funnel_counts(run, round_)
        if contexts:
            console.print()
            _print_funnel(run, round_, counts, contexts, console)


def print_summary(run: Run, console: Console) -> None:
    """Funnels and group sizes of a finished run, and the next commands."""
    for round_ in range(run.recipe.self_distillation.rounds + 1):
        counts, contexts = funnel_counts(run, round_)
        _print_funnel(run, round_, counts, contexts, console)
        console.print()
    console.print(_group_table(run))
    path = run.path
    console.print(f"\nread pairs    impdistill inspect {path}", markup=False, highlight=False, soft_wrap=True)
    console.print(f'rewrite       impdistill rewrite {path} --as paraphrase "..."', markup=False, highlight=False, soft_wrap=True)
    console.print(f"take it home  impdistill export {path} --out DIR", markup=False, highlight=False, soft_wrap=True)


def _print_funnel(run: Run, round_: int, counts: Counter[str], contexts: int, console: Console) -> None:
    console.print(funnel_table(_title(round_), counts, contexts))
    console.print(questions_line(counts), markup=False, highlight=False)
    if (sentences := sentences_line(counts)) is not None:
        console.print(sentences, markup=False, highlight=False)
    for domain, cutoffs in run.cutoffs(round_).items():
        for task, cutoff in cutoffs.items():
            console.print(f"Screen, {domain}, {task}: {cutoff.why}", markup=False, highlight=False)


def funnel_counts(run: Run, round_: int) -> tuple[Counter[str], int]:
    """(counts of a round's filters over all domains, number of contexts they saw)."""
    counts: Counter[str] = Counter()
    for store in run.filters(round_).values():
        counts.update(store.counts())
    return counts, run.contexts(round_)


def notes_lines(stage: str, notes: Sequence[str], most: int = 3) -> list[str]:
    """The first notes of a stage's blocks, and how many more there are."""
    more = [f"{stage}: {len(notes) - most} more notes; `impdistill status --json` has all"] if len(notes) > most else []
    return [f"{stage}, {note}" for note in notes[:most]] + more


def status_json(run: Run) -> dict[str, Any]:
    """Everything `print_status` shows, as plain values."""
    holder, notes = run.holder(), run.notes()
    return {
        "path": str(run.path),
        "recipe": run.recipe.name,
        "holder": None if holder is None else asdict(holder),
        "stages": [
            {
                "stage": stage.stage,
                "done_blocks": stage.done_blocks,
                "total_blocks": stage.total_blocks,
                "seconds": round(stage.seconds, 3),
                "counts": dict(stage.counts),
                "notes": notes.get(stage.stage, []),
            }
            for stage in run.status()
        ],
        "datasets": {str(round_): folder.facts() for round_, folder in datasets(run).items()},
    }


def datasets(run: Run) -> dict[int, FolderStage]:
    """Round -> dataset, of those that are done."""
    done = {stage.stage for stage in run.status() if stage.done_blocks >= stage.total_blocks}
    rounds = range(run.recipe.self_distillation.rounds + 1)
    return {round_: run.dataset(round_) for round_ in rounds if f"dataset.{round_}" in done}


def _group_table(run: Run) -> Table:
    found = datasets(run)
    table = Table(title="Pairs by group", title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column("group")
    for round_ in found:
        table.add_column(f"D{round_}", justify="right")
    for task in run.recipe.tasks.values():
        for group in task.groups:
            table.add_row(group, *(f"{folder.facts()['groups'].get(group, 0):,}" for folder in found.values()))
    table.add_row("[bold]all[/bold]", *(f"[bold]{folder.facts()['pairs']:,}[/bold]" for folder in found.values()))
    for name, fact in (("in no group", "outside_groups"), ("above the cap", "capped")):  # with them, what the filters kept
        table.add_row(f"[dim]{name}[/dim]", *(f"[dim]{_counted(folder, fact)}[/dim]" for folder in found.values()))
    return table


def _counted(folder: FolderStage, fact: str) -> str:
    facts = folder.facts()
    return f"{facts[fact]:,}" if fact in facts else "-"  # made before this was counted


def _title(round_: int) -> str:
    return "From the teachers" if round_ == 0 else f"Self-distillation, round {round_}"
