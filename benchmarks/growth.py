"""Time a context and peak memory of sampling pools and judging them, after 100 contexts and after 400: neither may grow with a run.

Blocks of eight contexts, as in a run; of each pool, as many random pairs are judged as it has sentences. Time is processor time
where the model runs on the CPU, so that other work on the machine does not count; memory is the highest resident set (CPU) or
allocation (CUDA) so far. There is no ceiling but 1: no growth.

Run: python benchmarks/growth.py [--model starter:teacher] [--judge starter:judge] [--contexts 400] [--samples 100] [--dtype auto] [--smoke]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from impdistill.decode.nucleus import MAX_ROWS, Nucleus
from impdistill.generate.parallel import sample_pools
from impdistill.models.judge import Judge
from impdistill.models.teacher import Teacher
from made_up import made_judge, made_teacher
from result import Row, print_result

BAR = 1.1
BLOCK = 8
CONTEXTS = (
    "The committee met on Monday to talk about the new bridge.",
    "I bought a used laptop last week, and now it will not start. The shop says that it was fine when they sold it.",
    "Patients were followed for two years after the operation.",
)


def peak_bytes(teacher: Teacher) -> int:
    if teacher.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def seconds(teacher: Teacher) -> float:
    return time.process_time() if teacher.device.type == "cpu" else time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:teacher")
    parser.add_argument("--judge", default="starter:judge")
    parser.add_argument("--contexts", type=int, default=400)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="a made-up model, 64 contexts x 4 samples: that memory and row counts stay in bounds, not speed",
    )
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.contexts, arguments.samples = 64, 4
    with tempfile.TemporaryDirectory() as work:
        model = made_teacher(Path(work)) if arguments.smoke else arguments.model
        teacher = Teacher.load(model, device=arguments.device, dtype=arguments.dtype)
        judge_name = made_judge(Path(work) / "judge") if arguments.smoke else arguments.judge
        judge = Judge.load(judge_name, device=arguments.device, dtype=arguments.dtype)
    chance = np.random.default_rng(0)
    nucleus = Nucleus(top_p=0.7, max_new_tokens=24 if arguments.smoke else 64)

    def block(first: int) -> float:
        contexts = [(number, "", CONTEXTS[number % len(CONTEXTS)]) for number in range(first, first + BLOCK)]
        start = seconds(teacher)
        pools = sample_pools(teacher, contexts, samples=arguments.samples, nucleus=nucleus, max_rows=MAX_ROWS, seed=0, stage="pools")
        assert [len(pool.sentences) for pool in pools] == [arguments.samples] * BLOCK
        for pool in pools:
            judge.entailment(pool.sentences, chance.integers(arguments.samples, size=(arguments.samples, 2)))
        return seconds(teacher) - start

    block(1_000_000)  # warms up
    marks: dict[int, tuple[float, int]] = {}
    quarter, spent = arguments.contexts // 4, 0.0
    for first in range(0, arguments.contexts, BLOCK):
        spent += block(first)
        done = first + BLOCK
        if (quarter not in marks and done >= quarter) or done >= arguments.contexts:
            marks[quarter if done < arguments.contexts else arguments.contexts] = (spent / done, peak_bytes(teacher))
    (early, early_peak), (late, late_peak) = marks[quarter], marks[arguments.contexts]
    if arguments.smoke:
        assert late_peak < BAR * early_peak, f"peak memory grew from {early_peak} to {late_peak} bytes"
    print(f"{arguments.samples} samples a context, blocks of {BLOCK}, {teacher.dtype} on {teacher.device}")
    for count, (each, peak) in marks.items():
        print(f"  {count:5} contexts {each * 1000:9.1f} ms a context {peak / 2**20:9.1f} MiB at most")
    print(f"  time   {late / early:6.3f}   bar {BAR}")
    print(f"  memory {late_peak / early_peak:6.3f}   bar {BAR}")
    compared = f"{arguments.contexts} contexts beside {quarter}"
    rows = [
        Row(
            name="Growth: time a context",
            conditions=compared,
            bar=BAR,
            bar_on="ratio",
            at_least=False,
            unit="ms",
            measured=1000 * late,
            ratio=late / early,
            beside="the first quarter",
        ),
        Row(
            name="Growth: peak memory",
            conditions=compared,
            bar=BAR,
            bar_on="ratio",
            at_least=False,
            unit="MiB",
            measured=late_peak / 2**20,
            ratio=late_peak / early_peak,
            beside="the first quarter",
        ),
    ]
    more = {
        "seconds_a_context": {str(count): round(each, 4) for count, (each, _) in marks.items()},
        "peak_bytes": {str(count): peak for count, (_, peak) in marks.items()},
        "ratios": {"time": round(late / early, 3), "memory": round(late_peak / early_peak, 3)},
    }
    print_result("growth", "decoding", rows, arguments, device=str(teacher.device), dtype=str(teacher.dtype), **more)


if __name__ == "__main__":
    main()
