"""How often the source entails the output, and the other way round, by the judge (Jung et al. 2023, equations 4 and 7).

Per cent of items with P >= threshold, 0-100. Source => output is faithfulness, higher is better; output => source is how much
is kept: 100 for a paraphrase, less for a summary by its nature. An empty output counts as not entailed and entailing nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from impdistill.errors import BenchmarkError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.statistic import Floats, Metric, Statistic, mean_of

FAITHFUL = "Source entails output"


class EntailmentJudge(Protocol):
    """What is needed of a judge; `impdistill.models.judge.Judge` is one."""

    @property
    def fingerprint(self) -> str:
        """Names the weights."""
        ...

    @property
    def pairs_truncated(self) -> int:
        """How many pairs were too long and lost their ends, so far."""
        ...

    def entailment(self, texts: Sequence[str], pairs: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """P(premise => hypothesis), (q,), of (q, 2) index pairs (premise, hypothesis) into texts."""
        ...


def entailment(judge: EntailmentJudge, threshold: float = 0.5) -> Metric:
    """The metric that returns both entailment rates.

    Raises:
        BenchmarkError: the threshold is not in 0-1.
    """
    if not 0 < threshold < 1:
        raise BenchmarkError(f"entailment threshold is {threshold}; it is a probability between 0 and 1")

    def measure(answers: Answers) -> tuple[Statistic, ...]:
        cut_before = judge.pairs_truncated
        probabilities = entailment_both_ways(judge, answers.sources, answers.outputs)
        rates = 100.0 * (probabilities >= threshold)
        cut = judge.pairs_truncated - cut_before
        note = f"% with P >= {threshold:g}, judge {judge.fingerprint[:12]}"
        if cut:
            note += f"; {cut} of {2 * (len(answers) - answers.empty_outputs)} pairs, both ways, cut at the judge's limit"
        return (
            mean_of(FAITHFUL, rates[:, 0], note=note),
            mean_of("Output entails source", rates[:, 1], direction="neither", note=note),
        )

    return measure


def entailed_outputs(statistics: Sequence[Statistic]) -> NDArray[np.bool_] | None:
    """Which outputs their source entails, (n,), of what `entailment` measured; None where it is not among the statistics."""
    for statistic in statistics:
        if statistic.name == FAITHFUL and isinstance(statistic.items, np.ndarray):
            return np.asarray(statistic.items[:, 0] > 0)
    return None


def entailment_both_ways(judge: EntailmentJudge, sources: Sequence[str], outputs: Sequence[str]) -> Floats:
    """P(x => y) and P(y => x) of n pairs, (n, 2); 0 and 0 for an empty output."""
    written = [index for index, output in enumerate(outputs) if output.strip()]
    probabilities = np.zeros((len(sources), 2))
    if written:
        texts = [sources[index] for index in written] + [outputs[index] for index in written]
        forward = np.arange(2 * len(written)).reshape(2, -1).T
        judged = judge.entailment(texts, np.concatenate([forward, forward[:, ::-1]]))
        probabilities[written] = np.asarray(judged, dtype=np.float64).reshape(2, -1).T
    return probabilities
