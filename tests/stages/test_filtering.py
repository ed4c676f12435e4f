"""The filter stage: a critic's answers are stored and asked for where one is missing; the drops to read are from all over a block."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impdistill.models.critic import Critic
from impdistill.stages.filtering import DROPS_PER_REASON
from tests.models.tiny_judges import bert, save
from tests.stages.test_screening import BLOCKS, PER_BLOCK, Filtered

THRESHOLD = "tasks.{}.filters.fluency.threshold={}"


def with_critic(critic: str, summary: float, paraphrase: float) -> list[str]:
    return [f"critic.model={critic}", THRESHOLD.format("summary", summary), THRESHOLD.format("paraphrase", paraphrase)]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("judge") / "large", *bert())


@pytest.fixture(scope="module")
def critic(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("critic") / "critic", *bert({0: "garbled", 1: "fluent"}, seed=5))


class Loads:
    """Counts what of the critic is used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads = 0
        plainly = Critic.load.__func__  # type: ignore[attr-defined]

        def load(cls: type[Critic], *arguments: Any, **more: Any) -> Critic:
            self.loads += 1
            loaded: Critic = plainly(cls, *arguments, **more)
            return loaded

        monkeypatch.setattr(Critic, "load", classmethod(load))


def test_fluency_is_stored_and_never_asked_for_again(judge: str, critic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = Loads(monkeypatch)
    first = Filtered(tmp_path / "run", judge, *with_critic(critic, 0.4, 0.4))
    assert used.loads == 1
    counts = first.store.counts()
    assert counts["sentences/all"] == counts["sentences/read"] + counts["sentences/recorded"] + counts["sentences/spared"]
    assert counts["sentences/read"] > 0 == counts["sentences/recorded"]
    rows = [row for block in range(BLOCKS) for row in first.store.read_block("scores", block).to_pylist()]
    assert sum(len(row["read"]) for row in rows) == counts["sentences/read"] == sum(len(row["fluency"]) for row in rows)
    fresh = Filtered(tmp_path / "fresh", judge, *with_critic(critic, 0.6, 0.6))
    assert used.loads == 2
    second = Filtered(tmp_path / "run", judge, *with_critic(critic, 0.6, 0.6))  # the same run with another threshold
    assert used.loads == 2
    assert second.store.counts()["sentences/read"] == 0 < second.store.counts()["sentences/recorded"]
    assert second.kept(range(BLOCKS)) == fresh.kept(range(BLOCKS))


def test_the_critic_is_not_loaded_where_cheap_filters_leave_nothing(
    judge: str, critic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = Loads(monkeypatch)
    nothing = [f"tasks.{task}.filters.length.{end}" for task in ("summary", "paraphrase") for end in ("minimum=20", "maximum=21")]
    found = Filtered(tmp_path / "run", judge, *with_critic(critic, 0.4, 0.4), *nothing)
    assert used.loads == 0
    assert found.store.counts()["sentences/spared"] == found.store.counts()["sentences/all"] > 0


def test_drops_to_read_are_drawn_from_all_contexts_of_a_block(judge: str, tmp_path: Path) -> None:
    found = Filtered(tmp_path / "run", judge)
    places: Counter[int] = Counter()
    for block in range(BLOCKS):
        rows = [row for row in found.store.read_block("pairs", block).to_pylist() if row["reason"] is not None]
        each = Counter((row["task"], row["reason"]) for row in rows)
        assert max(each.values()) == DROPS_PER_REASON
        places.update(row["context"] % PER_BLOCK for row in rows)
    shares = np.array([places[place] for place in range(PER_BLOCK)]) / places.total()
    assert shares.min() > 0.1, shares  # of four contexts; the first drops alone would all be in the first
    again = Filtered(tmp_path / "again", judge)
    assert again.store.read_block("pairs", 3).equals(found.store.read_block("pairs", 3))


def test_pairs_that_the_judge_cut_are_noted(judge: str, tmp_path: Path) -> None:
    """It reads 64 tokens, and of most words one token a letter."""
    found = Filtered(tmp_path / "run", judge)
    notes = found.run.notes()["filter.0.news"]
    assert all(re.fullmatch(r"block \d+: judge: \d+ pairs cut to the 64 tokens that it reads", note) for note in notes)
    assert len(notes) > BLOCKS / 2
