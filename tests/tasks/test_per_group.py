"""In rounds of self-distillation one x may have a pair in each group, and one pair in each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from impdistill.filters import Candidates, Entailment, Fluency, Length, run_block
from impdistill.recipe import Recipe
from impdistill.tasks import Task, for_self_distillation, tasks_of

X = "The old council in the city approved the new budget for schools on Monday after a long debate."
SHORT = "The council approved the budget."
SHORTER = "The council approved."
LONG = "The old council approved the new budget for schools on Monday."
OTHER = "Dogs bark."


class Believer:
    """Believes everything, the shorter the more, but that one sentence follows from no other."""

    def entailment(self, texts: list[str], pairs: NDArray[np.integer]) -> NDArray[np.float32]:
        return np.array([0.1 if OTHER in (texts[x], texts[y]) else 1 - len(texts[y]) / 1000 for x, y in pairs], dtype=np.float32)


def kept(task: Task) -> set[str]:
    candidates = Candidates.from_pairs(0, "self-distillation", [X] * 4, [SHORT, LONG, SHORTER, OTHER])
    [outcome] = run_block([candidates], {task.name: task.filters}, Believer)  # type: ignore[arg-type]
    return {candidates.sentences[y] for _, y in candidates.pairs[outcome.tasks[task.name].kept]}


def test_the_best_of_each_group_stays() -> None:
    summary = tasks_of(Recipe.load({"teachers": [{"domain": "news", "model": "m"}]}))[0]
    assert kept(summary) == {SHORTER}
    [within] = for_self_distillation([summary], {})
    assert kept(within) == {SHORTER, LONG}


def test_only_diversity_looks_within_groups_and_its_borders_are_in_the_key() -> None:
    summary = tasks_of(Recipe.load({"teachers": [{"domain": "news", "model": "m"}]}))[0]
    [within] = for_self_distillation([summary], {})
    assert [rule.name for rule in within.filters] == [rule.name for rule in summary.filters]
    assert [type(rule) for rule in within.filters[:-1]] == [Length, Entailment]
    before, after = summary.filters[-1].settings(), within.filters[-1].settings()
    assert {**before, "within": after["within"]} == after
    assert after["within"]["long-extractive"] == ["0.5", "0.8", "0.6", "inf"]


def test_a_task_may_have_a_threshold_of_its_own() -> None:
    summary, paraphrase = tasks_of(Recipe.load({"teachers": [{"domain": "news", "model": "m"}]}))
    stricter = for_self_distillation([summary, paraphrase], {"summary": 0.97})
    assert [[rule.threshold for rule in task.filters if isinstance(rule, Entailment)] for task in stricter] == [[0.97], [0.9]]
    assert kept(stricter[0]) == {SHORTER}


def test_fluency_is_stricter_wherever_it_is_asked_for() -> None:
    summary, paraphrase = tasks_of(Recipe.load({"teachers": [{"domain": "news", "model": "m"}]}))
    asking = replace(summary, filters=(Fluency(0.3), *summary.filters))
    for threshold in (None, 0.5):
        found = for_self_distillation([asking, paraphrase], {}, threshold)
        assert [[rule.threshold for rule in task.filters if isinstance(rule, Fluency)] for task in found] == [[threshold or 0.3], []]
