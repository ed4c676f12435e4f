"""The ablations' table: what each variant's dataset holds and its student scores."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from impdistill.ablation import Variant
from impdistill.console.systems import ALWAYS, readable_for, why_not
from impdistill.errors import RecipeError, RunError
from impdistill.evaluate import Benchmark, Evaluation, Metric, Rewriting, Score, baseline, evaluate
from impdistill.evaluate.results import ARROWS
from impdistill.models.student import Student
from impdistill.outcome import Run
from impdistill.recipe import Recipe
from impdistill.run.storage import make_directory, write_durably

USUAL_GROUP = "long-abstractive"
COLUMNS = ("ROUGE-2", "ROUGE-L", "SARI", "iBLEU", "Compression")
"""How the names of the scores that are printed begin; table.json has all."""
WITH_INTERVAL = ("ROUGE-L", "SARI")


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One variant, or a baseline.

    Attributes:
        pairs: in the dataset its last student was trained on; None for a baseline.
        group: what the student was asked for; None for a baseline, or where the variant has no such task.
        why_empty: why nothing was measured; None where something was.
        evaluations: one a benchmark, as far as it can be measured there.
    """

    name: str
    pairs: int | None
    group: str | None
    why_empty: str | None
    evaluations: tuple[Evaluation, ...]


def default_group(recipe: Recipe) -> str:
    """`long-abstractive` where the recipe has it, else its first group."""
    groups = [group for task in recipe.tasks.values() for group in task.groups]
    return USUAL_GROUP if USUAL_GROUP in groups else groups[0]


def measure_variants(
    variants: Sequence[Variant],
    group: str,
    benchmarks: Sequence[Benchmark],
    metrics: Sequence[Metric],
    make: Callable[[Variant], Run],
    device: str,
    resamples: int,
) -> list[AblationRow]:
    """Make every variant, then measure the students on the items that all of them can read, after the rows copy and lead.

    A variant that keeps no pair is a row that says so: that, too, is a finding.

    Raises:
        RecipeError: the whole recipe has no such group.
        ImpdistillError: as `distill`.
    """
    whole = variants[0].recipe
    if variants[0].group_for(group, whole) is None:
        groups = [name for task in whole.tasks.values() for name in task.groups]
        raise RecipeError(f"--as {group}: the recipe has no such group; it has {', '.join(groups)}")
    # 1. make: a later variant makes another student the run's, so that each is kept by its folder
    rows: list[AblationRow] = []
    students: dict[str, tuple[str, str]] = {}  # variant -> folder, group to ask for
    for variant in variants:
        asked = variant.group_for(group, whole)
        try:
            run = make(variant)
        except RunError as failure:
            if type(failure) is not RunError:  # damage, a lock, a full disk: no outcome of the variant
                raise
            rows.append(AblationRow(variant.name, 0, asked, str(failure), ()))
            continue
        pairs = int(run.dataset().facts()["pairs"])
        if asked is None:
            rows.append(AblationRow(variant.name, pairs, None, f"has no group for {group}", ()))
            continue
        students[variant.name] = str(run.student_folder().path), asked
        rows.append(AblationRow(variant.name, pairs, asked, None, ()))

    # 2. measure
    items = readable_for(benchmarks, list(students.values()))
    for place, row in enumerate(rows):
        if row.name in students:
            folder, asked = students[row.name]
            system = Rewriting(row.name, Student.load(folder, device=device), asked)
            rows[place] = replace(row, evaluations=tuple(evaluate(system, one, metrics, resamples=resamples) for one in items))
    return [baseline_row(spec, items, metrics, resamples) for spec in ALWAYS] + rows


def ablation_tables(rows: Sequence[AblationRow], group: str) -> list[Table]:
    """A table a benchmark: a row a variant, its pairs and main scores; below it what kept variants from being measured."""
    tables = []
    for first in rows[0].evaluations:
        table = Table(header_style="bold", box=None, pad_edge=False, title_justify="left", caption_justify="left")
        table.title = Text(f"{first.benchmark} ({first.items} items), asked for {group}")
        table.add_column("", no_wrap=True)
        table.add_column("pairs", justify="right")
        scores = [score for score in first.scores if score.name.startswith(COLUMNS)]
        for score in scores:
            table.add_column(Text(_heading(score)), justify="right", no_wrap=True)
        for row in rows:
            found = next((one for one in row.evaluations if one.origin == first.origin), None)
            if found is None and row.evaluations:
                continue  # measured on other benchmarks only
            pairs = "" if row.pairs is None else f"{row.pairs:,}"
            cells = [] if found is None else [_cell(found.score(score.name)) for score in scores]
            table.add_row(Text(row.name), pairs, *map(Text, cells))
        unmeasured = [f"{row.name}: {row.why_empty}" for row in rows if row.why_empty]
        table.caption = Text("\n".join(["± half of the 95% bootstrap interval; all scores are in table.json", *unmeasured]))
        tables.append(table)
    return tables


def _heading(score: Score) -> str:
    """In two lines where that is narrower: the table fits 80 columns."""
    name = score.name.replace("Compression", "Compres-\nsion").replace("(", "\n(")
    arrow = ARROWS[score.direction]
    return name + (arrow if "\n" in name else arrow.replace(" ", "\n"))


def _cell(score: Score) -> str:
    value = f"{score.value:.{score.digits}f}"
    if score.low is None or score.high is None or not score.name.startswith(WITH_INTERVAL):
        return value
    return f"{value} ±{(score.high - score.low) / 2:.{score.digits}f}"


def write_table(rows: Sequence[AblationRow], out: Path) -> list[Path]:
    """`table.json` with every score, `table.csv` with a line a variant and score. Raises `StorageError`."""
    content = [
        {
            "variant": row.name,
            "pairs": row.pairs,
            "group": row.group,
            "why_empty": row.why_empty,
            "benchmarks": [
                {"benchmark": one.benchmark, "items": one.items, "scores": [asdict(score) for score in one.scores]}
                for one in row.evaluations
            ],
        }
        for row in rows
    ]
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(["variant", "pairs", "group", "benchmark", "items", "score", "value", "low", "high"])
    for row in rows:
        for one in row.evaluations:
            for score in one.scores:
                line = [row.name, row.pairs, row.group, one.benchmark, one.items, score.name, score.value, score.low, score.high]
                writer.writerow(line)
    make_directory(out)
    paths = [out / "table.json", out / "table.csv"]
    write_durably(paths[0], json.dumps(content, ensure_ascii=False, indent=2).encode())
    write_durably(paths[1], lines.getvalue().encode())
    return paths


def baseline_row(spec: str, benchmarks: Sequence[Benchmark], metrics: Sequence[Metric], resamples: int) -> AblationRow:
    """The row of `copy`, `lead:0.79` or `human`, on the benchmarks that it can answer."""
    system = baseline(spec)
    assert system is not None
    measured = tuple(evaluate(system, one, metrics, resamples=resamples) for one in benchmarks if why_not(system, one) is None)
    return AblationRow(spec, None, None, None, measured)
