"""What a run came to: its stages, its funnels, its datasets by group, and what to do next."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from impdistill.console.funnel import funnel_table, progress_table, questions_line
from impdistill.outcome import Run
from impdistill.run import FolderStage


def print_status(run: Run, console: Console) -> None:
    """Progress of every stage, then the funnel of each round."""
    console.print(progress_table(run.status()))
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
    for domain, cutoffs in run.cutoffs(round_).items():
        for task, cutoff in cutoffs.items():
            console.print(f"Screen, {domain}, {task}: {cutoff.why}", markup=False, highlight=False)


def funnel_counts(run: Run, round_: int) -> tuple[Counter[str], int]:
    """(counts of a round's filters over all domains, number of contexts they saw)."""
    counts: Counter[str] = Counter()
    contexts = 0
    for store in run.filters(round_).values():
        counts.update(store.counts())
        contexts += store.counts().get("contexts", 0)
    return counts, contexts


def status_json(run: Run) -> dict[str, Any]:
    """Everything `print_status` shows, as plain values."""
    return {
        "path": str(run.path),
        "recipe": run.recipe.name,
        "stages": [
            {
                "stage": stage.stage,
                "done_blocks": stage.done_blocks,
                "total_blocks": stage.total_blocks,
                "seconds": round(stage.seconds, 3),
                "counts": dict(stage.counts),
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
    return table


def _title(round_: int) -> str:
    return "From the teachers" if round_ == 0 else f"Self-distillation, round {round_}"
