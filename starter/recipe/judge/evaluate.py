"""Measure a judge: three-way accuracy, precision and recall of entailment, hard cases by kind, labelled pool pairs.

    python -m recipe.judge.evaluate --judge MODEL --nli nli.jsonl.xz --hard hard/held-out.jsonl --pool pool_labels.jsonl

Prints tables, and one JSON line last.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from recipe.judge.make_hardcases import TRUE_KINDS
from recipe.judge.pairs import LABELS, NOT_ENTAILMENT, LabelledPair, fold, load_nli, read_pairs, unseen
from recipe.judge.score import logits, probabilities

_ENTAILMENT = LABELS.index("entailment")

#: Held-out premises are halved: fold 0 fits the temperature, fold 1 is reported.
CALIBRATION_FOLDS = 2


def reported_half(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """The pairs whose premise took no part in calibration."""
    return [pair for pair in pairs if fold(pair.premise, CALIBRATION_FOLDS) == 1]


def calibration_half(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """The pairs that fit the temperature."""
    return [pair for pair in pairs if fold(pair.premise, CALIBRATION_FOLDS) == 0]


def three_way_accuracy(p: np.ndarray, pairs: Sequence[LabelledPair]) -> float:
    """Share of three-way pairs whose most probable class is the label. ``p``: (n, 3)."""
    three = [index for index, pair in enumerate(pairs) if pair.label != NOT_ENTAILMENT]
    truth = np.array([LABELS.index(pairs[index].label) for index in three])
    return float((p[three].argmax(-1) == truth).mean())


def precision_recall(entailment: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[float, float]:
    """Precision and recall of ``entailment >= threshold``; precision is nan where nothing passes. Both (n,)."""
    passed = entailment >= threshold
    precision = float(truth[passed].mean()) if passed.any() else float("nan")
    return precision, float(passed[truth].mean())


def threshold_for(entailment: np.ndarray, truth: np.ndarray, precision: float) -> float | None:
    """The lowest threshold from which on precision is at least ``precision``, or None."""
    order = np.argsort(-entailment)
    right = np.cumsum(truth[order]) / np.arange(1, len(order) + 1)
    fitting = np.flatnonzero(right >= precision)
    # Below fifty pairs a precision is noise.
    return float(entailment[order[fitting[-1]]]) if len(fitting) and fitting[-1] >= 50 else None


def by_kind(entailment: np.ndarray, pairs: Sequence[LabelledPair], threshold: float) -> dict[str, tuple[int, float]]:
    """Kind -> (number, share judged rightly at the threshold): true kinds kept, false kinds rejected."""
    passed: dict[str, list[bool]] = defaultdict(list)
    for p, pair in zip(entailment, pairs, strict=True):
        passed[pair.source].append(bool(p >= threshold) == (pair.source in TRUE_KINDS))
    return {kind: (len(rights), float(np.mean(rights))) for kind, rights in sorted(passed.items())}


def main() -> None:
    """Print the tables of one judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--nli", type=Path)
    parser.add_argument("--hard", type=Path, nargs="+", help="held-out.jsonl, generated-held-out.jsonl")
    parser.add_argument("--pool", type=Path)
    parser.add_argument("--whole-mnli", action="store_true", help="the judge has not been through the final stage")
    parser.add_argument("--every", type=int, default=1, help="score one held-out pair in so many")
    parser.add_argument("--threshold", type=float, nargs="*", default=[0.5, 0.75, 0.85, 0.9])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result: dict[str, object] = {"judge": str(options.judge)}

    if options.nli:
        held_out = {
            name: reported_half(pairs)[:: options.every] for name, pairs in unseen(load_nli(options.nli), options.whole_mnli).items()
        }
        pooled_p, pooled_truth = [], []
        for name, pairs in held_out.items():
            p = probabilities(logits(options.judge, pairs))
            truth = np.array([pair.label == "entailment" for pair in pairs])
            pooled_p.append(p[:, _ENTAILMENT])
            pooled_truth.append(truth)
            result[name] = {"pairs": len(pairs), "three_way": round(three_way_accuracy(p, pairs), 4)}
            print(f"{name:16} {len(pairs):6}  three-way {three_way_accuracy(p, pairs):.3f}")
        entailment, truth = np.concatenate(pooled_p), np.concatenate(pooled_truth)
        for threshold in options.threshold:
            precision, recall = precision_recall(entailment, truth, threshold)
            result[f"pooled@{threshold}"] = [round(precision, 4), round(recall, 4)]
            print(f"pooled >= {threshold:.2f}: precision {precision:.3f} recall {recall:.3f}")
        for precision in (0.9, 0.92, 0.95):
            threshold = threshold_for(entailment, truth, precision)
            recall = None if threshold is None else precision_recall(entailment, truth, threshold)[1]
            result[f"threshold for {precision}"] = [threshold, recall]
            print(f"precision {precision:.2f} from {threshold} on, recall {recall}")

    if options.hard:
        pairs = [pair for file in options.hard for pair in read_pairs(file)]
        entailment = probabilities(logits(options.judge, pairs))[:, _ENTAILMENT]
        tables = [by_kind(entailment, pairs, threshold) for threshold in options.threshold]
        for kind in tables[0]:
            cells = "  ".join(f"{table[kind][1]:.3f}" for table in tables)
            print(f"{kind:18} {'true ' if kind in TRUE_KINDS else 'false'} {tables[0][kind][0]:5}  {cells}")
        for truth in (True, False):
            shares = [
                sum(n * right for kind, (n, right) in table.items() if (kind in TRUE_KINDS) == truth)
                / sum(n for kind, (n, _) in table.items() if (kind in TRUE_KINDS) == truth)
                for table in tables
            ]
            result["true kept" if truth else "false rejected"] = [round(share, 4) for share in shares]
            print("true kept " if truth else "false rejected ", "  ".join(f"{share:.3f}" for share in shares))
        result["hard"] = {kind: [round(table[kind][1], 4) for table in tables] for kind in tables[0]}

    if options.pool:
        pairs = read_pairs(options.pool)
        entailment = probabilities(logits(options.judge, pairs))[:, _ENTAILMENT]
        truth = np.array([pair.label == "entailment" for pair in pairs])
        for threshold in options.threshold:
            agreement = float(((entailment >= threshold) == truth).mean())
            precision, recall = precision_recall(entailment, truth, threshold)
            result[f"pool@{threshold}"] = [round(agreement, 4), round(precision, 4), round(recall, 4)]
            print(f"pool pairs >= {threshold:.2f}: agreement {agreement:.3f} precision {precision:.3f} recall {recall:.3f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
