"""The funnel: every candidate of a block of contexts through every task's chain of filters, asking the judge as little
as can be.

A filter is a coroutine: it yields the questions it needs answered and goes on when they are. All chains of all contexts
of a block advance in waves, and the questions of a wave go to the judge in one call. What is kept does not depend on
any of this: it is what one gets by judging all pairs of sentences first and filtering then (Jung et al. 2023, section
2.1.2). Knows nothing of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from impdistill.filters.candidates import PROCESSES, Candidates
from impdistill.filters.scores import Judged, Pairs, Scores

Decision: TypeAlias = Generator[Pairs, None, NDArray[np.bool_]]
"""Yields questions (q, 2), is resumed when `scores.entailment` holds their answers, and returns which of m pairs to
keep, (m,)."""


class Filter(Protocol):
    """One link of a task's chain."""

    @property
    def name(self) -> str:
        """What its drops are counted under."""

    def settings(self) -> Mapping[str, Any]:
        """What its decisions depend on besides the scores, as JSON can hold it."""

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        """Which of the m pairs (x, y) that the filters before it kept to keep. May yield questions to the judge, or
        never yield.

        A decision must be a function of `scores`, `pairs` and `settings`; that makes it the same whatever was asked
        before.
        """


class EntailmentJudge(Protocol):
    """What answers questions; `models.judge.Judge` is one."""

    def entailment(self, texts: Sequence[str], pairs: NDArray[np.integer]) -> NDArray[np.float32]:
        """P(premise => hypothesis), (q,) float32, for (q, 2) pairs of indices into `texts`."""


class FluencyCritic(Protocol):
    """What says how sentences read; `models.critic.Critic` is one."""

    def fluency(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """P(fluent) of n sentences, (n,) float32."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskOutcome:
    """What became of one context's candidates in one task.

    Attributes:
        names: the chain's filters.
        dropped_by: (m,) int8, for each candidate the index in `names` of the filter that dropped it; -1: kept.
    """

    names: tuple[str, ...]
    dropped_by: NDArray[np.int8]

    @property
    def kept(self) -> NDArray[np.intp]:
        """Indices of the kept candidates, ascending."""
        return np.flatnonzero(self.dropped_by < 0)

    def reason(self, candidate: int) -> str | None:
        """The name of the filter that dropped a candidate; None: it was kept."""
        code = int(self.dropped_by[candidate])
        return None if code < 0 else self.names[code]


@dataclass(frozen=True, slots=True, eq=False)
class ContextOutcome:
    """What became of one context's candidates.

    Attributes:
        scores: everything known of its sentences.
        tasks: task -> outcome, in the order of the chains.
        counts: see `count_candidates` and `count_questions`.
    """

    candidates: Candidates
    scores: Scores
    tasks: Mapping[str, TaskOutcome]
    counts: Mapping[str, int]


def run_block(
    candidates: Sequence[Candidates],
    chains: Mapping[str, Sequence[Filter]],
    judge: Callable[[], EntailmentJudge],
    known: Mapping[int, Judged] | None = None,
    *,
    critic: FluencyCritic | None = None,
    unicode: bool = False,
) -> list[ContextOutcome]:
    """Filter the candidates of a block of contexts.

    Args:
        candidates: one for each context.
        chains: task -> its filters, in the order in which drops are counted. A filter sees only what those before it
            kept: put cheap ones first, and one that compares pairs with each other (diversity) last.
        judge: gives the judge; called when the first question comes up that `known` does not answer.
        known: context -> answers of an earlier run (`Scores.record`). They are not asked for again.
        critic: asked about every sentence, once, before anything else; None where no filter is about fluency.
        unicode: count letters beyond ASCII in overlaps.

    Returns:
        One outcome for each of `candidates`, in their order.
    """
    # 1. what is known already
    scores = [Scores(each.sentences, unicode=unicode) for each in candidates]
    for each, context_scores in zip(candidates, scores, strict=True):
        if known is not None and each.context in known:
            context_scores.preload(known[each.context])
    recorded = [len(each.record().premises) for each in scores]
    if critic is not None:
        fluency = critic.fluency([sentence for each in scores for sentence in each.sentences])
        borders = np.cumsum([len(each.sentences) for each in scores])
        for context_scores, found in zip(scores, np.split(fluency, borders[:-1]), strict=True):
            context_scores.fluency = found

    # 2. one coroutine for each context and task
    running = {
        (index, task): _decide_all(filters, scores[index], candidates[index].pairs)
        for task, filters in enumerate(chains.values())
        for index in range(len(candidates))
    }
    decided: list[dict[int, NDArray[np.int8]]] = [{} for _ in candidates]

    # 3. waves. A task starts one wave after the task before it, whose first answers may spare it questions
    asked: list[Counter[str]] = [Counter() for _ in candidates]
    wave = 0
    while running:
        questions: list[Pairs] = [np.empty((0, 2), dtype=np.int32) for _ in candidates]
        for (index, task), chain in [item for item in running.items() if item[0][1] <= wave]:
            try:
                name, wanted = next(chain)
            except StopIteration as end:
                decided[index][task] = end.value
                del running[index, task]
                continue
            joined = scores[index].missing(np.concatenate([questions[index], wanted]))
            asked[index][name] += len(joined) - len(questions[index])
            questions[index] = joined
        _ask(judge, scores, questions)
        wave += 1

    # 4. the account
    outcomes = []
    for index, each in enumerate(candidates):
        tasks = {
            name: TaskOutcome(tuple(rule.name for rule in filters), decided[index][task])
            for task, (name, filters) in enumerate(chains.items())
        }
        counts = count_candidates(each, tasks) | count_questions(scores[index], recorded[index], asked[index])
        outcomes.append(ContextOutcome(each, scores[index], tasks, counts))
    return outcomes


def _decide_all(filters: Sequence[Filter], scores: Scores, pairs: Pairs) -> Generator[tuple[str, Pairs], None, NDArray[np.int8]]:
    """One chain over one context: yields (filter's name, unanswered questions), returns `TaskOutcome.dropped_by`."""
    dropped_by = np.full(len(pairs), -1, dtype=np.int8)
    for code, each in enumerate(filters):
        left = np.flatnonzero(dropped_by < 0)
        if not len(left):
            break
        decision = each.keep(scores, pairs[left])
        never_asks = True
        while True:
            try:
                questions = next(decision)
            except StopIteration as end:
                dropped = left[~end.value]
                break
            never_asks = False
            missing = scores.missing(questions)
            if len(missing):
                yield each.name, missing
        dropped_by[dropped] = code
        if never_asks:
            scores.spare(pairs[dropped], each.name)
    return dropped_by


def _ask(judge: Callable[[], EntailmentJudge], scores: Sequence[Scores], questions: Sequence[Pairs]) -> None:
    """Have the questions of all contexts answered in one call."""
    asked = [index for index, wanted in enumerate(questions) if len(wanted)]
    if not asked:
        return
    texts: list[str] = []
    pairs: list[Pairs] = []
    for index in asked:
        pairs.append(questions[index] + len(texts))
        texts.extend(scores[index].sentences)
    answers = judge().entailment(texts, np.concatenate(pairs))
    borders = np.cumsum([len(questions[index]) for index in asked])
    for index, answer in zip(asked, np.split(answers, borders[:-1]), strict=True):
        scores[index].answer(questions[index], answer)


def count_candidates(candidates: Candidates, tasks: Mapping[str, TaskOutcome]) -> dict[str, int]:
    """The account of one context's candidates: generated = kept + dropped, exactly, for every task and process.

    Returns:
        `TASK/PROCESS/generated`, `TASK/PROCESS/kept` and `TASK/PROCESS/dropped/REASON`; a refusal is a drop in every task.
    """
    counts: Counter[str] = Counter()
    for name, outcome in tasks.items():
        for process, generated in candidates.generated.items():
            counts[f"{name}/{process}/generated"] = generated
            counts[f"{name}/{process}/kept"] = 0
        for (process, reason), refused in candidates.refused.items():
            counts[f"{name}/{process}/dropped/{reason}"] += refused
        for code, process in enumerate(PROCESSES):
            drops = outcome.dropped_by[candidates.process == code]
            for filter_code, number in zip(*np.unique(drops, return_counts=True), strict=True):
                fate = "kept" if filter_code < 0 else f"dropped/{outcome.names[filter_code]}"
                counts[f"{name}/{process}/{fate}"] += int(number)
    return dict(counts)


def count_questions(scores: Scores, recorded: int, asked: Mapping[str, int]) -> dict[str, int]:
    """The account of one context's questions: all ordered pairs of its sentences = asked + recorded + spared, exactly.

    Returns:
        `questions/all`; `questions/asked/FILTER` that asked first; `questions/recorded` by an earlier run; and
        `questions/spared/REASON`: the cheap filter that dropped the pair, `other direction` (it had decided), `same component`
        (of duplicates) or `no candidate`.
    """
    n = len(scores.sentences)
    counts = {"questions/all": n * (n - 1), "questions/recorded": recorded}
    counts |= {f"questions/asked/{name}": number for name, number in asked.items()}
    return counts | {f"questions/spared/{reason}": number for reason, number in scores.spared().items()}
