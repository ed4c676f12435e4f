"""The command line: parse, build, call one library function, show what came of it."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from impdistill import __version__
from impdistill.console import evaluation, finetuning, proximity
from impdistill.errors import ImpdistillError, RecipeError, RunError

app = typer.Typer(
    name="impdistill",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode="rich",
    help="""Paraphrase and summarisation data, and models that write them, from any off-the-shelf language model.

[bold]Start here[/bold] (offline, a few minutes on a laptop, needs impdistill-starter):

    impdistill run starter --out runs/first

    impdistill inspect runs/first

    impdistill rewrite runs/first --as paraphrase "The committee met on Tuesday to discuss the new rules."
""",
)

out_console = Console(emoji=False)
error_console = Console(stderr=True, emoji=False)  # what users wrote (lead:x: ...) is no picture

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="A YAML file, or a packaged recipe: paper, naacl, starter.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A directory that `impdistill run --out` wrote.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="The run directory; made if it does not exist.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="FIELD=VALUE", help="Override a field, e.g. -s parallel.samples=32. Repeatable."),
]
RoundOption = Annotated[
    int | None,
    typer.Option("--round", "-r", help="0: the teachers' own pairs; 1, 2, ...: rounds of self-distillation. Default: last."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]


def main() -> None:
    """Entry point: errors that have a cause outside the code are one line on stderr and exit code 2."""
    try:
        _run_app()
    except ImpdistillError as error:
        _refuse(str(error))
    except BrokenPipeError:
        _close_output()  # the reader of our output has gone (`| head`)
        sys.exit(0)
    except OSError as error:
        _refuse(_what_failed(error))


def _run_app() -> None:
    try:
        app()
    except SystemExit:
        sys.stdout.flush()  # while a full disk can still be reported as other errors are
        raise


def _refuse(message: str) -> NoReturn:
    error_console.print(f"impdistill: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    _close_output()
    sys.exit(2)


def _close_output() -> None:
    """What standard output has not taken it will not take at exit either: let it go nowhere, or the interpreter complains."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_OS_FIXES = {
    errno.EACCES: "give a path that you may read and write",
    errno.EPERM: "give a path that you may read and write",
    errno.EROFS: "give a path that you may write",
    errno.ENOSPC: "free some space and run it again",
    errno.EDQUOT: "free some of your quota and run it again",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "allow more open files (ulimit -n)",
}


def _what_failed(error: OSError) -> str:
    """The file, what the system says of it, and what to do."""
    name = "standard output" if error.filename is None and error.errno == errno.ENOSPC else error.filename
    fix = _OS_FIXES.get(error.errno or 0)
    return "".join([f"{name}: " if name else "", error.strerror or str(error), f"; {fix}" if fix else ""])


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out_console.print(f"impdistill {__version__}", highlight=False)
        raise typer.Exit


@app.command()
def run(
    recipe: RecipeArgument,
    out: OutOption,
    overrides: SetOption = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the work; each loads the models.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda; for another GPU than the first set CUDA_VISIBLE_DEVICES.")] = None,
    update: Annotated[
        bool,
        typer.Option("--update", help="The directory holds a run of another recipe: keep what still holds, make the rest anew."),
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Discard damaged shards and make just those again.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the summary.")] = False,
) -> None:
    """Run a recipe: from language models to a dataset, a task model and their cards.

    Safe to interrupt at any moment: the same command goes on where it stopped.
    """
    from impdistill.run.interrupt import EXIT_CODE, ending_promptly

    farewell = f"Stopped. Nothing finished is lost; to go on: {shlex.join(['impdistill', *sys.argv[1:]])}"
    try:
        with ending_promptly(farewell):  # before the seconds that torch takes to be imported
            from impdistill.console.progress import RunProgress
            from impdistill.console.summary import print_summary
            from impdistill.pipeline import distill
            from impdistill.recipe import Recipe

            execution = [f"execution.{name}={value}" for name, value in (("workers", workers), ("device", device)) if value is not None]
            loaded = Recipe.load(recipe, [*(overrides or ()), *execution])
            with RunProgress(Console(quiet=quiet)) as progress:
                finished = distill(loaded, out, update=update, repair=repair, observer=progress)
    except KeyboardInterrupt:
        error_console.print(farewell, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_CODE) from None
    print_summary(finished, out_console)


@app.command()
def plan(recipe: RecipeArgument, out: OutOption, overrides: SetOption = None) -> None:
    """Show what `run` would do, stage by stage, and why. Loads no model, writes nothing to --out."""
    from impdistill import pipeline
    from impdistill.console.funnel import plan_table
    from impdistill.recipe import Recipe

    out_console.print(plan_table(pipeline.plan(Recipe.load(recipe, overrides or ()), out)))


@app.command()
def status(run: RunArgument, as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False) -> None:
    """Show how far a run is and what its filters did, live or after the fact."""
    from impdistill.console.summary import print_status, status_json
    from impdistill.outcome import Run

    opened = Run.open(run)
    if as_json:
        print(json.dumps(status_json(opened), ensure_ascii=False, indent=2))
    else:
        print_status(opened, out_console)


@app.command()
def inspect(
    run: RunArgument,
    round_: RoundOption = None,
    group: Annotated[str | None, typer.Option("--group", "-g", help="Only pairs of this group.")] = None,
    dropped: Annotated[
        bool, typer.Option("--dropped", "-d", help="Pairs that were dropped, by reason, instead of kept ones by group.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Only pairs dropped for this reason.")] = None,
    number: Annotated[int, typer.Option("-n", min=1, help="Pairs of each group or reason.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed, other pairs.")] = 0,
) -> None:
    """Read pairs: kept ones by group, or dropped ones by reason."""
    from impdistill.console.pairs import print_pairs
    from impdistill.outcome import Run

    dropped = dropped or reason is not None
    if dropped and group is not None:
        raise RunError("--group: dropped pairs are in no group; give --group alone, or --dropped or --reason without it")
    opened = Run.open(run)
    print_pairs(
        opened,
        out_console,
        round_=round_,
        group=group,
        dropped=dropped,
        reason=reason,
        number=number,
        seed=seed,
    )


@app.command()
def rewrite(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run, a student's folder, a hub name, or `starter`.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A sentence; `-` reads one a line from standard input.")],
    group: Annotated[str, typer.Option("--as", "-a", metavar="GROUP", help="e.g. paraphrase, short-abstractive, long-extractive.")],
    beams: Annotated[int, typer.Option(min=1, max=16, help="1 is greedy decoding.")] = 1,
    best_of: Annotated[
        int, typer.Option("--best-of", min=1, max=256, help="Write so many, and take one that the judge finds faithful and in the group.")
    ] = 1,
    judge_name: Annotated[
        str | None, typer.Option("--judge", metavar="MODEL", help="The judge of --best-of. Default: starter:judge.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with scores.")] = False,
    round_: RoundOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Rewrite sentences with a trained student: one line out for each line in, in order.

    With --best-of 16 a small student does far better, for sixteen times the work: it samples, and a judge chooses. How many of the
    lines are good is said at the end.
    """
    from impdistill.console.rewriting import best_rewritten, lines_of, load_student, rewritten, sentence_argument

    if best_of > 1 and beams > 1:
        raise RecipeError("--best-of samples, and --beams searches; give one of them")
    if judge_name is not None and best_of == 1:
        raise RecipeError("--judge chooses for --best-of N; give that too")
    texts = lines_of(sys.stdin.buffer.read()) if text == "-" else [sentence_argument("TEXT", text)]
    if best_of > 1:
        judge_name, passing = judge_name or "starter:judge", 0
        for line, passes in best_rewritten(model, round_, judge_name, device, texts, group, best_of, as_json):
            print(line, flush=True)
            passing += passes
        told = f"{passing} of {len(texts)} faithful and {group}, by {judge_name}"
        error_console.print(told, markup=False, highlight=False, soft_wrap=True)
        return
    student = load_student(model, round_, device)
    for line in rewritten(student, texts, group, beams, as_json):
        print(line)


@app.command()
def judge(
    premise: Annotated[str, typer.Argument(metavar="PREMISE")],
    hypothesis: Annotated[str, typer.Argument(metavar="HYPOTHESIS")],
    model: Annotated[str, typer.Option(help="A judge: folder, hub name, or starter:judge.")] = "starter:judge",
    device: DeviceOption = "auto",
) -> None:
    """Print the three probabilities: does PREMISE entail HYPOTHESIS, leave it open, or contradict it?"""
    from impdistill.console.rewriting import sentence_argument
    from impdistill.models.judge import Judge

    premise, hypothesis = sentence_argument("PREMISE", premise), sentence_argument("HYPOTHESIS", hypothesis)
    probabilities = Judge.load(model, device=device).probabilities([premise], [hypothesis])[0]
    for name, probability in zip(("entailment", "neutral", "contradiction"), probabilities, strict=True):
        out_console.print(f"{name:<14} {probability:.4f}", highlight=False)


@app.command()
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="A new or empty directory: gets dataset/ and model/.")],
    round_: RoundOption = None,
    push: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also upload to the hub as NAME (dataset and model; needs a login).")
    ] = None,
) -> None:
    """Write the dataset (opens with datasets.load_dataset) and the model (opens with transformers), with their cards."""
    from impdistill.exporting import export_run, push_to_hub
    from impdistill.outcome import Run

    for name, path in export_run(Run.open(run), out, round_).items():
        out_console.print(f"{name:<8} {path}", highlight=False, soft_wrap=True)
    if push is not None:
        for address in push_to_hub(out, push):
            out_console.print(address, highlight=False, soft_wrap=True)


@app.command("recipe")
def show_recipe(recipe: RecipeArgument, overrides: SetOption = None) -> None:
    """Print a recipe in full, every default included: the start of one of your own."""
    from impdistill.recipe import Recipe

    print(Recipe.load(recipe, overrides or ()).to_yaml(), end="")


@app.command()
def prune(run: RunArgument) -> None:
    """Remove what earlier recipes of a run left behind."""
    from impdistill.outcome import Run

    directory = Run.open(run).directory
    with directory.lock():
        removed = directory.prune()
    out_console.print(f"removed {len(removed)} superseded stage(s)", highlight=False)


evaluation.register(app)
finetuning.register(app)
proximity.register(app)
