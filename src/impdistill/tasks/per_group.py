"""Diversity within groups: what a student says of one x in the manner of five groups are no duplicates of each other.

The diversity filter takes pairs with the same x for duplicates (Jung et al. 2023, algorithm 1). Of the teacher's pairs that leaves one of
many ways to say the same; of a student's it would leave one summary of each x, the likeliest, where four were asked for. The
paper's own counts exclude that: 2M sources gave 2.13M summaries (table 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from impdistill.filters import Diversity, Entailment, Filter, Fluency
from impdistill.filters.funnel import Decision
from impdistill.filters.scores import Pairs, Scores
from impdistill.tasks.task import Group, Task


@dataclass(frozen=True, slots=True)
class PerGroup:
    """Lets a filter that compares pairs with each other see those of one group at a time; pairs in no group are one more set."""

    rule: Filter
    groups: tuple[Group, ...]

    @property
    def name(self) -> str:
        return self.rule.name

    def settings(self) -> Mapping[str, Any]:
        borders = {group.name: [*map(str, group.compression), *map(str, group.similarity)] for group in self.groups}
        return {**self.rule.settings(), "within": borders}

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        group = Task("", (), self.groups).group_of(scores.compression(pairs), scores.similarity(pairs))
        kept = np.zeros(len(pairs), dtype=bool)
        for each in np.unique(group):
            members = np.flatnonzero(group == each)
            kept[members] = yield from self.rule.keep(scores, pairs[members])
        return kept


def for_self_distillation(tasks: Sequence[Task], entailment: Mapping[str, float], fluency: float | None = None) -> tuple[Task, ...]:
    """The tasks as rounds of self-distillation filter by them: diversity within groups, and other thresholds.

    Args:
        entailment: task -> threshold of its entailment filter; of tasks that it lacks the threshold stays.
        fluency: threshold of all fluency filters; None: theirs stay.
    """

    def changed(task: Task, rule: Filter) -> Filter:
        if isinstance(rule, Diversity):
            return PerGroup(rule, task.groups)
        if isinstance(rule, Entailment) and task.name in entailment:
            return replace(rule, threshold=entailment[task.name])
        if isinstance(rule, Fluency) and fluency is not None:
            return replace(rule, threshold=fluency)
        return rule

    return tuple(replace(task, filters=tuple(changed(task, rule) for rule in task.filters)) for task in tasks)
