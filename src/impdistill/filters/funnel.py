"""The funnel: every candidate of a block of contexts through every task's chain of filters, asking judge and critic as little
as can be.

A filter is a coroutine: it yields the questions it needs answered and goes on when they are. All chains of all contexts
of a block advance in waves, and the questions of a wave go to the judge in one call; what the critic is asked within a wave,
in one call too. What is kept does not depend on any of this: it is what one gets by judging all pairs of sentences first and
filtering then (Jung et al. 2023, section 2.1.2). Knows nothing of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from impdistill.errors import RunError
from impdistill.filters.candidates import PROCESSES, Candidates
from impdistill.filters.scores import Judged, Pairs, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Unread:
    """Sentences that a filter needs the fluency of: (s,) indices, those already known among them or not."""

    sentences: NDArray[np.integer]


Decision: TypeAlias = Generator[Pairs | Unread, None, NDArray[np.bool_]]
"""Yields questions (q, 2) to the judge, or sentences for the critic; is resumed when `scores.entailment` or `scores.fluency`
holds the answers; and returns which of m pairs to keep, (m,)."""


class Filter(Protocol):
    """One link of a task's chain."""

    @property
    def name(self) -> str:
        """What its drops are counted under."""

    def settings(self) -> Mapping[str, Any]:
        """What its decisions depend on besides the scores, as JSON can hold it."""

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        """Which of the m pairs (x, y) that the filters before it kept to keep. May yield questions to the judge or the critic,
        or never yield.

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
    critic: Callable[[], FluencyCritic] | None = None,
    unicode: bool = False,
) -> list[ContextOutcome]:
    """Filter the candidates of a block of contexts.

    Args:
        candidates: one for each context.
        chains: task -> its filters, in the order in which drops are counted. A filter sees only what those before it
            kept: put cheap ones first, and one that compares pairs with each other (diversity) last.
        judge: gives the judge; called when the first question comes up that `known` does not answer.
        known: context -> answers of an earlier run (`Scores.record`). They are not asked for again.
        critic: gives the critic; called when a filter needs the fluency of a sentence that `known` does not tell. None where no filter
            is about fluency.
        unicode: count letters beyond ASCII in overlaps.

    Returns:
        One outcome for each of `candidates`, in their order.
    """
    # 1. what is known already
    scores = [Scores(each.sentences, unicode=unicode) for each in candidates]
    for each, context_scores in zip(candidates, scores, strict=True):
        if known is not None and each.context in known:
            context_scores.preload(known[each.context])
    recorded = [each.record() for each in scores]

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
        due = [key for key in running if key[1] <= wave]
        while due:
            sentences: list[NDArray[np.int32]] = [np.empty(0, dtype=np.int32) for _ in candidates]
            reading: list[tuple[int, int]] = []
            for index, task in due:
                try:
                    name, wanted = next(running[index, task])
                except StopIteration as end:
                    decided[index][task] = end.value
                    del running[index, task]
                    continue
                if isinstance(wanted, Unread):
                    sentences[index] = scores[index].unread(np.concatenate([sentences[index], wanted.sentences]))
                    reading.append((index, task))
                    continue
                joined = scores[index].missing(np.concatenate([questions[index], wanted]))
                asked[index][name] += len(joined) - len(questions[index])
                questions[index] = joined
            _read(critic, scores, sentences)
            due = reading  # with their sentences read they go on to the judge within the same wave
        _ask(judge, scores, questions)
        wave += 1

    # 4. the account
    outcomes = []
    for index, each in enumerate(candidates):
        tasks = {
            name: TaskOutcome(tuple(rule.name for rule in filters), decided[index][task])
            for task, (name, filters) in enumerate(chains.items())
        }
        counts = count_candidates(each, tasks) | count_questions(scores[index], len(recorded[index].premises), asked[index])
        if critic is not None:
            counts |= count_sentences(scores[index], len(recorded[index].read))
        outcomes.append(ContextOutcome(each, scores[index], tasks, counts))
    return outcomes


def _decide_all(filters: Sequence[Filter], scores: Scores, pairs: Pairs) -> Generator[tuple[str, Pairs | Unread], None, NDArray[np.int8]]:
    """One chain over one context: yields (filter's name, what is not known yet), returns `TaskOutcome.dropped_by`."""
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
            if isinstance(questions, Unread):
                unread = scores.unread(questions.sentences)
                if len(unread):
                    yield each.name, Unread(unread)
                continue
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


def _read(critic: Callable[[], FluencyCritic] | None, scores: Sequence[Scores], sentences: Sequence[NDArray[np.int32]]) -> None:
    """Have the sentences of all contexts read in one call, each text once."""
    texts = list(dict.fromkeys(each.sentences[number] for each, wanted in zip(scores, sentences, strict=True) for number in wanted))
    if not texts:
        return
    if critic is None:
        raise RunError("a filter needs to know how sentences read; give run_block a critic, or the recipe critic.model")
    fluency = dict(zip(texts, critic().fluency(texts), strict=True))
    for each, wanted in zip(scores, sentences, strict=True):
        each.fluency[wanted] = [fluency[each.sentences[number]] for number in wanted]


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


def count_sentences(scores: Scores, recorded: int) -> dict[str, int]:
    """The account of one context's sentences: all of them = read by the critic + read in an earlier run + spared, exactly.

    Returns:
        `sentences/all`, `sentences/read`, `sentences/recorded` and `sentences/spared`.
    """
    known = int((~np.isnan(scores.fluency)).sum())
    n = len(scores.sentences)
    return {"sentences/all": n, "sentences/read": known - recorded, "sentences/recorded": recorded, "sentences/spared": n - known}
