from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impdistill.errors import RunError
from impdistill.filters import (
    Abstractiveness,
    Candidates,
    ContextOutcome,
    Diversity,
    Echo,
    Entailment,
    Filter,
    Fluency,
    Length,
    Mentions,
    Mood,
    Numbers,
    PairRule,
    Standalone,
    run_block,
)
from tests.filters.plain import HashCritic, TableJudge, plain_reasons

untimed = settings(deadline=None)  # the first example compiles a kernel

WORDS = ["the", "cat", "dog", "saw", "two", "12", "big", "red", "it", "ran"]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(lambda parts: " ".join(parts).capitalize() + ".")
REFUSALS = st.sampled_from([None, None, None, None, "unfinished", "list"])
THRESHOLDS = st.sampled_from([0.3, 0.6, 0.9])
DIVERSITIES = st.builds(Diversity, THRESHOLDS, st.sampled_from(["any", "mutual"]), st.sampled_from([None, 1, 2, 3, 5]))


def starts_alike(x: str, y: str) -> bool:
    return x.split()[0] == y.split()[0]


@st.composite
def pools(draw: st.DrawFn, context: int = 0) -> Candidates:
    samples = draw(st.lists(st.tuples(SENTENCES, REFUSALS), max_size=14))
    pool = Candidates.from_pool(context, [text for text, _ in samples], [refusal for _, refusal in samples])
    written = draw(st.lists(st.tuples(SENTENCES, SENTENCES, REFUSALS, st.sampled_from([-1, 0, 3])), max_size=8))
    xs, ys, refusals, requested = zip(*written, strict=True) if written else ((), (), (), ())
    rewritten = Candidates.from_pairs(context, "self-distillation", xs, ys, refusals, requested)
    return Candidates.union(pool, rewritten)


@st.composite
def chains(draw: st.DrawFn) -> dict[str, list[Filter]]:
    summary: list[Filter] = [Length(0, 0.8), Entailment(draw(THRESHOLDS), "forward"), draw(DIVERSITIES)]
    paraphrase: list[Filter] = [
        Length(0.8, 1.5),
        Numbers(draw(st.sampled_from(["y in x", "both"]))),
        Mood(),
        Echo(),
        Mentions(draw(st.sampled_from(["y in x", "both"]))),
        Standalone(draw(st.sampled_from(["y in x", "both"]))),
        Abstractiveness(0.6),
        Fluency(draw(THRESHOLDS)),
        Entailment(draw(THRESHOLDS), "both"),
        draw(DIVERSITIES),
    ]
    own: list[Filter] = [draw(DIVERSITIES), PairRule("alike", starts_alike), Entailment(draw(THRESHOLDS), "both")]
    return {"summary": summary, "paraphrase": paraphrase, "own": own}


def reasons(outcome: ContextOutcome, task: str) -> list[str | None]:
    return [outcome.tasks[task].reason(k) for k in range(len(outcome.candidates))]


@untimed
@given(st.lists(pools(), min_size=1, max_size=3), chains(), st.integers(0, 3))
def test_lazy_equals_plain(block: Sequence[Candidates], tasks: dict[str, list[Filter]], salt: int) -> None:
    judge = TableJudge(salt, once=len(block) == 1)  # two contexts may well hold the same sentences
    critic = HashCritic(once=len(block) == 1)
    outcomes = run_block(block, tasks, lambda: judge, critic=lambda: critic)
    for candidates, outcome in zip(block, outcomes, strict=True):
        table = judge.matrix(candidates.sentences)
        for task, chain in tasks.items():
            assert reasons(outcome, task) == plain_reasons(candidates, chain, table)


@untimed
@given(pools(), chains())
def test_everything_is_accounted_for(candidates: Candidates, tasks: dict[str, list[Filter]]) -> None:
    judge = TableJudge()
    [outcome] = run_block([candidates], tasks, lambda: judge, critic=HashCritic)
    generated: defaultdict[tuple[str, str], int] = defaultdict(int)
    fates: defaultdict[tuple[str, str], int] = defaultdict(int)
    for key, count in outcome.counts.items():
        task, process, *fate = key.split("/")
        if task not in ("questions", "sentences"):
            (generated if fate == ["generated"] else fates)[task, process] += count
    assert generated == fates
    assert set(generated) == {(task, process) for task in tasks for process in candidates.generated}
    for task in tasks:
        by_fate = Counter(reason or "kept" for reason in reasons(outcome, task))
        by_fate.update({reason: 0 for _, reason in candidates.refused})
        for (_, reason), refused in candidates.refused.items():
            by_fate[reason] += refused
        counted: Counter[str] = Counter()
        for key, count in outcome.counts.items():
            if key.startswith(f"{task}/") and not key.endswith("/generated"):
                counted[key.split("/")[-1]] += count
        assert +counted == +by_fate


@untimed
@given(pools(), chains())
def test_every_question_is_accounted_for(candidates: Candidates, tasks: dict[str, list[Filter]]) -> None:
    judge = TableJudge()
    critic = HashCritic()
    [outcome] = run_block([candidates], tasks, lambda: judge, critic=lambda: critic)
    sentences = {key.removeprefix("sentences/"): count for key, count in outcome.counts.items() if key.startswith("sentences/")}
    assert sentences.pop("all") == len(candidates.sentences) == sum(sentences.values())
    assert sentences["read"] == len(critic.asked)
    questions = {key: count for key, count in outcome.counts.items() if key.startswith("questions/")}
    every = questions.pop("questions/all")
    assert every == len(candidates.sentences) * (len(candidates.sentences) - 1)
    assert sum(questions.values()) == every
    assert sum(count for key, count in questions.items() if "/asked/" in key) == len(judge.asked)


@untimed
@given(pools(), chains(), chains())
def test_a_second_run_asks_only_what_is_missing(
    candidates: Candidates, tasks: dict[str, list[Filter]], other: dict[str, list[Filter]]
) -> None:
    judge = TableJudge()  # refuses to be asked twice
    critic = HashCritic()  # and so does this
    [first] = run_block([candidates], tasks, lambda: judge, critic=lambda: critic)
    [second] = run_block([candidates], other, lambda: judge, known={candidates.context: first.scores.record()}, critic=lambda: critic)
    table = judge.matrix(candidates.sentences)
    for task, chain in other.items():
        assert reasons(second, task) == plain_reasons(candidates, chain, table)
    assert second.counts["questions/recorded"] == len(first.scores.record().premises)
    assert second.counts["sentences/recorded"] == len(first.scores.record().read)
    [third] = run_block([candidates], other, pytest.fail, known={candidates.context: second.scores.record()}, critic=pytest.fail)
    assert [reasons(third, task) for task in other] == [reasons(second, task) for task in other]


def test_tightening_a_threshold_needs_no_judge() -> None:
    rng = np.random.default_rng(0)
    pool = Candidates.from_pool(7, [" ".join(rng.choice(WORDS, rng.integers(4, 12))) + "." for _ in range(40)])
    judge = TableJudge()
    loose: dict[str, list[Filter]] = {"summary": [Length(0, 0.8), Entailment(0.6)]}
    [first] = run_block([pool], loose, lambda: judge)
    [second] = run_block([pool], {"summary": [Length(0, 0.8), Entailment(0.9)]}, pytest.fail, {7: first.scores.record()})
    assert 0 < len(second.tasks["summary"].kept) < len(first.tasks["summary"].kept)
    asked = len(judge.asked)
    [third] = run_block([pool], {"summary": [Length(0, 0.9), Entailment(0.6)]}, lambda: judge, {7: first.scores.record()})
    ratio = third.scores.compression(pool.pairs)
    assert len(judge.asked) - asked == int(((ratio >= 0.8) & (ratio < 0.9)).sum()) > 0


def test_one_call_a_wave_whatever_the_contexts_and_tasks() -> None:
    rng = np.random.default_rng(1)
    block = [Candidates.from_pool(k, [f"{k} " + " ".join(rng.choice(WORDS, rng.integers(3, 9))) for _ in range(12)]) for k in range(5)]
    judge = TableJudge()
    tasks: dict[str, list[Filter]] = {"summary": [Length(0, 0.8), Entailment(0.6)], "paraphrase": [Entailment(0.6, "both")]}
    run_block(block, tasks, lambda: judge, critic=pytest.fail)
    assert judge.calls == 3  # forward; first direction; second direction


def test_the_critic_reads_what_is_left_after_the_cheap_filters_in_one_call_and_no_wave_of_its_own() -> None:
    rng = np.random.default_rng(1)
    block = [Candidates.from_pool(k, [f"{k} " + " ".join(rng.choice(WORDS, rng.integers(3, 9))) for _ in range(12)]) for k in range(5)]
    left = {
        sentence
        for pool in block
        for x, y in pool.pairs
        if len(pool.sentences[y].split()) < 0.6 * len(pool.sentences[x].split())
        for sentence in (pool.sentences[x], pool.sentences[y])
    }
    judge, critic = TableJudge(), HashCritic()
    tasks: dict[str, list[Filter]] = {"summary": [Length(0, 0.6), Fluency(0.3), Entailment(0.6)], "paraphrase": [Entailment(0.6, "both")]}
    outcomes = run_block(block, tasks, lambda: judge, critic=lambda: critic)
    assert critic.calls == 1
    assert set(critic.asked) == left
    assert 0 < len(left) < sum(len(pool.sentences) for pool in block)
    assert judge.calls == 3
    assert sum(outcome.counts["sentences/spared"] for outcome in outcomes) == sum(len(pool.sentences) for pool in block) - len(left)


def test_loosening_a_fluency_threshold_needs_no_critic() -> None:
    pool = Candidates.from_pool(7, [f"The {a} saw the {b}." for a in WORDS for b in WORDS[:3]])
    [first] = run_block([pool], {"summary": [Fluency(0.9)]}, pytest.fail, critic=HashCritic)
    [second] = run_block([pool], {"summary": [Fluency(0.2)]}, pytest.fail, {7: first.scores.record()}, critic=pytest.fail)
    assert len(first.tasks["summary"].kept) < len(second.tasks["summary"].kept)


def test_a_critic_is_not_asked_where_nothing_is_left() -> None:
    pool = Candidates.from_pool(0, ["The cat saw it.", "The dog ran."])
    [outcome] = run_block([pool], {"summary": [Length(0, 0.1), Fluency(0.5)]}, pytest.fail, critic=pytest.fail)
    assert outcome.counts["sentences/spared"] == 2


def test_a_context_without_candidates_is_no_error() -> None:
    nothing = Candidates.from_pool(3, [])
    [outcome] = run_block([nothing], {"summary": [Length(0, 0.8), Numbers(), Entailment(0.9), Diversity(0.9)]}, pytest.fail)
    assert len(outcome.tasks["summary"].kept) == 0
    assert outcome.counts["summary/parallel/generated"] == 0
    assert run_block([], {"summary": []}, pytest.fail) == []


def test_a_fluency_filter_without_a_critic_is_an_error() -> None:
    pool = Candidates.from_pool(0, ["The cat saw it.", "The dog ran."])
    with pytest.raises(RunError, match="critic"):
        run_block([pool], {"summary": [Fluency(0.5)]}, pytest.fail)
