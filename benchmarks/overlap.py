"""ROUGE-L and Density of all ordered pairs of a pool: the package's kernels beside rouge-score and a plain Density.

Run: python benchmarks/overlap.py [--pools FILE] [--size 100] [--smoke]
FILE is a JSON list of objects with "sentences"; without it, pools of made-up sentences.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from impdistill.filters import overlap
from impdistill.text.words import words
from result import Row, print_result

ROUGE = RougeScorer(["rougeL"], use_stemmer=False)
BARS_MS = {"rouge_l": 1.0, "rouge_l and density": 5.0}
"""For a pool of 100."""


def plain_density(x: Sequence[str], y: Sequence[str]) -> float:
    total = start = 0
    while start < len(y):
        longest = 0
        for other in range(len(x)):
            length = 0
            while start + length < len(y) and other + length < len(x) and y[start + length] == x[other + length]:
                length += 1
            longest = max(longest, length)
        total += longest**2
        start += max(longest, 1)
    return total / len(y) ** 2 if y else 0.0


def made_up_pool(size: int, seed: int) -> list[str]:
    """Sentences of 8 to 40 words that share phrases, as continuations of one context do."""
    rng = np.random.default_rng(seed)
    phrases = [" ".join(f"w{rng.zipf(1.3) % 800}" for _ in range(rng.integers(2, 7))) for _ in range(60)]
    return [" ".join(rng.choice(phrases, rng.integers(3, 8))) for _ in range(size)]


def median_ms(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=Path)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=51)
    parser.add_argument("--smoke", action="store_true", help="equality only, in seconds")
    arguments = parser.parse_args()
    size = 12 if arguments.smoke else arguments.size
    if arguments.pools is None:
        pools = [made_up_pool(size, seed) for seed in range(3)]
    else:
        every: list[dict[str, Any]] = json.loads(arguments.pools.read_text())
        pools = [pool["sentences"][:size] for pool in every if len(pool["sentences"]) >= size][:3]

    rows: list[dict[str, float]] = []
    for sentences in pools:
        tokens = [words(sentence) for sentence in sentences]
        ids = overlap.WordIds(tokens)
        rouge = overlap.rouge_l(overlap.common_subsequences(ids), ids.lengths)
        density = overlap.density(ids)
        # equal, pair by pair, to the plain ones; those are timed on the way
        start = time.perf_counter()
        plain_rouge = [[ROUGE.score(x, y)["rougeL"].fmeasure for y in sentences] for x in sentences]
        between = time.perf_counter()
        plain = [[plain_density(x, y) for y in tokens] for x in tokens]
        end = time.perf_counter()
        np.testing.assert_allclose(rouge, plain_rouge, rtol=0, atol=1e-9)
        np.testing.assert_allclose(density, plain, rtol=0, atol=1e-9)

        def rouge_l(ids: overlap.WordIds = ids) -> None:
            overlap.rouge_l(overlap.common_subsequences(ids), ids.lengths)

        def both(ids: overlap.WordIds = ids) -> None:
            overlap.rouge_l(overlap.common_subsequences(ids), ids.lengths)
            overlap.density(ids)

        repeats = 3 if arguments.smoke else arguments.repeats
        rows.append(
            {
                "sentences": len(sentences),
                "words": float(np.mean(ids.lengths)),
                "word ids": median_ms(lambda tokens=tokens: overlap.WordIds(tokens), repeats),  # type: ignore[misc]
                "rouge_l": median_ms(rouge_l, repeats),
                "rouge_l and density": median_ms(both, repeats),
                "rouge-score": 1e3 * (between - start),
                "plain density": 1e3 * (end - between),
            }
        )
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(f"all ordered pairs of a pool of {middle['sentences']:.0f} sentences of {middle['words']:.1f} words, milliseconds, one thread")
    print(f"  {'words to ids':22}{middle['word ids']:10.2f}")
    for name, plainly in (("rouge_l", middle["rouge-score"]), ("rouge_l and density", middle["rouge-score"] + middle["plain density"])):
        bar = BARS_MS[name] * (middle["sentences"] / 100) ** 2
        print(f"  {name:22}{middle[name]:10.2f}   bar {bar:5.2f}   plain {plainly:9.0f}   {plainly / middle[name]:7.0f}x")
    print("equal to rouge-score and to a plain Density at 1e-9")
    plain_times = {"rouge_l": middle["rouge-score"], "rouge_l and density": middle["rouge-score"] + middle["plain density"]}
    results = [
        Row(
            name=f"Overlap of a pool: {name.replace('rouge_l', 'ROUGE-L').replace('density', 'Density')}",
            conditions=f"all pairs of {middle['sentences']:.0f} sentences",
            bar=BARS_MS[name] * (1 if arguments.smoke else (middle["sentences"] / 100) ** 2),
            bar_on="measured",
            at_least=False,
            unit="ms",
            measured=middle[name],
            ratio=plain_times[name] / middle[name],
            beside="rouge-score" if name == "rouge_l" else "rouge-score and a plain Density",
        )
        for name in BARS_MS
    ]
    times = {key: round(value, 4) for key, value in middle.items()}
    print_result("overlap", "judging", results, arguments, device="cpu", dtype="float64", **times)


if __name__ == "__main__":
    main()
