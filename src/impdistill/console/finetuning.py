"""The commands that let people's pairs teach a student: `finetune`, `transfer`. Registered by `impdistill.cli`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from impdistill.console.evaluation import (
    AlphaOption,
    DeviceOption,
    EncoderOption,
    FieldsOption,
    ItemsOption,
    JudgeOption,
    ResamplesOption,
    fields_of,
    metrics_of,
)
from impdistill.console.progress import RunProgress

console = Console(emoji=False)  # lead:x: is no picture
error_console = Console(stderr=True, emoji=False)
Result = TypeVar("Result")

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="RUN, RUN@ROUND, a student's folder, starter, or a base model by folder or hub name.")
]
GroupOption = Annotated[str, typer.Option("--as", "-a", metavar="GROUP", help="What outputs are asked for by, e.g. short-abstractive.")]
InstructionOption = Annotated[
    str | None, typer.Option(help="What is put before x. Default: the student's own for GROUP, or else the paper's.")
]
HeldOutOption = Annotated[
    float, typer.Option("--held-out", min=0, max=0.5, help="Share of duplicate clusters kept for choosing the best step.")
]
TrainingOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="FIELD=VALUE", help="A setting of the training, e.g. epochs=5. Default: as the run's. Repeatable."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the cut, the shares and the training.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    for command in (finetune, transfer):
        app.command()(command)


def finetune(
    model: ModelArgument,
    on: Annotated[str, typer.Option("--on", metavar="BENCHMARK", help="Pairs that people wrote: as `evaluate --on` reads them.")],
    group: GroupOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The student's folder: itself a SYSTEM of `evaluate`.")],
    share: Annotated[float, typer.Option(help="Of the pairs, above 0, at most 1.")] = 1.0,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="BENCHMARK", help="A test set: pairs that share a text with it are left out. Repeatable."),
    ] = None,
    instruction: InstructionOption = None,
    held_out: HeldOutOption = 0.05,
    overrides: TrainingOption = None,
    fields: FieldsOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
) -> None:
    """Fine-tune a base model (supervised) or a student of ours (transfer) on pairs that people wrote.

    The same command goes on where it was stopped.
    """
    from impdistill.evaluate import read_benchmark
    from impdistill.transfer import Start, finetune_student, human_pairs, training_with

    start = Start.of(model)
    training = training_with(start, overrides or ())
    named = fields_of(fields)
    tests = [read_benchmark(spec, named) for spec in without or ()]
    pairs = human_pairs(read_benchmark(on, named), without=tests, held_out=held_out, seed=seed)
    with RunProgress(error_console) as progress:
        taught = _interruptible(
            lambda: finetune_student(
                start,
                pairs,
                out,
                group=group,
                instruction=instruction,
                share=share,
                training=training,
                seed=seed,
                device=device,
                observer=progress,
            )
        )
    loss = taught.record["best_validation_loss"]
    shown = [f"{taught.pairs:,} pairs", f"{len(pairs.held_out):,} held out"]
    shown += [f"{pairs.leaking:,} left out for what they share with a test set"] if without else []
    shown += [f"{taught.record['left_out']:,} over the token limits"] if taught.record["left_out"] else []
    shown += [f"{taught.record['steps']:,} steps"] + ([] if loss is None else [f"held-out loss {loss:.3f}"])
    console.print(", ".join(shown), highlight=False)
    console.print(f"measure it    impdistill evaluate {out} --on BENCHMARK --out DIR", markup=False, highlight=False, soft_wrap=True)


def transfer(
    model: ModelArgument,
    on: Annotated[str, typer.Option("--on", metavar="BENCHMARK", help="Pairs that people wrote, to train on.")],
    test: Annotated[list[str], typer.Option("--test", metavar="BENCHMARK", help="To measure on. Repeatable.")],
    group: GroupOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Gets a student's folder for each row, and table.json, table.csv.")],
    shares: Annotated[list[float] | None, typer.Option("--share", help="Of the pairs. Repeatable. Default: 0.5 and 1.")] = None,
    base: Annotated[str | None, typer.Option(metavar="MODEL", help="M0, for the row in-domain. Default: the run's.")] = None,
    instruction: InstructionOption = None,
    held_out: HeldOutOption = 0.05,
    overrides: TrainingOption = None,
    items: ItemsOption = None,
    alpha: AlphaOption = 0.8,
    judge: JudgeOption = None,
    encoder: EncoderOption = None,
    fields: FieldsOption = None,
    resamples: ResamplesOption = 1000,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
) -> None:
    """What a student of ours gains from people's pairs: M0 on all of them, ours alone, ours on shares of them, as one table.

    Training pairs that share a text with a test set are left out. The same command goes on where it was stopped.
    """
    from impdistill.console.ablation import ablation_tables, write_table
    from impdistill.console.systems import read_benchmarks
    from impdistill.console.transfer import measure_taught, teach_all
    from impdistill.evaluate import read_benchmark
    from impdistill.transfer import Start, human_pairs, instruction_for, training_with

    # 1. who is taught what
    start = Start.of(model)
    base_start = start.base if base is None else Start.of(base)
    training = training_with(start, overrides or ())
    spoken = instruction_for(group, start, instruction)
    metrics = metrics_of(alpha, judge, encoder, device)
    named = fields_of(fields)
    tests = [read_benchmark(spec, named) for spec in test]
    pairs = human_pairs(read_benchmark(on, named), without=tests, held_out=held_out, seed=seed)
    benchmarks = read_benchmarks(test, items, named)

    # 2. teach
    with RunProgress(error_console) as progress:
        rows = _interruptible(
            lambda: teach_all(
                start,
                base_start,
                shares or (0.5, 1.0),
                pairs,
                out,
                group=group,
                instruction=spoken,
                training=training,
                seed=seed,
                device=device,
                observer=progress,
            )
        )

    # 3. measure, show and keep
    measured = measure_taught(rows, group, benchmarks, metrics, device, resamples)
    for table in ablation_tables(measured, group):
        console.print(table)
    counted = f"{len(pairs.train):,} human pairs to train on, {len(pairs.held_out):,} held out"
    console.print(f"{counted}, {pairs.leaking:,} left out for what they share with a test set", highlight=False)
    if base_start is None:
        console.print(f"no row in-domain: {model} is no run, so name its M0 by --base", markup=False, highlight=False, soft_wrap=True)
    if group not in start.groups:
        console.print(f"no row ours only: {model} does not know {group}", markup=False, highlight=False, soft_wrap=True)
    for path in write_table(measured, out):
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)


def _interruptible(work: Callable[[], Result]) -> Result:
    from impdistill.run.interrupt import EXIT_CODE, ending_promptly

    farewell = f"Stopped. Nothing finished is lost; to go on: {shlex.join(['impdistill', *sys.argv[1:]])}"
    try:
        with ending_promptly(farewell):
            return work()
    except KeyboardInterrupt:
        error_console.print(farewell, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_CODE) from None
