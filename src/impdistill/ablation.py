"""A recipe with one thing taken away at a time, or several recipes, all in one run directory (Jung et al. 2023, table 6).

The stages that a variant does not touch have the same key as the whole method's and are not made again: without
self-distillation nothing but the whole method's first round is needed, without a filter the judge's stored answers serve.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impdistill.errors import RecipeError
from impdistill.outcome import Run
from impdistill.pipeline import distill
from impdistill.recipe import Recipe
from impdistill.stages.step import Observer

WHOLE = "whole method"


@dataclass(frozen=True, slots=True)
class Variant:
    """A recipe of the comparison.

    Attributes:
        name: what was taken away, e.g. "no self-distillation"; of several recipes, what it is called.
        recipe: the whole recipe without it.
    """

    name: str
    recipe: Recipe

    def group_for(self, group: str, whole: Recipe) -> str | None:
        """The group to ask this variant's student for in place of `group` of the whole recipe: the same, or without control
        the only one of its task; None where the variant has nothing like it."""
        for name, task in whole.tasks.items():
            if group in task.groups and name in self.recipe.tasks:
                groups = self.recipe.tasks[name].groups
                return group if group in groups else next(iter(groups)) if len(groups) == 1 else None
        return None


def variants_of(recipe: Recipe, names: Sequence[str] = ()) -> list[Variant]:
    """The whole method first, then every ablation that changes this recipe.

    Args:
        names: only these ablations; empty: all.

    Raises:
        RecipeError: an unknown name, or one that takes nothing away from this recipe.
    """
    found = {}
    for name, change in ABLATIONS.items():
        content = recipe.model_dump(mode="json")
        change(content)
        if _could_run(content):
            changed = Recipe.model_validate(content)
            if changed != recipe:
                found[name] = Variant(name, changed)
    for name in names:
        if name not in found:
            why = "this recipe has nothing of that to take away" if name in ABLATIONS else "no such ablation"
            raise RecipeError(f"{name}: {why}; choose from {', '.join(found)}")
    return [Variant(WHOLE, recipe), *(found[name] for name in names or found)]


def whole_recipes(recipes: Mapping[str, Recipe]) -> list[Variant]:
    """Several recipes to be compared as they are.

    Args:
        recipes: what each was loaded from -> it. A row is called by the end of that, or by all of it where ends are alike.
    """
    ends = Counter(Path(source).stem for source in recipes)
    return [Variant(Path(source).stem if ends[Path(source).stem] == 1 else source, recipe) for source, recipe in recipes.items()]


def distill_variant(variant: Variant, out: Path, observer: Observer | None = None) -> Run:
    """Make a variant in the directory that all of them share; what another one made already is kept."""
    return distill(variant.recipe, out, update=True, observer=observer)


def _could_run(content: Mapping[str, Any]) -> bool:
    return bool(content["tasks"]) and bool(content["parallel"]["samples"] or content["sequential"]["outputs"])


def _no_self_distillation(content: dict[str, Any]) -> None:
    content["self_distillation"]["rounds"] = 0


def _direct(content: dict[str, Any]) -> None:
    if content["self_distillation"]["rounds"]:
        content["self_distillation"]["start_from"] = "base"


def _no_control(content: dict[str, Any]) -> None:
    for name, task in content["tasks"].items():
        if len(task["groups"]) > 1:
            task["groups"] = {name: {"instruction": f"Generate a {name} of the given sentence: "}}


def _summaries_only(content: dict[str, Any]) -> None:
    content["tasks"].pop("paraphrase", None)


def _no_length_filter(content: dict[str, Any]) -> None:
    """The borders of the task's groups would drop the same pairs again, so the outermost ones are opened too."""
    for task in content["tasks"].values():
        if task["filters"]["length"] is None:
            continue
        task["filters"]["length"] = None
        lows, highs = zip(*(group["compression"] for group in task["groups"].values()), strict=True)
        lowest = None if None in lows else min(lows)
        highest = None if None in highs else max(highs)
        for group in task["groups"].values():
            low, high = group["compression"]
            group["compression"] = [None if low == lowest else low, None if high == highest else high]


def _without_filter(filter_: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for task in content["tasks"].values():
            task["filters"][filter_] = None

    return change


def _sequential_only(content: dict[str, Any]) -> None:
    content["parallel"]["samples"] = 0


def _parallel_only(content: dict[str, Any]) -> None:
    content["sequential"]["outputs"] = 0


ABLATIONS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "no self-distillation": _no_self_distillation,
    "trained on D1 directly": _direct,
    "no control": _no_control,
    "summaries only": _summaries_only,
    "no entailment filter": _without_filter("entailment"),
    "no length filter": _no_length_filter,
    "no diversity filter": _without_filter("diversity"),
    "sequential only": _sequential_only,
    "parallel only": _parallel_only,
}
