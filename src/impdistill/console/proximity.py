"""The command that shows which decoding suits a teacher: `proximity`. Registered by `impdistill.cli`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from impdistill.console.evaluation import DeviceOption
from impdistill.errors import RecipeError

if TYPE_CHECKING:
    from impdistill.proximity import Proximity, Setting

console = Console()
error_console = Console(stderr=True)
Number = TypeVar("Number", int, float)


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(proximity)


def proximity(
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="A language model: folder, hub name, or starter:teacher.")],
    judge: Annotated[str, typer.Option("--judge", metavar="MODEL", help="A judge: folder, hub name, or starter:judge.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Gets proximity.json, .csv, .svg and .png, and settings/ to go on from.")],
    prefix: Annotated[
        str, typer.Option(help="What contexts begin with: none, news, news-naacl, reddit, biomedical, or literal:TEXT.")
    ] = "none",
    sentences: Annotated[str, typer.Option(help="Lengths of the context, in sentences; 0: the prefix alone.")] = "0,1,2,3,4,5",
    top_p: Annotated[str, typer.Option("--top-p", help="Of the sentences sampled after a context.")] = "0.5,0.7,0.9",
    temperature: Annotated[str, typer.Option(help="Likewise; below 1 sharpens.")] = "1",
    contexts: Annotated[int, typer.Option(min=1, help="Contexts drawn; the interval narrows with their root.")] = 32,
    samples: Annotated[int, typer.Option(min=2, help="Sentences after each context; all ordered pairs of them are judged.")] = 20,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Probability from which on x entails y, here and in the filters.")] = 0.9,
    max_new_tokens: Annotated[int, typer.Option(min=4, max=1024, help="Most tokens of a sampled sentence.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other contexts.")] = 0,
    device: DeviceOption = "auto",
) -> None:
    """Find the decoding that suits a teacher: how close in meaning its sentences are, and how many pairs a run would keep.

    For every length of context, top-p and temperature (all combinations; lists by commas) sentences are sampled and all their pairs
    judged. Shown are

    - the share of ordered pairs (x, y) in which x entails y: how often the teacher says the same thing,

    - Self-BLEU of y against x over those: the lower, the more differently it says it,

    - pairs that the paper's two tasks keep, per context and per 1,000 sampled tokens: what a run gets for its time.

    Longer contexts and sharper sampling make pairs that entail more often, but say it in the same words; the last column weighs the
    two. Settings share their contexts and random numbers. Interrupted, the same command goes on with the setting where it stopped.

    [bold]Example[/bold] (offline, some minutes):

        impdistill proximity starter:teacher --judge starter:judge --prefix "literal:<|endoftext|>News:" --threshold 0.7 --out prox
    """
    # what is wrong with the call is said before models are loaded
    lengths = _numbers("--sentences", sentences, int)
    shares, heats = _numbers("--top-p", top_p, float), _numbers("--temperature", temperature, float)
    from impdistill.models.judge import Judge
    from impdistill.models.teacher import Teacher
    from impdistill.proximity import Question, measure_proximity, settings_of
    from impdistill.recipe import Recipe
    from impdistill.report.proximity_chart import pictures_of, proximity_chart
    from impdistill.run.interrupt import EXIT_CODE, ending_promptly
    from impdistill.run.storage import write_durably
    from impdistill.tasks import tasks_of

    settings = settings_of(lengths, shares, heats)
    recipe = Recipe.load({"teachers": [{"domain": "any", "model": teacher, "prefix": prefix}], "judge": {"model": judge}})
    thresholds = [f"tasks.{task}.filters.{name}.threshold={threshold}" for task in recipe.tasks for name in ("entailment", "diversity")]
    tasks = tasks_of(Recipe.load(recipe.model_dump(mode="json"), thresholds))
    question = Question(tasks, prefix, contexts, samples, threshold, max_new_tokens, seed=seed)
    farewell = "Stopped. Finished settings are kept; the same command goes on."
    try:
        with ending_promptly(farewell), SettingsProgress(error_console, len(settings)) as progress:
            found = measure_proximity(
                Teacher.load(teacher, device=device), Judge.load(judge, device=device), settings, question, out / "settings", progress
            )
    except KeyboardInterrupt:
        error_console.print(farewell)
        raise typer.Exit(EXIT_CODE) from None
    console.print(proximity_table(found, f"{teacher}, judged by {judge} at {threshold:g}"))
    console.print(advice(found), markup=False, highlight=False, soft_wrap=True)
    common = {"teacher": teacher, "judge": judge, **question.key()}
    contents = {"json": _json(found, common), "csv": _csv(found), **pictures_of(proximity_chart(found))}
    for suffix, content in contents.items():
        write_durably(out / f"proximity.{suffix}", content)
    console.print(
        f"wrote {', '.join(f'proximity.{suffix}' for suffix in contents)} to {out}", markup=False, highlight=False, soft_wrap=True
    )


class SettingsProgress:
    """A bar over settings that moves with every block of contexts; off a terminal one line a setting."""

    def __init__(self, console: Console, settings: int) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("loading models and drawing contexts", total=settings)
        self.finished = 0

    def __enter__(self) -> SettingsProgress:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def __call__(self, setting: Setting, done: int, total: int) -> None:
        self.bar.update(self.task, description=f"{setting!s:<44}", completed=self.finished + done / total)
        if done == total:
            self.finished += 1
            if not self.console.is_terminal:
                self.console.print(f"{setting}: {total} contexts", highlight=False)


def proximity_table(found: Sequence[Proximity], title: str) -> Table:
    """A row a setting; the best one bold."""
    from impdistill.proximity import best_of

    best = best_of(found)
    table = Table(title=Text(title), title_justify="left", box=SIMPLE, collapse_padding=True, pad_edge=False)
    for column in ("context", "top-p", "temp", "entail", "Self-BLEU", "kept / context", "kept / 1,000 tokens", "95%"):
        table.add_column(column, justify="right", no_wrap=" / " not in column)
    for each in found:
        cells = [
            f"{each.setting.sentences}",
            f"{each.setting.top_p:g}",
            f"{each.setting.temperature:g}",
            "-" if each.entailing_share is None else f"{each.entailing_share:.1%}",
            "-" if each.self_bleu is None else f"{each.self_bleu:.1f}",
            f"{each.kept_per_context:.2f}",
            f"{each.kept_per_1000_tokens:.2f}",
            "" if each.low is None or each.high is None else f"{each.low:.2f}-{each.high:.2f}",
        ]
        table.add_row(*cells, style="bold" if each is best else None)
    contexts, sentences = found[0].contexts, found[0].sentences
    table.caption = Text(f"{contexts} contexts of so many sentences, {sentences // contexts} sentences sampled after each")
    return table


def advice(found: Sequence[Proximity]) -> str:
    """One line: the setting that keeps most pairs for the tokens sampled, and how sure that is."""
    from impdistill.proximity import best_of

    best = best_of(found)
    if best is None:
        return "No setting kept a pair: sample more (--contexts, --samples), lower --threshold, or take a stronger teacher."
    close = sum(each is not best and best.low is not None and (each.high or 0.0) >= best.low for each in found)
    unsure = f"; {close} other{'s' * (close != 1)} may be as good: more --contexts tell them apart" if close else ""
    return f"Most pairs for the tokens sampled: {best.setting}, {best.kept_per_1000_tokens:.2f} kept per 1,000{unsure}."


def _json(found: Sequence[Proximity], common: Mapping[str, Any]) -> bytes:
    results = [{**asdict(each), "entailing_share": each.entailing_share, "kept_per_context": each.kept_per_context} for each in found]
    return (json.dumps({**common, "advice": advice(found), "results": results}, ensure_ascii=False, indent=1) + "\n").encode()


def _csv(found: Sequence[Proximity]) -> bytes:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    tasks = list(found[0].kept)
    shared = ("contexts", "well_formed", "pairs", "entailing", "entailing_share", "self_bleu")
    rate = ("tokens", "kept_per_context", "kept_per_1000_tokens", "low", "high")
    writer.writerow(["sentences", "top_p", "temperature", *shared, *(f"kept_{task}" for task in tasks), *rate])
    for each in found:
        setting = each.setting
        values = [[getattr(each, name) for name in names] for names in (shared, rate)]
        writer.writerow(
            [setting.sentences, setting.top_p, setting.temperature, *values[0], *(each.kept[task] for task in tasks), *values[1]]
        )
    return lines.getvalue().encode()


def _numbers(option: str, written: str, kind: Callable[[str], Number]) -> list[Number]:
    try:
        return [kind(part) for part in written.split(",")]
    except ValueError as error:
        raise RecipeError(f"{option} {written!r}: give numbers with commas between them, e.g. 0,1,3") from error
