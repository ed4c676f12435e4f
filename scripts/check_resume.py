"""A run that is killed again and again ends in the same bytes, and its schedule does not matter: shown on the real models.

1. The recipe is run once, undisturbed. 2. It is run into another directory and killed (SIGKILL, workers and all) after a random time,
again and again, until it has been killed as often as asked for and has ended. 3. It is run with shards of 1, 7 and 64 blocks and with two
workers. Each time all files of datasets and students must have the checksums of the first run.

Run: python scripts/check_resume.py [--kills 20] [--recipe starter] [--set FIELD=VALUE ...] [--smoke]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SMALL = (
    "contexts.count=24",
    "parallel.samples=40",
    "sequential.outputs=4",
    "sequential.neurologic.beam_size=6",
    "self_distillation.contexts=12",
    "student.training.epochs=2",
    "numerics.contexts_per_block=2",
    "tasks.summary.filters.entailment.threshold=0.5",
    "tasks.summary.filters.fluency.threshold=0.1",
)
"""The starter recipe on so little that a run is a minute, in four blocks a stage and domain; thresholds that leave some pairs."""

SMOKE = (
    "contexts.count=6",
    "parallel.samples=12",
    "sequential.outputs=0",
    "self_distillation.contexts=6",
    "student.training.max_steps=2",
    "numerics.contexts_per_block=1",
    "tasks.summary.filters.entailment.threshold=0.05",
    "tasks.paraphrase.filters.entailment.threshold=0.05",
    "tasks.summary.filters.fluency=null",
    "tasks.paraphrase.filters.fluency=null",
)

VARIANTS = {
    "shards of 1 block": ("execution.blocks_per_shard=1",),
    "shards of 7 blocks": ("execution.blocks_per_shard=7",),
    "shards of 64 blocks": ("execution.blocks_per_shard=64",),
    "2 workers": ("execution.workers=2",),
}


def command(recipe: str, out: Path, overrides: Sequence[str]) -> list[str]:
    """The command line of one run."""
    return [
        str(Path(sys.executable).with_name("impdistill")),
        "run",
        recipe,
        "--out",
        str(out),
        "--quiet",
        *(f"--set={each}" for each in overrides),
    ]


def checksums(run: Path) -> dict[str, str]:
    """Of every file of the datasets and students: path in the run -> SHA-256."""
    files = [file for stage in ("dataset", "student") for file in run.glob(f"stages/{stage}.*/*/content/**/*") if file.is_file()]
    return {str(file.relative_to(run)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def finish(arguments: Sequence[str]) -> float:
    """Run to the end; seconds."""
    began = time.monotonic()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def killed_after(arguments: Sequence[str], seconds: float) -> bool:
    """Run, and kill the process and all its children after so long; False: it had ended before."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    if process.returncode:
        raise SystemExit(f"the run failed with exit code {process.returncode}")
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--recipe", default="starter")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="FIELD=VALUE", help="beside the small sizes used here"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--smoke", action="store_true", help="the least that shows it works: three kills, one variant")
    options = parser.parse_args()
    kills = 3 if options.smoke else options.kills
    overrides = [*(SMOKE if options.smoke else SMALL), *options.overrides]
    moments = random.Random(options.seed)

    with tempfile.TemporaryDirectory() as scratch:
        # 1. undisturbed
        whole = Path(scratch) / "whole"
        seconds = finish(command(options.recipe, whole, overrides))
        expected = checksums(whole)
        print(f"undisturbed: {seconds:.0f} s, {len(expected)} files of datasets and students", flush=True)

        # 2. killed; a run that ends too soon begins anew, so that as many kills fall into runs that end
        done = starts = 0
        while done < kills:
            starts += 1
            out = Path(scratch) / f"killed-{starts}"
            while killed_after(command(options.recipe, out, overrides), moments.uniform(2, 4 + 0.4 * seconds)):
                done += 1
                print(f"killed {done} times", flush=True)
            assert checksums(out) == expected, f"{out.name}: other files after kills"

        # 3. other schedules
        variants = dict(list(VARIANTS.items())[-1:]) if options.smoke else VARIANTS
        for name, schedule in variants.items():
            out = Path(scratch) / name.replace(" ", "-")
            finish(command(options.recipe, out, [*overrides, *schedule]))
            assert checksums(out) == expected, f"{name}: other files"
            print(f"{name}: the same files", flush=True)
    print(f"{done} kills, {len(variants)} other schedules: all {len(expected)} files the same")


if __name__ == "__main__":
    main()
