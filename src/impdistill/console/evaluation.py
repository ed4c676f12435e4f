"""The commands that measure and show: `evaluate`, `ablate`, `report`. Registered by `impdistill.cli`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from impdistill.errors import RecipeError, StorageError

if TYPE_CHECKING:
    from impdistill.ablation import Variant
    from impdistill.evaluate import Evaluation, Metric
    from impdistill.evaluate.evaluation import SystemComparison
    from impdistill.evaluate.fields import Fields
    from impdistill.outcome import Run

console = Console(emoji=False)  # lead:x: is no picture
error_console = Console(stderr=True, emoji=False)

OnOption = Annotated[
    list[str],
    typer.Option(
        "--on",
        metavar="BENCHMARK",
        help="A JSONL or TSV file, qqp-summary:FILE, qqp-paraphrase:FILE, parallel:SOURCES,REFERENCES,..., or "
        "hub:NAME[:CONFIG]@SPLIT. Repeatable.",
    ),
]
FieldsOption = Annotated[
    str | None,
    typer.Option("--fields", metavar="source=..,references=..,label=..", help="Names (or numbers) of unusual fields of benchmarks."),
]
ItemsOption = Annotated[int | None, typer.Option("--items", min=1, help="At most this many items of each benchmark.")]
AlphaOption = Annotated[float, typer.Option(min=0, max=1, help="Of iBLEU: .8 in the paper's first version, .7 in its second.")]
JudgeOption = Annotated[str | None, typer.Option("--judge", metavar="MODEL", help="Also measure entailment, by this judge.")]
EncoderOption = Annotated[
    str | None, typer.Option("--bertscore", metavar="MODEL", help="Also measure BERTScore and BERT-iBLEU, by this encoder.")
]
ResamplesOption = Annotated[int, typer.Option(min=10, help="Bootstrap draws behind every interval.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    for command in (evaluate, ablate, report):
        app.command()(command)


def evaluate(
    systems: Annotated[
        list[str],
        typer.Argument(
            metavar="SYSTEM...",
            help="RUN, RUN@ROUND, a student's folder, starter, best-of:16:STUDENT, copy, lead:0.79, human, human:2, outputs:FILE, "
            "prompt:MODEL. The judge of best-of is --judge's, else starter:judge.",
        ),
    ],
    on: OnOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Gets results.json, results.csv, control.json and the outputs.")],
    groups: Annotated[
        list[str] | None,
        typer.Option("--as", "-a", metavar="GROUP", help="Ask students for this group. Repeatable; default: all they know."),
    ] = None,
    items: ItemsOption = None,
    alpha: AlphaOption = 0.8,
    judge: JudgeOption = None,
    encoder: EncoderOption = None,
    instruction: Annotated[str | None, typer.Option(help="First line of the prompt of prompt:MODEL.")] = None,
    examples: Annotated[
        str | None, typer.Option(metavar="BENCHMARK", help="Where prompt:MODEL's examples come from, for a second row.")
    ] = None,
    shots: Annotated[int, typer.Option(min=1, help="How many of them.")] = 5,
    output_label: Annotated[
        str | None, typer.Option(help="Before prompt:MODEL's output. Default: Paraphrase: or Summary:, by the instruction.")
    ] = None,
    against: Annotated[
        str, typer.Option(metavar="SYSTEM", help="What the others are tested against, item by item: a SYSTEM, or a row's name.")
    ] = "copy",
    fields: FieldsOption = None,
    resamples: ResamplesOption = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    device: DeviceOption = "auto",
) -> None:
    """Measure systems on benchmarks, beside copying the input, cutting it off and, where it can be had, a human.

    A student gets a row for each group; asked for several, its controllability is measured too. `impdistill report RUN` shows
    what lies in RUN/evaluation.
    """
    from impdistill.console.systems import (
        Asking,
        check_humans,
        check_names,
        contender,
        examples_for,
        read_benchmarks,
        readable,
        rivals,
        usual_name,
        why_not,
        with_baselines,
    )
    from impdistill.evaluate import Rewriting, as_tables, baseline, control_tables, measure_control, write_results
    from impdistill.evaluate import evaluate as measure
    from impdistill.evaluate.benchmarks import read_benchmark
    from impdistill.evaluate.metrics.entailment import entailed_outputs
    from impdistill.evaluate.metrics.rouge import unseen_items
    from impdistill.evaluate.results import comparison_tables, write_control

    # 1. what is measured, on what, by what
    named = fields_of(fields)
    benchmarks = read_benchmarks(on, items, named)
    shown = () if examples is None else examples_for(read_benchmark(examples, named), benchmarks, shots)
    specs, against = with_baselines(systems, benchmarks), usual_name(against)
    asking = Asking(tuple(groups or ()), instruction, shown, output_label, device, judge or "starter:judge")
    check_humans([contender(spec, asking) for spec in (*specs, against) if baseline(spec) is not None], benchmarks)
    make_writable(out)  # what cannot be kept is better not measured
    metrics = metrics_of(alpha, judge, encoder, device)
    contenders = [contender(spec, asking) for spec in specs]
    if not any(against in (one.spec, *(system.name for system in one.systems)) for one in contenders):
        contenders.append(contender(against, asking))
    check_names(contenders)
    readers = [one.reader for one in contenders if one.reader is not None]
    warnings = [
        f"{one.spec}: no control is measured, as its folder does not tell the borders of {', '.join(one.borderless)}; evaluate its run"
        for one in contenders
        if one.borderless and len(one.systems) > 1
    ]

    # 2. measure
    evaluations: list[Evaluation] = []
    comparisons: list[SystemComparison] = []
    controls = []
    for benchmark in [readable(benchmark, readers) for benchmark in benchmarks]:
        rows = []
        for one in contenders:
            entailed = {}
            for system in one.systems:
                reason = why_not(system, benchmark)
                if reason is not None:
                    warnings.append(f"{benchmark.name}: no row {system.name}, as {reason}")
                    continue
                _say(f"{system.name} on {benchmark.name}, {len(benchmark)} items")
                rows.append(measure(system, benchmark, metrics, resamples=resamples, seed=seed))
                judged = entailed_outputs(rows[-1].statistics)
                if isinstance(system, Rewriting) and judged is not None:
                    entailed[system.group] = judged
            if one.rewriter is not None and len(one.groups) > 1 and not one.borderless:
                control = measure_control(
                    one.rewriter,
                    one.groups,
                    benchmark.sources,
                    entailed=entailed or None,
                    resamples=resamples,
                    seed=seed,
                    version=one.version,
                    origin=benchmark.origin,
                )
                controls.append((one.spec, benchmark.name, control))
        evaluations += rows
        rival_of = rivals(contenders, against)
        compared = _compared(rows, rival_of, resamples, seed)
        comparisons += compared
        if len(benchmark) > 1 and not compared and any(row.system in rival_of.values() for row in rows):
            warnings.append(f"{benchmark.name}: nothing is tested against {against}, as no other row has its items and references")
        unseen = unseen_items(benchmark.references)
        if unseen:
            warnings.append(f"{benchmark.name}: ROUGE sees only a-z and 0-9, and scores 0 on {unseen} items whose references have none")

    # 3. show and keep
    for columns in _fitting(evaluations, console.width):
        digits = {score.name: score.digits for one in columns for score in one.scores if score.direction != "neither"}
        told = [one for one in comparisons if one.score in digits and one.origin == columns[0].origin]
        for table in (*as_tables(columns), *comparison_tables(told, [one.system for one in columns], digits)):
            console.print(table)
    for warning in warnings:
        console.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
    for spec, name, control in controls:
        console.print(f"\n{spec} on {name}", markup=False, highlight=False)
        for table in control_tables(control):
            console.print(table)
    written = [*write_results(evaluations, out, comparisons), *write_control(controls, out)]
    console.print(f"wrote {', '.join(path.name for path in written)} to {out}", markup=False, highlight=False, soft_wrap=True)


def ablate(
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE [RECIPE...]",
            help="A YAML file, or a packaged recipe: paper, naacl, starter. One: it and its built-in ablations; several: each as it is.",
        ),
    ],
    on: OnOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Gets run/, which all variants share, and table.json, table.csv.")],
    variants: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ABLATION", help='e.g. --only "no control". Repeatable; default: all that apply.'),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--as", "-a", metavar="GROUP", help="What students are asked for. Default: long-abstractive.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="FIELD=VALUE", help="Override a field of every recipe. Repeatable.")
    ] = None,
    items: ItemsOption = None,
    alpha: AlphaOption = 0.8,
    judge: JudgeOption = None,
    encoder: EncoderOption = None,
    fields: FieldsOption = None,
    resamples: ResamplesOption = 1000,
    device: DeviceOption = "auto",
) -> None:
    """Run a recipe whole and with one part taken away at a time, and compare the students on benchmarks (the paper's table 6).

    Or run several recipes, and compare theirs. All variants share one run directory: what a variant does not touch is not made
    again. The same command goes on where it stopped.
    """
    from impdistill.ablation import distill_variant, variants_of, whole_recipes
    from impdistill.console.ablation import ablation_tables, default_group, measure_variants, write_table
    from impdistill.console.progress import RunProgress
    from impdistill.console.systems import read_benchmarks
    from impdistill.recipe import Recipe
    from impdistill.run.interrupt import EXIT_CODE, ending_promptly

    loaded = [Recipe.load(recipe, overrides or ()) for recipe in recipes]
    if variants and len(loaded) > 1:
        raise RecipeError("--only: chooses among the ablations of one recipe; several are compared as they are")
    asked = default_group(loaded[0]) if group is None else group
    chosen = variants_of(loaded[0], variants or ()) if len(loaded) == 1 else whole_recipes(dict(zip(recipes, loaded, strict=True)))
    benchmarks = read_benchmarks(on, items, fields_of(fields))
    metrics = metrics_of(alpha, judge, encoder, device)

    def make(variant: Variant) -> Run:
        error_console.print(f"[bold]{variant.name}[/bold]", highlight=False)
        with RunProgress(error_console) as progress:
            return distill_variant(variant, out / "run", progress)

    farewell = "Stopped. Nothing finished is lost; the same command goes on."
    try:
        with ending_promptly(farewell):
            rows = measure_variants(chosen, asked, benchmarks, metrics, make, device, resamples)
    except KeyboardInterrupt:
        error_console.print(farewell)
        raise typer.Exit(EXIT_CODE) from None
    for table in ablation_tables(rows, asked):
        console.print(table)
    for path in write_table(rows, out):
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN [RUN]", help="One run, or two to see side by side.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Gets report.html, report.json, flagged.csv and figures/.")],
    results: Annotated[
        list[Path] | None,
        typer.Option("--results", metavar="DIR", help="What `evaluate --out` wrote, besides RUN/evaluation; of the first RUN. Repeatable."),
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option("--leaks", metavar="BENCHMARK", help="Look for texts of this benchmark. Repeatable.")
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", metavar="DATASET", help="Compare with this dataset, read as --on of `evaluate` is. Repeatable."),
    ] = None,
    figures: Annotated[bool, typer.Option(help="Also write every chart as PNG and SVG.")] = True,
    seed: Annotated[int, typer.Option(help="Another seed, other pairs to read.")] = 0,
) -> None:
    """Write one self-contained page about a run, to be opened offline: funnel, pairs to read, scores, drops, cost."""
    from impdistill.evaluate import read_benchmark
    from impdistill.outcome import Run
    from impdistill.report import write_report

    written = write_report(
        [Run.open(run) for run in runs],
        out,
        results=results or (),
        benchmarks=[read_benchmark(spec) for spec in against or ()],
        beside=[read_benchmark(spec) for spec in beside or ()],
        figures=figures,
        seed=seed,
    )
    console.print(str(written), markup=False, highlight=False, soft_wrap=True)


def metrics_of(alpha: float, judge: str | None, encoder: str | None, device: str) -> list[Metric]:
    from impdistill.evaluate import standard_metrics

    metrics = list(standard_metrics(alpha))
    if judge is not None:
        from impdistill.evaluate.metrics.entailment import entailment
        from impdistill.models.judge import Judge

        metrics.append(entailment(Judge.load(judge, device=device)))
    if encoder is not None:
        from impdistill.evaluate.metrics.bert_ibleu import bert_ibleu
        from impdistill.evaluate.metrics.bertscore import Encoder, bertscore

        loaded = Encoder.load(encoder, device=device)
        metrics += [bertscore(loaded), bert_ibleu(loaded)]
    return metrics


def make_writable(folder: Path) -> None:
    """Make a folder for results.

    Raises:
        StorageError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error


def fields_of(text: str | None) -> Fields:
    """What `--fields` says."""
    from impdistill.evaluate.fields import BY_NAME, Fields

    return BY_NAME if text is None else Fields.of(text)


def _compared(rows: Sequence[Evaluation], rival_of: Mapping[str, str], resamples: int, seed: int) -> list[SystemComparison]:
    """Every row of a benchmark with its rival, where that one was measured on it."""
    from impdistill.evaluate import compare_systems

    found: list[SystemComparison] = []
    for rival in (one for one in rows if one.system in rival_of.values()):
        others = [one for one in rows if rival_of.get(one.system) == rival.system]
        found += compare_systems([rival, *others], rival.system, resamples=resamples, seed=seed)
    return found


def _fitting(evaluations: Sequence[Evaluation], width: int) -> Iterator[list[Evaluation]]:
    """The evaluations of one benchmark after the other, as many systems at once as a table of this width can show."""
    at_once = max(2, (width - 16) // 22)
    for origin in dict.fromkeys(evaluation.origin for evaluation in evaluations):
        systems = [evaluation for evaluation in evaluations if evaluation.origin == origin]
        for start in range(0, len(systems), at_once):
            yield systems[start : start + at_once]


def _say(line: str) -> None:
    if sys.stderr.isatty():
        error_console.print(line, style="dim", markup=False, highlight=False)
