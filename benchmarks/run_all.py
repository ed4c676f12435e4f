"""Run every benchmark, each in a process of its own, and write what came out to one page.

The page has one table of all rows: bar, measured median, ratio, ceiling and share of it, and by which machine. What a machine cannot
measure (no GPU) is "not measured" until a machine that can has been there: the numbers are kept beside the page as JSON lines, and a run
replaces only those of its own machine and benchmarks.

Run: python benchmarks/run_all.py [--only NAME ...] [--out docs/performance.md] [--smoke] [-- ARGUMENT ...]
`--smoke` runs each in seconds on made-up models, for equal results only, and writes no page unless `--out` is given. ARGUMENTs go to the
one benchmark that --only names, in place of those it is called with here: more than a default run has time for.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import torch

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "performance.md"

BENCHMARKS: dict[str, list[str]] = {
    "sampling": [],
    "neurologic": [],
    "keyword_coverage": ["--look-ahead", "4"],
    "student": ["--sentences", "100"],  # of 1,000, four turns of three contestants are an hour
    "growth": [],
    "overlap": [],
    "judge": ["--rounds", "3"],  # four contestants, one of them in fp32: minutes a round
    "funnel": ["--count", "24", "--dtype", "auto"],  # all pairs of a pool are judged, by the plain side; more pools hardly move the share
    "plain_loop": [],
}
"""Name -> what it is called with when not in smoke mode."""

PARTS = {"decoding": "Decoding", "judging": "Judging", "loop": "The loop"}
VERSIONS = ("torch", "transformers")

Record = dict[str, Any]


def machine() -> str:
    """Processor as lscpu tells it, number of cores this process may use, and the GPU if there is one; no host name."""
    found = ""
    try:
        lines = subprocess.run(["lscpu"], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout.splitlines()
        found = next((line.partition(":")[2].strip() for line in lines if line.startswith("Model name:")), "")
    except (OSError, subprocess.CalledProcessError):
        pass  # not Linux
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ""
    return f"{found or platform.processor() or platform.machine()}, {cores} core{'s' * (cores != 1)}{gpu}"


def run(name: str, called_with: list[str]) -> Record | None:
    """One benchmark, its output shown as it comes; its last line, or None if it failed."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), *called_with]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line.strip() or last
            if not line.startswith("{"):
                print(f"  {line}", end="", flush=True)
    if process.returncode:
        print(f"  {name} failed with exit code {process.returncode}", flush=True)
        return None
    try:
        record: Record = json.loads(last)
    except ValueError:
        print(f"  {name} did not end with a line of JSON: {last[:200]}", flush=True)
        return None
    return record


def merged(kept: list[Record], found: list[Record]) -> list[Record]:
    """What was kept, less what the new records replace."""
    new = {(record["benchmark"], record["machine"]) for record in found}
    return [record for record in kept if (record["benchmark"], record["machine"]) not in new] + found


def page(records: list[Record]) -> str:
    """The page, in Markdown. Of a row that one machine measured and another could not, the measured one alone is shown."""
    order = list(BENCHMARKS)
    records = sorted(records, key=lambda record: order.index(record["benchmark"]) if record["benchmark"] in order else len(order))
    measured = {row["name"] for record in records for row in record["rows"] if row["met"] is not None}
    runs = list(dict.fromkeys(_run_of(record) for record in records if any(row["met"] is not None for row in record["rows"])))
    lines = [
        "# Performance",
        "",
        "Written by `python benchmarks/run_all.py`, which runs every script of `benchmarks/`. The contestants of a row run in one process",
        "and, where the row does not say otherwise, take turns; numbers are medians of those turns: ratios hold on other machines, times",
        "do not. *Ratio*: how the row stands beside what is named. *Share*: of the ceiling. Each script's first lines say what exactly is",
        "compared.",
        "",
        "| | measured | ratio | ceiling | share | bar | met | by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part, title in PARTS.items():
        rows = [
            _line(row, ascii_uppercase[runs.index(_run_of(record))] if row["met"] is not None else "")
            for record in records
            if record["part"] == part
            for row in _shown(record["rows"], measured)
        ]
        lines += [f"| **{title}** | | | | | | | |", *dict.fromkeys(rows)] if rows else []
    lines += [""] + [f"- {letter}: {of_run}" for letter, of_run in zip(ascii_uppercase, runs, strict=False)]
    if not measured:
        lines += ["Nothing has been measured yet."]
    return "\n".join(lines) + "\n"


def _shown(rows: list[Record], measured: set[str]) -> list[Record]:
    return [row for row in rows if row["met"] is not None or row["name"] not in measured]


def _run_of(record: Record) -> str:
    versions = ", ".join(f"{name} {record['versions'][name]}" for name in VERSIONS)
    return f"{record['machine']}; {record['date']}; {versions}"


def _line(row: Record, letter: str) -> str:
    sign = "≥" if row["at_least"] else "≤"
    bar = f"{sign} {_number(row['bar'])} {row['unit']}" if row["bar_on"] == "measured" else f"{row['bar_on']} {sign} {_number(row['bar'])}"
    name = row["name"] + (f" ({row['conditions']})" if row["conditions"] else "")
    if row["met"] is None:
        cells = [name, "not measured", "", "", "", bar, "", ""]
    else:
        cells = [
            name,
            "" if row["measured"] is None else f"{_number(row['measured'])} {row['unit']}",
            "" if row["ratio"] is None else f"{row['ratio']:.2f} ({row['beside']})",
            "" if row["ceiling"] is None else f"{_number(row['ceiling'])} {row['unit']} ({row['ceiling_of']})",
            "" if row["share"] is None else f"{row['share']:.0%}",
            bar,
            "yes" if row["met"] else "**no**",
            letter,
        ]
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--out", type=Path, help=f"the page; default {PAGE.relative_to(FOLDER.parent)}")
    parser.add_argument("--smoke", action="store_true")
    border = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments, own = parser.parse_args(sys.argv[1:border]), sys.argv[border + 1 :]
    if own and len(arguments.only or ()) != 1:
        parser.error("arguments after -- are for one benchmark; name it with --only")
    here = {
        "machine": machine(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {name: version(name) for name in VERSIONS},
    }
    found, failed = [], []
    for name in arguments.only or BENCHMARKS:
        print(f"{name}", flush=True)
        start = time.perf_counter()
        record = run(name, own or (["--smoke"] if arguments.smoke else BENCHMARKS[name]))
        print(f"  {time.perf_counter() - start:.0f} s", flush=True)
        if record is None:
            failed.append(name)
        else:
            found.append(record | here)
    out = arguments.out or (None if arguments.smoke else PAGE)
    if out is not None:
        numbers = out.with_suffix(".jsonl")
        kept = [json.loads(line) for line in numbers.read_text(encoding="utf-8").splitlines()] if numbers.exists() else []
        records = merged(kept, found)
        if not arguments.smoke:
            numbers.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
        out.write_text(page(records), encoding="utf-8")
        print(f"wrote {out}")
    missed = [row["name"] for record in found for row in record["rows"] if row["met"] is False]
    if missed:
        print(f"below their bar: {'; '.join(missed)}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
