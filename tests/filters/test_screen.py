"""The screen of a cascade: what it drops, and that its cut-off loses no more than it may."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from impdistill.filters import (
    Abstractiveness,
    Candidates,
    Diversity,
    Entailment,
    Filter,
    Length,
    Screen,
    choose_cutoff,
    run_block,
    with_screen,
)
from impdistill.filters.screen import lower_bound, most_lost
from tests.filters.plain import TableJudge, plain_reasons
from tests.filters.test_funnel import pools

CHAINS: dict[str, list[Filter]] = {
    "summary": [Length(0, 0.8), Entailment(0.6), Diversity(0.6)],
    "paraphrase": [Length(0.8, 1.5), Abstractiveness(0.6), Entailment(0.6, "both"), Diversity(0.6)],
}


class SmallJudge(TableJudge):
    """Answers of its own; refuses to be asked twice."""

    def score(self, texts: Sequence[str], pairs: NDArray[np.integer]) -> NDArray[np.float32]:
        return self.entailment(texts, pairs)


@settings(deadline=None)
@given(pools(), st.sampled_from([0.0, 0.3, 0.8, 1.1]))
def test_equal_to_the_plain_algorithm_without_the_pairs_below_the_cutoff(candidates: Candidates, cutoff: float) -> None:
    judge, small = TableJudge(), SmallJudge(salt=5)
    chains = {task: with_screen(chain, cutoff, small.score) for task, chain in CHAINS.items()}
    [outcome] = run_block([candidates], chains, lambda: judge)
    [alone] = run_block([candidates], CHAINS, lambda: TableJudge())
    table, screening = judge.matrix(candidates.sentences), small.matrix(candidates.sentences)
    for task, chain in CHAINS.items():
        passing = screening >= cutoff
        if task == "paraphrase":
            passing &= passing.T
        passes = passing[candidates.pairs[:, 0], candidates.pairs[:, 1]]
        reasons = [outcome.tasks[task].reason(k) for k in range(len(candidates))]
        # the plain algorithm over what passes, and over what a cheap filter drops anyway
        cheap = plain_reasons(candidates, [rule for rule in chain if not isinstance(rule, Entailment | Diversity)], table)
        left = [k for k in range(len(candidates)) if cheap[k] is None and passes[k]]
        part = Candidates(0, candidates.sentences, candidates.pairs[left], candidates.process[left], candidates.requested[left], {}, {})
        of_part = dict(zip(left, plain_reasons(part, chain, table), strict=True))
        assert reasons == [cheap[k] or of_part.get(k, "screen") for k in range(len(candidates))]
        # what the judge alone keeps is kept if it passes
        assert {k for k in alone.tasks[task].kept.tolist() if passes[k]} <= set(outcome.tasks[task].kept.tolist())
    counts = {key.removeprefix("questions/"): count for key, count in outcome.counts.items() if key.startswith("questions/")}
    assert counts.pop("all") == sum(counts.values())
    assert counts.get("asked/entailment", 0) <= alone.counts.get("questions/asked/entailment", 0)
    if cutoff > 1:
        assert judge.asked == set()


def test_a_chain_without_entailment_or_without_a_cutoff_stays_as_it_is() -> None:
    small = SmallJudge()
    assert with_screen(CHAINS["summary"], None, small.score) == tuple(CHAINS["summary"])
    assert with_screen([Length(0, 0.8)], 0.5, small.score) == (Length(0, 0.8),)
    [_, screen, *_] = with_screen(CHAINS["summary"], 0.5, small.score)
    assert isinstance(screen, Screen)
    assert screen.settings() == {"cutoff": 0.5, "direction": "forward"}


@pytest.mark.parametrize(("passed", "of"), [(299, 299), (950, 1000), (1, 7), (0, 5)])
def test_the_bound_is_the_share_at_which_so_many_passing_would_be_rare(passed: int, of: int) -> None:
    bound = lower_bound(passed, of, 0.95)
    if passed == 0:
        assert bound == 0
    else:
        assert binom.sf(passed - 1, of, bound) == pytest.approx(0.05)


def test_how_many_may_be_lost() -> None:
    assert most_lost(298, 0.99, 0.95) is None
    assert most_lost(299, 0.99, 0.95) == 0
    for pairs in (473, 2_000):
        lost = most_lost(pairs, 0.99, 0.95)
        assert lost is not None
        assert lower_bound(pairs - lost, pairs, 0.95) >= 0.99 > lower_bound(pairs - lost - 1, pairs, 0.95)


def test_a_good_screen_gets_a_cutoff_that_loses_less_than_it_may() -> None:
    """Of many samples, at most one in twenty has a cut-off below which more than 1% of the population lies."""
    rng = np.random.default_rng(0)
    too_low = 0
    for _ in range(300):
        kept = rng.beta(8, 2, 500).astype(np.float32)
        found = choose_cutoff(kept, rng.beta(1, 6, 2_000).astype(np.float32), recall=0.99, confidence=0.95, least_saving=0.1)
        assert found.value is not None
        assert found.spared > 0.5
        assert found.passed == (kept >= found.value).sum() < 500
        assert found.bound >= 0.99
        assert f"({found.passed} of 500 in the sample" in found.why
        too_low += (rng.beta(8, 2, 20_000) < found.value).mean() > 0.01
    assert too_low <= 300 * 0.05 + 10


def test_a_useless_screen_and_a_small_sample_let_all_pass() -> None:
    rng = np.random.default_rng(1)
    same = [rng.random(1_000).astype(np.float32) for _ in range(2)]
    useless = choose_cutoff(*same, recall=0.99, confidence=0.95, least_saving=0.1)
    assert useless.value is None
    assert useless.spared < 0.02
    assert "less than 10.0%" in useless.why
    few = choose_cutoff(same[0][:298], same[1], recall=0.99, confidence=0.95, least_saving=0.1)
    assert few.value is None
    assert "the judge kept 298 pairs of the sample, 299 are needed" in few.why
    assert choose_cutoff(same[0][:0], same[1][:0], recall=0.99, confidence=0.95, least_saving=0.1).value is None
