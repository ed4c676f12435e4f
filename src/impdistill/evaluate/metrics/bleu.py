"""BLEU, Self-BLEU and iBLEU by sacrebleu.

BLEU(y, references) (Papineni et al. 2002) and Self-BLEU = BLEU(y, x), output against source, are corpus scores, 0-100. More
BLEU is better, less Self-BLEU is less copying. iBLEU = a BLEU(y, references) - (1 - a) BLEU(y, x) (Sun and Zhou 2012) ranges
from -100 (1 - a) to 100 a, higher is better; a = .8 in Jung et al. 2023, table 2, and .7 in the version of 2024. sacrebleu's
signature goes with every score.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from impdistill.errors import BenchmarkError, DependencyError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.statistic import Floats, Metric, Statistic

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

COLUMNS = 10
"""Contributions of an item: output length, length of the nearest reference, matched and total n-grams of orders 1-4."""


def bleu(alpha: float = 0.8, lowercase: bool = False) -> Metric:
    """The metric that returns BLEU, Self-BLEU and iBLEU.

    Args:
        alpha: the weight of BLEU in iBLEU, 0-1.
        lowercase: compare in lower case (sacrebleu's case:lc).

    Raises:
        BenchmarkError: alpha is not in 0-1.
        DependencyError: sacrebleu is not installed.
    """
    if not 0 <= alpha <= 1:
        raise BenchmarkError(f"iBLEU's alpha is {alpha}; it weighs BLEU against Self-BLEU and must lie in 0-1")
    scorer = bleu_scorer(lowercase)

    def measure(answers: Answers) -> tuple[Statistic, ...]:
        against_references = bleu_counts(scorer, answers.outputs, answers.references)
        against_source = bleu_counts(scorer, answers.outputs, [(source,) for source in answers.sources])
        several = sorted({len(references) for references in answers.references})
        note = signature(lowercase, "-".join(dict.fromkeys(str(count) for count in (several[0], several[-1]))))
        of_sums = functools.partial(_bleu, scorer)
        return (
            Statistic("BLEU", against_references, of_sums, note=note),
            Statistic("Self-BLEU", against_source, of_sums, "lower", note=signature(lowercase, "1") + ", output against source"),
            Statistic(
                f"iBLEU({alpha:g})",
                np.concatenate([against_references, against_source], axis=1),
                _difference(of_sums, alpha),
                digits=2,
                note=note,
            ),
        )

    return measure


def bleu_scorer(lowercase: bool = False) -> BLEU:
    """sacrebleu's scorer: 13a tokens, exponential smoothing.

    Raises:
        DependencyError: sacrebleu is not installed.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ModuleNotFoundError as absent:
        raise DependencyError('BLEU needs sacrebleu; run: pip install "impdistill[evaluate]"') from absent
    # effective_order concerns scores of single sentences only; the counts read here are the same
    return BLEU(lowercase=lowercase, effective_order=True)


def bleu_counts(scorer: BLEU, outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """What each item contributes to corpus BLEU, (n, COLUMNS)."""
    counts = np.zeros((len(outputs), COLUMNS))
    for row, (output, several) in enumerate(zip(outputs, references, strict=True)):
        score = scorer.sentence_score(output, list(several))
        counts[row] = (score.sys_len, score.ref_len, *score.counts, *score.totals)
    return counts


def signature(lowercase: bool, references: str) -> str:
    """sacrebleu's signature of the corpus scores."""
    import sacrebleu

    case = "lc" if lowercase else "mixed"
    return f"nrefs:{references}|case:{case}|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"


def _bleu(scorer: BLEU, sums: Floats) -> Floats:
    rows = sums.round().astype(int).tolist()
    scores = [scorer.compute_bleu(row[2:6], row[6:10], row[0], row[1], smooth_method="exp").score for row in rows]
    return np.array(scores, dtype=np.float64)


def _difference(of_sums: Callable[[Floats], Floats], alpha: float) -> Callable[[Floats], Floats]:
    return lambda sums: alpha * of_sums(sums[:, :COLUMNS]) - (1 - alpha) * of_sums(sums[:, COLUMNS:])
