"""Every benchmark runs in its smoke mode, which asserts equal results and no speed; and the page that shows what they measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.run_all import BENCHMARKS, machine, merged, page

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
NOT_RUN = {"run_all", "result", "made_up"}

pytestmark = pytest.mark.timeout(300)


def test_all_scripts_are_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} - NOT_RUN == set(BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_smoke_mode_needs_no_model_and_claims_no_speed(name: str, tmp_path: Path) -> None:
    # neither the starter nor a download: only what the benchmark makes up
    environment = {**os.environ, "IMPDISTILL_STARTER": str(tmp_path / "none"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    command = [sys.executable, "-W", "error::FutureWarning:transformers", str(FOLDER / f"{name}.py"), "--smoke"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env=environment, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout.splitlines()[-1])
    assert (record["benchmark"], record["smoke"]) == (name, True)
    assert record["part"] in ("decoding", "judging", "loop")
    assert record["rows"]
    for row in record["rows"]:
        assert row["bar_on"] in ("measured", "ratio", "share")
        assert row["met"] is row["measured"] is row["ratio"] is row["share"] is None
    assert list(tmp_path.iterdir()) == []


def record_of(benchmark: str, machine: str, part: str = "decoding", **row: Any) -> dict[str, Any]:
    empty = {"conditions": "", "unit": "", "measured": None, "ratio": None, "beside": "", "ceiling": None, "ceiling_of": "", "share": None}
    whole = {**empty, "name": benchmark.title(), "bar": 3.0, "bar_on": "ratio", "at_least": True, "met": None, **row}
    versions = {"torch": "2.13.0", "transformers": "5.24.0"}
    return {"benchmark": benchmark, "part": part, "machine": machine, "date": "2030-01-02", "versions": versions, "rows": [whole]}


MEASURED = {"measured": 5321.4, "unit": "tokens/s", "ratio": 3.456, "beside": "generate", "ceiling": 7000.0, "ceiling_of": "model alone"}


def test_the_page_has_a_line_a_row_with_everything_that_was_measured() -> None:
    records = [
        record_of("sampling", "A processor, 2 cores", share=0.76, met=True, conditions="100 x 8", **MEASURED),
        record_of(
            "overlap", "A processor, 2 cores", "judging", bar=5.0, bar_on="measured", unit="ms", at_least=False, measured=6.25, met=False
        ),
        record_of("neurologic", "A processor, 2 cores"),
    ]
    text = page(records)
    assert "| Sampling (100 x 8) | 5,321 tokens/s | 3.46 (generate) | 7,000 tokens/s (model alone) | 76% | ratio ≥ 3 | yes | A |" in text
    assert "| Overlap | 6.25 ms |  |  |  | ≤ 5 ms | **no** | A |" in text
    assert "| Neurologic | not measured |  |  |  | ratio ≥ 3 |  |  |" in text
    assert "- A: A processor, 2 cores; 2030-01-02; torch 2.13.0, transformers 5.24.0" in text
    assert text.index("**Decoding**") < text.index("| Neurologic") < text.index("**Judging**") < text.index("| Overlap")


def test_what_another_machine_measured_stands_for_not_measured() -> None:
    here, there = record_of("sampling", "no GPU"), record_of("sampling", "a GPU", met=True, **MEASURED)
    text = page([here, there])
    assert "not measured" not in text
    assert "- A: a GPU" in text
    assert page([here]).count("not measured") == page([here, record_of("sampling", "neither")]).count("not measured") == 1


def test_a_run_replaces_its_own_numbers_only() -> None:
    kept = [record_of("sampling", "one"), record_of("sampling", "two"), record_of("growth", "one")]
    new = record_of("sampling", "one", met=True)
    assert merged(kept, [new]) == [kept[1], kept[2], new]


def test_the_machine_is_named_without_its_host() -> None:
    name = machine()
    assert "core" in name
    assert os.uname().nodename not in name


def test_run_all_writes_the_page_but_keeps_no_numbers_of_a_smoke_run(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    command = [sys.executable, str(FOLDER / "run_all.py"), "--smoke", "--only", "overlap", "--out", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert result.returncode == 0, result.stderr
    assert "Nothing has been measured yet." in out.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [out]


def test_arguments_after_two_dashes_are_for_the_one_benchmark_named() -> None:
    command = [sys.executable, str(FOLDER / "run_all.py"), "--smoke", "--only"]
    unknown = subprocess.run([*command, "overlap", "--", "--unheard-of"], capture_output=True, text=True, check=False, timeout=200)
    assert unknown.returncode != 0 and "unrecognized arguments: --unheard-of" in unknown.stderr
    two = subprocess.run([*command, "overlap", "judge", "--", "--smoke"], capture_output=True, text=True, check=False, timeout=200)
    assert two.returncode == 2 and "name it with --only" in two.stderr
