"""BERT-iBLEU (Niu et al. 2021): the weighted harmonic mean of closeness in meaning and distance in wording, both to the source.

    ((b / BERTScore(y, x) + 1 / (1 - BLEU(y, x))) / (b + 1)) ** -1,  b = 4

Scale 0-100, higher is better, no reference needed; a copy scores 0. The mean of sentence scores, BLEU by sacrebleu per
sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from impdistill.errors import BenchmarkError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.metrics.bertscore import Encoder, bertscore_f1
from impdistill.evaluate.metrics.bleu import bleu_scorer
from impdistill.evaluate.statistic import Floats, Metric, Statistic, mean_of


def bert_ibleu(encoder: Encoder, beta: float = 4.0) -> Metric:
    """The metric that returns BERT-iBLEU.

    Args:
        beta: the weight of meaning against wording, above 0.

    Raises:
        BenchmarkError: beta is not above 0.
        DependencyError: sacrebleu is not installed.
    """
    if beta <= 0:
        raise BenchmarkError(f"BERT-iBLEU's beta is {beta}; it weighs BERTScore and must be above 0")
    scorer = bleu_scorer()

    def measure(answers: Answers) -> tuple[Statistic, ...]:
        meaning = bertscore_f1(encoder, answers.outputs, [(source,) for source in answers.sources]) / 100
        copying = [
            scorer.sentence_score(output, [source]).score / 100 for source, output in zip(answers.sources, answers.outputs, strict=True)
        ]
        note = f"beta {beta:g}, sentence BLEU by sacrebleu, {encoder.note_on([*answers.sources, *answers.outputs])}"
        return (mean_of("BERT-iBLEU", harmonic(meaning, copying, beta), note=note),)

    return measure


def harmonic(meaning: Floats | Sequence[float], copying: Floats | Sequence[float], beta: float) -> Floats:
    """BERT-iBLEU, (n,) 0-100, of BERTScores and sentence BLEUs against the source, (n,) 0-1 each."""
    close = np.clip(np.asarray(meaning, dtype=np.float64), 0, 1)
    apart = np.clip(1 - np.asarray(copying, dtype=np.float64), 0, 1)
    weighted = beta * apart + close
    return np.asarray(100 * (beta + 1) * np.divide(close * apart, weighted, out=np.zeros(len(close)), where=weighted > 0))
