"""Questions a second: the judge beside a bare forward over the same tokens and beside sentence-transformers' CrossEncoder.

The ceiling is the model alone on the same number of unpadded tokens: rows of the mean length, ids ready, nothing else done. All
contestants take turns, and ratios are of times taken in the same turn, so that other work on the machine weighs on all alike.

Run: python benchmarks/judge.py [--model starter:judge] [--pairs 5000] [--texts FILE] [--teacher starter:teacher]
       [--dtype auto] [--rounds 5] [--smoke]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from funnel import SAMPLES, sampled_pools
from impdistill.models.judge import Judge
from impdistill.models.loading import resolve
from made_up import made_judge
from result import Row, print_result

BARS = {"bare": 0.8, "CrossEncoder": 2.0}

TEXTS = 400
"""Different texts that the pairs are made of: each occurs in several pairs, as in a pool."""


def read_texts(path: Path | None, teacher: str, device: str, *, smoke: bool) -> list[str]:
    """Of FILE, or else as the teacher writes them; made up in a smoke run."""
    if path is not None:
        pools: list[dict[str, Any]] = json.loads(path.read_text())
        return list(dict.fromkeys(sentence for pool in pools for sentence in pool["sentences"]))
    if smoke:
        rng = np.random.default_rng(0)
        vocabulary = [f"w{number}" for number in range(300)]
        return [" ".join(rng.choice(vocabulary, rng.integers(10, 46))).capitalize() + "." for _ in range(TEXTS)]
    pools = sampled_pools(teacher, -(-TEXTS // SAMPLES) + 2, device)
    return list(dict.fromkeys(sentence for pool in pools for sentence in pool["sentences"] if sentence))


def bare_forward(judge: Judge, tokens: int, length: int) -> Callable[[], None]:
    """The model alone over `tokens` tokens in rows of `length`, in batches of the judge's size."""
    rows = max(1, judge.max_batch_tokens // length)
    ids = torch.randint(1_000, 20_000, (rows, length), device=judge.model.device) % judge.model.config.vocab_size

    @torch.inference_mode()
    def run() -> None:
        left = max(1, tokens // length)
        while left > 0:
            judge.model(input_ids=ids[: min(left, rows)])
            left -= rows
        synchronise(judge)

    return run


def synchronise(judge: Judge) -> None:
    if judge.model.device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter:judge")
    parser.add_argument("--teacher", default="starter:teacher", help="writes the sentences where there is no FILE")
    parser.add_argument("--texts", type=Path, help='JSON list of objects with "sentences"')
    parser.add_argument("--pairs", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--max-batch-tokens", type=int, default=16_384)
    parser.add_argument("--smoke", action="store_true", help="a made-up model, 200 pairs in fp32, one round, equality only")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.pairs, arguments.rounds, arguments.dtype = 200, 1, "float32"
    with tempfile.TemporaryDirectory() as work:
        if arguments.smoke:
            arguments.model = made_judge(Path(work))
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    judge = Judge.load(arguments.model, device=arguments.device, dtype=arguments.dtype, max_batch_tokens=arguments.max_batch_tokens)
    texts = read_texts(arguments.texts, arguments.teacher, arguments.device, smoke=arguments.smoke)[:TEXTS]
    rng = np.random.default_rng(1)
    pairs: NDArray[np.int64] = rng.integers(0, len(texts), (arguments.pairs, 2))
    written = [(texts[a], texts[b]) for a, b in pairs]
    lengths = [len(ids) for ids in judge.tokenizer([a for a, _ in written], [b for _, b in written])["input_ids"]]
    found: dict[str, NDArray[np.float32]] = {}

    def ours() -> None:
        found["judge"] = judge.entailment(texts, pairs)

    contestants: dict[str, Callable[[], None]] = {
        "bare forward": bare_forward(judge, sum(lengths), round(statistics.mean(lengths))),
        "judge": ours,
    }
    for dtype in dict.fromkeys((judge.model.dtype, torch.float32)):
        encoder = cross_encoder(arguments.model, judge, dtype)
        if encoder is None:
            break

        def theirs(encoder: Any = encoder, name: str = f"CrossEncoder {short(dtype)}") -> None:
            scores = encoder.predict(written, apply_softmax=True, show_progress_bar=False)
            found[name] = scores[:, judge._columns[0]]

        contestants[f"CrossEncoder {short(dtype)}"] = theirs

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(arguments.rounds + (not arguments.smoke)):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if turn or arguments.smoke:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)

    same_dtype = found.get(f"CrossEncoder {short(judge.model.dtype)}", found["judge"])
    difference = float(np.abs(found["judge"] - same_dtype).max())
    tolerance = 1e-4 if judge.model.dtype == torch.float32 else 0.05
    assert difference < tolerance, f"answers differ by {difference}"
    report(arguments, judge, lengths, seconds, difference)


def short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def cross_encoder(model: str, judge: Judge, dtype: torch.dtype) -> Any:
    """CrossEncoder as it comes (batches of 32): in the judge's number format, and in fp32, as most judges are stored."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sentence_transformers import CrossEncoder
    except ModuleNotFoundError:
        print("sentence-transformers is not installed: no comparison with CrossEncoder (pip install sentence-transformers)")
        return None
    return CrossEncoder(resolve(model), device=str(judge.model.device), model_kwargs={"dtype": dtype})


def report(arguments: argparse.Namespace, judge: Judge, lengths: list[int], seconds: dict[str, list[float]], difference: float) -> None:
    tokens = sum(lengths)
    print(
        f"{len(lengths)} pairs of {statistics.mean(lengths):.1f} tokens, {judge.model.dtype} on {judge.model.device}, "
        f"{torch.get_num_threads()} threads, batches of {judge.max_batch_tokens} tokens, {len(seconds['judge'])} rounds"
    )
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"  {name:22}{middle:9.3f} s {len(lengths) / middle:9.0f} pairs/s {tokens / middle:10.0f} tokens/s")
    speed = {
        name: statistics.median(other / own for other, own in zip(times, seconds["judge"], strict=True))
        for name, times in seconds.items()
        if name != "judge"
    }
    for name, ratio in speed.items():
        print(f"  judge : {name:22}{ratio:6.2f}   bar {BARS[name.split()[0]]}")
    print(f"answers differ by at most {difference:.1e}")
    medians = {name: round(statistics.median(times), 4) for name, times in seconds.items()}
    own = len(lengths) / medians["judge"]
    rows = [
        Row(
            name="Judge: share of the model's speed",
            conditions=f"{len(lengths):,} pairs of {statistics.mean(lengths):.0f} tokens",
            bar=BARS["bare"],
            bar_on="share",
            unit="pairs/s",
            measured=own,
            ceiling=len(lengths) / medians["bare forward"],
            ceiling_of="model alone",
            share=speed["bare forward"],
        ),
        *(
            Row(
                name=f"Judge beside {name}",
                conditions=f"{len(lengths):,} pairs of {statistics.mean(lengths):.0f} tokens",
                bar=BARS["CrossEncoder"],
                bar_on="ratio",
                unit="pairs/s",
                measured=own,
                ratio=ratio,
                beside="CrossEncoder.predict",
            )
            for name, ratio in speed.items()
            if name.startswith("CrossEncoder")
        ),
    ]
    ratios = {name: round(ratio, 3) for name, ratio in speed.items()}
    more = {"mean_tokens": statistics.mean(lengths), "seconds": medians, "ratios": ratios}
    print_result("judge", "judging", rows, arguments, device=str(judge.model.device), dtype=str(judge.model.dtype), **more)


if __name__ == "__main__":
    main()
