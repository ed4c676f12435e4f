"""What `evaluate` wrote, put into tables of which every row rests on the same items. Reads its records, measures nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impdistill.errors import BenchmarkError
from impdistill.evaluate.results import read_results

FILES = ("results.json", "control.json")


@dataclass(frozen=True, slots=True)
class Row:
    """A system: its scores by name, as `evaluate` records them."""

    system: str
    scores: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Systems on the same items of one benchmark.

    Attributes:
        skipped: reason -> records of the benchmark left out.
        columns: one record of every score that some row has, for its name, direction and note.
    """

    benchmark: str
    items: int
    skipped: Mapping[str, int]
    columns: tuple[Mapping[str, Any], ...]
    rows: tuple[Row, ...]


def measured_in(own: Path, given: Sequence[str | Path]) -> dict[str, list[dict[str, Any]]]:
    """`evaluations` and `control` of a run's own folder, which may be absent, and of folders that were asked for by name.

    Raises:
        BenchmarkError: a folder asked for holds no results, or a file is not what `evaluate` writes.
    """
    for folder in map(Path, given):
        if not any((folder / name).is_file() for name in FILES):
            raise BenchmarkError(f"{folder}: neither {' nor '.join(FILES)} is there; give a folder that `impdistill evaluate --out` wrote")
    different = {Path(folder).resolve(): folder for folder in (own, *given)}
    found = read_results(list(different.values()))
    try:
        for record in found["control"]:
            _check_control(record)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise BenchmarkError(f"control.json: not what `impdistill evaluate` writes ({error!r}); run it again into that folder") from error
    return found


def _check_control(record: Mapping[str, Any]) -> None:
    """Raises where a page would look for what is not there."""
    _need(record, ("system", "benchmark"))
    judged = record.get("faithful_accuracy") is not None
    shares = ("accuracy", "faithful_accuracy") if judged else ("accuracy",)
    for name in shares:
        _check_estimate(record[name])
    if not record["groups"]:
        raise IndexError("groups")
    for group in record["groups"]:
        _need(group, ("group",))
        for name in (*shares, "compression", "rouge_l"):
            _check_estimate(group[name])
        math.fsum(count / record["sources"] for count in group["got"].values())
    for gap in record["gaps"]:
        _need(gap, ("measure", "high", "low"))
        _check_estimate(gap["high_value"])
        _check_estimate(gap["low_value"])
        _check_estimate({**gap["difference"], "value": gap["difference"]["difference"]})


def _check_estimate(one: Mapping[str, Any]) -> None:
    math.fsum([one["value"], *(one[name] for name in ("low", "high") if one[name] is not None)])


def _need(record: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if not isinstance(record[name], str):
            raise TypeError(name)


def result_tables(evaluations: Sequence[Mapping[str, Any]]) -> tuple[ResultTable, ...]:
    """A table for each benchmark and choice of its items, in order of appearance; a row for each system, with all its scores.

    What was measured twice with the same outcome (the baselines, in two folders) is one row.

    Raises:
        BenchmarkError: a record lacks what `evaluate` writes.
    """
    try:
        tables: dict[Any, list[Mapping[str, Any]]] = {}
        for one in evaluations:
            tables.setdefault((one["origin"], one["items"], tuple(sorted(one["skipped"].items()))), []).append(one)
        return tuple(_table(several) for several in tables.values())
    except (KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"results.json: not what `impdistill evaluate` writes ({error!r}); run it again into that folder") from error


def _table(evaluations: Sequence[Mapping[str, Any]]) -> ResultTable:
    first = evaluations[0]
    columns: dict[str, Mapping[str, Any]] = {}
    rows: list[tuple[tuple[str, str | None], dict[str, Mapping[str, Any]]]] = []
    for one in evaluations:
        scores = {score["name"]: score for score in one["scores"]}
        columns |= {name: score for name, score in scores.items() if name not in columns}
        who = one["system"], one.get("version")
        known = next((found for other, found in rows if other == who and _agree(found, scores)), None)
        if known is None:
            rows.append((who, dict(scores)))
        else:
            known.update({name: score for name, score in scores.items() if name not in known})
    named = tuple(Row(who[0], scores) for who, scores in rows)
    return ResultTable(first["benchmark"], first["items"], first["skipped"], tuple(columns.values()), named)


def _agree(ours: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether two records of one system say the same where both say anything; intervals depend on the draws."""
    return all(ours[name]["value"] == score["value"] for name, score in theirs.items() if name in ours)
