"""Evaluations as tables to look at and files to keep."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from impdistill.errors import BenchmarkError, StorageError
from impdistill.evaluate.bootstrap import Comparison
from impdistill.evaluate.controllability import Control
from impdistill.evaluate.evaluation import Evaluation, Score, SystemComparison
from impdistill.text.intervals import shown_interval

RESULTS_FOLDER = "evaluation"
"""Where reports and cards look for `evaluate`'s results inside a run."""

ARROWS: Mapping[str, str] = {"higher": " ↑", "lower": " ↓", "neither": ""}

CSV_FIELDS = (
    "system", "benchmark", "origin", "score", "value", "low", "high", "items", "empty_outputs", "skipped", "direction", "seconds",
    "against", "difference", "difference_low", "difference_high", "p_randomisation", "p_bootstrap", "note",
)  # fmt: skip


def as_tables(evaluations: Sequence[Evaluation]) -> list[Table]:
    """One table per benchmark: a row per score, a column per system, each value with its interval.

    The title says how many items the system with most of them answered, and how many records were left out for it; a row of its own
    where another one left out more.
    """
    tables = []
    for origin in dict.fromkeys(evaluation.origin for evaluation in evaluations):
        systems = [evaluation for evaluation in evaluations if evaluation.origin == origin]
        rows = {score.name: score for evaluation in systems for score in evaluation.scores}
        by_name = [{score.name: score for score in evaluation.scores} for evaluation in systems]
        table = Table(
            title=Text(_title(max(systems, key=lambda one: one.items))),
            caption="value (95% bootstrap interval); arrows point to the better end",
        )
        table.add_column("")
        for evaluation in systems:
            table.add_column(Text(evaluation.system), justify="right", overflow="fold")
        for name, score in rows.items():
            cells = [Text(shown(scores[name])) if name in scores else Text("-") for scores in by_name]
            table.add_row(Text(name + ARROWS[score.direction]), *cells)
        if any(evaluation.empty_outputs for evaluation in systems):
            table.add_row("empty outputs", *(str(evaluation.empty_outputs) for evaluation in systems))
        if len({evaluation.items for evaluation in systems}) > 1:
            table.add_row("items", *(str(evaluation.items) for evaluation in systems))
        tables.append(table)
    return tables


def comparison_tables(comparisons: Sequence[SystemComparison], systems: Sequence[str], digits: Mapping[str, int]) -> list[Table]:
    """One table a benchmark and system compared with: a row a score, a column a system, each difference with its p.

    Args:
        systems: those to show, by name.
        digits: name of a score -> decimals worth printing.
    """
    tables = []
    shown_ones = [one for one in comparisons if one.system in systems]
    for origin, against in dict.fromkeys((one.origin, one.against) for one in shown_ones):
        these = [one for one in shown_ones if (one.origin, one.against) == (origin, against)]
        names = list(dict.fromkeys(one.system for one in these))
        cells = {
            (one.score, one.system): f"{one.comparison.difference:+.{digits[one.score]}f} ({shown_p(one.comparison)})" for one in these
        }
        title = f"{these[0].benchmark}: score less that of {against} (p)"
        table = Table(title=Text(title), caption="p: two-sided, paired by item; not corrected for the number of comparisons")
        table.add_column("")
        for name in names:
            table.add_column(Text(name), justify="right", overflow="fold")
        for score in dict.fromkeys(one.score for one in these):
            table.add_row(Text(score), *(Text(cells.get((score, name), "-")) for name in names))
        tables.append(table)
    return tables


def shown_p(comparison: Comparison) -> str:
    """p of the randomisation test or, where items cannot be exchanged, of the bootstrap."""
    p = comparison.p_bootstrap if comparison.p_randomisation is None else comparison.p_randomisation
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def shown(score: Score) -> str:
    """Value and interval, with the decimals worth printing."""
    return shown_interval(score.value, score.low, score.high, score.digits)


def as_json(evaluations: Sequence[Evaluation], comparisons: Sequence[SystemComparison] = ()) -> dict[str, Any]:
    """Everything but the answers, in JSON's types."""
    return {
        "evaluations": [
            {
                "system": one.system,
                "version": one.version,
                "benchmark": one.benchmark,
                "origin": one.origin,
                "items": one.items,
                "skipped": dict(one.skipped),
                "empty_outputs": one.empty_outputs,
                "seconds": round(one.seconds, 3),
                "scores": [asdict(score) for score in one.scores],
            }
            for one in evaluations
        ],
        "comparisons": [asdict(comparison) for comparison in comparisons],
    }


def write_results(evaluations: Sequence[Evaluation], directory: str | Path, comparisons: Sequence[SystemComparison] = ()) -> list[Path]:
    """Write `results.json`, `results.csv` and one `outputs-SYSTEM-BENCHMARK.jsonl` per evaluation; returns the paths.

    Outputs of systems that an earlier call wrote there, and this one did not evaluate, are removed.

    Raises:
        StorageError: the directory cannot be written.
    """
    folder = Path(directory)
    names = _outputs_names([(evaluation.system, evaluation.benchmark) for evaluation in evaluations])
    contents = {"results.json": json.dumps(as_json(evaluations, comparisons), indent=2, ensure_ascii=False) + "\n"}
    contents.update((name, "".join(_output_lines(evaluation))) for name, evaluation in zip(names, evaluations, strict=True))
    compared = {(one.system, one.origin, one.score): one for one in comparisons}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in set(_earlier_outputs(folder)) - set(names):
            (folder / name).unlink(missing_ok=True)
        for name, content in contents.items():
            (folder / name).write_text(content, encoding="utf-8")
        with (folder / "results.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, CSV_FIELDS)
            writer.writeheader()
            writer.writerows(row for evaluation in evaluations for row in _csv_rows(evaluation, compared))
    except OSError as error:
        raise StorageError(f"{folder}: results cannot be written ({error.strerror or error}); choose another folder") from error
    return [folder / name for name in [*contents, "results.csv"]]


def write_control(controls: Sequence[tuple[str, str, Control]], directory: str | Path) -> list[Path]:
    """Write `control.json`: a record for each (system, benchmark, control). For none an earlier one is removed.

    Raises:
        StorageError: the directory cannot be written.
    """
    records = [{"system": system, "benchmark": benchmark, **asdict(control)} for system, benchmark, control in controls]
    path = Path(directory) / "control.json"
    try:
        if not records:
            path.unlink(missing_ok=True)
            return []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(records, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    return [path]


def read_results(folders: Sequence[str | Path]) -> dict[str, list[dict[str, Any]]]:
    """`evaluations` and `control` that lie in folders; a folder without them adds none.

    Raises:
        BenchmarkError: a file there is not what `impdistill evaluate` writes.
    """
    found: dict[str, list[dict[str, Any]]] = {"evaluations": [], "control": []}
    for folder in map(Path, folders):
        for name, kind in (("results.json", "evaluations"), ("control.json", "control")):
            path = folder / name
            if path.is_file():
                try:
                    content = json.loads(path.read_bytes())
                    found[kind] += content["evaluations"] if kind == "evaluations" else list(content)
                except (ValueError, KeyError, TypeError) as error:
                    raise BenchmarkError(f"{path}: not what `impdistill evaluate` writes; run it again into that folder") from error
    return found


def _title(evaluation: Evaluation) -> str:
    left_out = "".join(f"; left out: {count} {reason}" for reason, count in evaluation.skipped.items())
    return f"{evaluation.benchmark} ({evaluation.items} items{left_out})"


def _output_lines(evaluation: Evaluation) -> list[str]:
    answers = evaluation.answers
    return [
        json.dumps({"source": source, "output": output, "references": references}, ensure_ascii=False) + "\n"
        for source, output, references in zip(answers.sources, answers.outputs, answers.references, strict=True)
    ]


def _outputs_names(of: Sequence[tuple[str, str]]) -> list[str]:
    """The files of outputs of these (system, benchmark)s, no two alike."""
    names: list[str] = []
    for number, (system, benchmark) in enumerate(of):
        name = "outputs-" + re.sub(r"[^A-Za-z0-9.-]+", "_", f"{system}-{benchmark}")
        names.append(f"{name}-{number}.jsonl" if f"{name}.jsonl" in names else f"{name}.jsonl")
    return names


def _earlier_outputs(folder: Path) -> list[str]:
    """What an earlier `write_results` into this folder wrote, by its own account."""
    try:
        records = json.loads((folder / "results.json").read_bytes())["evaluations"]
        return _outputs_names([(record["system"], record["benchmark"]) for record in records])
    except (OSError, ValueError, KeyError, TypeError):
        return []  # nothing there, or not ours


def _csv_rows(evaluation: Evaluation, compared: Mapping[tuple[str, str, str], SystemComparison]) -> list[dict[str, object]]:
    return [
        {
            "system": evaluation.system,
            "benchmark": evaluation.benchmark,
            "origin": evaluation.origin,
            "score": score.name,
            "value": score.value,
            "low": score.low,
            "high": score.high,
            "items": score.items,
            "empty_outputs": evaluation.empty_outputs,
            "skipped": sum(evaluation.skipped.values()),
            "direction": score.direction,
            "seconds": round(evaluation.seconds, 3),
            **_csv_comparison(compared.get((evaluation.system, evaluation.origin, score.name))),
            "note": score.note,
        }
        for score in evaluation.scores
    ]


def _csv_comparison(one: SystemComparison | None) -> dict[str, object]:
    if one is None:
        return {}
    found = one.comparison
    return {
        "against": one.against,
        "difference": found.difference,
        "difference_low": found.low,
        "difference_high": found.high,
        "p_randomisation": found.p_randomisation,
        "p_bootstrap": found.p_bootstrap,
    }
