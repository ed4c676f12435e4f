"""Fit one temperature on held-out data, fold it into the classifier, draw the reliability plot, report thresholds.

    python -m recipe.judge.calibrate --judge MODEL --nli nli.jsonl.xz --hard hard/held-out.jsonl --out CALIBRATED --plot reliability.svg

After this plain softmax is calibrated: logits = classifier(h) are divided by T by dividing the classifier's weight and bias.
The temperature is fitted on the held-out NLI premises of fold 0; the plot and the thresholds are of fold 1.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from recipe.judge.errors import RecipeError
from recipe.judge.evaluate import calibration_half, precision_recall, reported_half, threshold_for
from recipe.judge.pairs import LABELS, load_nli, read_pairs, unseen
from recipe.judge.score import logits, probabilities

_ENTAILMENT = LABELS.index("entailment")
_BINS = 10

#: Below this many pairs above the threshold a share is noise.
_LEAST_PAIRS = 100


def fit_temperature(scores: np.ndarray, truth: np.ndarray, threshold: float = 0.9, precision: float = 0.92) -> float:
    """The lowest temperature, .5 to 3, at which of the pairs of P(entailment) >= ``threshold`` a share of ``precision`` is entailed.

    One number cannot calibrate every region; it is spent where the filters decide, and no higher than it must be, since every pair
    that falls below the threshold is lost. ``scores``: (n, 3) logits; ``truth``: (n,) bool.

    Raises:
        RecipeError: at no temperature are enough pairs above the threshold, or enough of them entailed.
    """
    for temperature in np.geomspace(0.5, 3, 181):
        above = probabilities(scores, temperature)[:, _ENTAILMENT] >= threshold
        if above.sum() >= _LEAST_PAIRS and truth[above].mean() >= precision:
            return float(temperature)
    raise RecipeError(
        f"at no temperature do {_LEAST_PAIRS} of {len(truth)} held-out pairs reach P = {threshold} with {precision:.0%} of them entailed: "
        "train longer"
    )


def reliability(entailment: np.ndarray, truth: np.ndarray) -> list[dict[str, float]]:
    """Per tenth of P(entailment): mean probability, share of true pairs, number of pairs. Both (n,)."""
    rows = []
    for low in np.arange(_BINS) / _BINS:
        inside = (entailment >= low) & (entailment < low + 1 / _BINS + (low == 1 - 1 / _BINS))
        if inside.any():
            rows.append(
                {"predicted": float(entailment[inside].mean()), "observed": float(truth[inside].mean()), "pairs": float(inside.sum())}
            )
    return rows


def expected_calibration_error(rows: Sequence[dict[str, float]]) -> float:
    """Mean distance of prediction from observation, weighted by pairs."""
    return sum(row["pairs"] * abs(row["predicted"] - row["observed"]) for row in rows) / sum(row["pairs"] for row in rows)


def fold_temperature(judge: Path, out: Path, temperature: float) -> None:
    """Copy a judge with its classifier divided by the temperature."""
    out.mkdir(parents=True, exist_ok=True)
    for file in judge.iterdir():
        if file.name != "model.safetensors":
            shutil.copyfile(file, out / file.name)
    tensors = load_file(judge / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = (tensors[name].float() / temperature).to(tensors[name].dtype)
    save_file(tensors, out / "model.safetensors", {"format": "pt"})


def plot(sets: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Reliability curves, one a set, beside the diagonal."""
    frame = pd.DataFrame([row | {"set": name} for name, rows in sets.items() for row in rows])
    diagonal = alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]})).mark_line(strokeDash=[4, 4], color="gray").encode(x="x", y="y")
    scale = alt.Scale(domain=[0, 1])
    lines = (
        alt.Chart(frame)
        .mark_line(point=True)
        .encode(
            x=alt.X("predicted", scale=scale, title="P(entailment)"),
            y=alt.Y("observed", scale=scale, title="share entailed"),
            color=alt.Color("set", title="held-out pairs"),
        )
    )
    (diagonal + lines).properties(width=360, height=360).save(str(path))


def main() -> None:
    """Calibrate one judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--nli", type=Path, required=True)
    parser.add_argument("--hard", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="score one held-out pair in so many")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    held_out = unseen(load_nli(options.nli), whole_mnli=False)
    fitted = [pair for pairs in held_out.values() for pair in calibration_half(pairs)[:: options.every]]
    temperature = fit_temperature(logits(options.judge, fitted), np.array([pair.label == "entailment" for pair in fitted]))
    held_out |= {"hard cases": read_pairs(options.hard)}
    fold_temperature(options.judge, options.out, temperature)

    curves: dict[str, list[dict[str, float]]] = {}
    nli_p, nli_truth = [], []
    for name, pairs in held_out.items():
        reported = reported_half(pairs)[:: options.every]
        p = probabilities(logits(options.out, reported))[:, _ENTAILMENT]
        truth = np.array([pair.label == "entailment" for pair in reported])
        if name == "hard cases":
            curves[name] = reliability(p, truth)
        else:
            nli_p.append(p)
            nli_truth.append(truth)
    p, truth = np.concatenate(nli_p), np.concatenate(nli_truth)
    curves["NLI sets"] = reliability(p, truth)
    plot(curves, options.plot)
    thresholds = {str(level): threshold_for(p, truth, level) for level in (0.9, 0.95)}
    print(
        json.dumps(
            {
                "temperature": round(temperature, 4),
                "calibration_error": {name: round(expected_calibration_error(rows), 4) for name, rows in curves.items()},
                "threshold": thresholds,
                "at .9": [round(value, 4) for value in precision_recall(p, truth, 0.9)],
                "reliability": curves,
            }
        )
    )


if __name__ == "__main__":
    main()
