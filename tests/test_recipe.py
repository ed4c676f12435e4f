"""The recipe: packaged ones load, defaults are the paper's, overrides reach everywhere, and mistakes are named."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from impdistill.errors import RecipeError
from impdistill.generate.prefixes import RULES
from impdistill.recipe import Recipe, TeacherRecipe
from impdistill.recipe_fields import PREFIX_RULES
from impdistill.recipe_source import packaged_recipes

NEWS = {"teachers": [{"domain": "news", "model": "gpt2", "prefix": "news"}]}
THREE = [{"domain": name, "model": "m"} for name in ("a", "b", "c")]


def group_between(axis: str, bounds: list[float]) -> dict[str, object]:
    return {"tasks": {"summary": {"groups": {"one": {"instruction": "Shorten: ", axis: bounds}}}}}


def test_as_many_contexts_as_teachers_are_enough() -> None:
    recipe = Recipe.load({"teachers": THREE, "contexts": {"count": 3}, "self_distillation": {"rounds": 0, "contexts": 1}})
    assert set(recipe.contexts_of(3).values()) == {1}


def test_the_prefix_rules_are_those_that_there_are() -> None:
    assert set(PREFIX_RULES) == set(RULES)


@pytest.mark.parametrize("name", packaged_recipes())
def test_packaged_recipes_load_and_survive_yaml(name: str, tmp_path: Path) -> None:
    recipe = Recipe.load(name)
    assert recipe.name == name
    written = tmp_path / "recipe.yaml"
    written.write_text(recipe.to_yaml(), encoding="utf-8")
    assert Recipe.load(written) == recipe


def test_paper_defaults() -> None:
    recipe = Recipe.load("paper")
    assert recipe.contexts.count == 150_000
    assert (recipe.parallel.samples, recipe.parallel.sampling.top_p) == (100, 0.7)
    assert (recipe.sequential.outputs, recipe.sequential.keywords) == (10, 5)
    summary, paraphrase = recipe.tasks["summary"].filters, recipe.tasks["paraphrase"].filters
    assert summary.length and summary.length.maximum == 0.8
    assert paraphrase.length and (paraphrase.length.minimum, paraphrase.length.maximum) == (0.8, 1.5)
    assert summary.entailment and summary.entailment.threshold == 0.9
    assert paraphrase.entailment and paraphrase.entailment.direction == "both"
    assert paraphrase.abstractiveness and paraphrase.abstractiveness.maximum == 0.6
    assert len([group for task in recipe.tasks.values() for group in task.groups]) == 5
    assert recipe.self_distillation.contexts * recipe.self_distillation.sources_per_context == 2_000_000


def test_overrides_reach_defaults_lists_and_switched_off_filters() -> None:
    recipe = Recipe.load(
        NEWS,
        [
            "parallel.samples=32",
            "teachers.0.model=distilgpt2",
            "tasks.summary.filters.entailment.threshold=0.75",
            "tasks.summary.filters.numbers.direction=both",
            "tasks.paraphrase.filters.diversity=null",
        ],
    )
    assert recipe.parallel.samples == 32
    assert recipe.parallel.sampling.top_p == 0.7
    assert recipe.teachers[0].model == "distilgpt2"
    filters = recipe.tasks["summary"].filters
    assert filters.entailment and filters.entailment.threshold == 0.75
    assert filters.numbers and filters.numbers.direction == "both"
    assert recipe.tasks["paraphrase"].filters.diversity is None


def test_what_is_left_out_keeps_its_default() -> None:
    recipe = Recipe.load({**NEWS, "contexts": {"sampling": {"top_p": 0.5}}, "tasks": {"summary": {"filters": {"diversity": None}}}})
    assert recipe.contexts.sampling.max_new_tokens == Recipe.load(NEWS).contexts.sampling.max_new_tokens
    assert list(recipe.tasks) == ["summary"]
    assert len(recipe.tasks["summary"].groups) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paralel": {}}, "paralel: unknown key; did you mean 'parallel'"),
        ({"parallel": {"samples": -1}}, "parallel.samples: Input should be greater than or equal to 0, found -1"),
        ({"contexts": {"sentences": [4, 2]}}, "contexts: sentences: the least"),
        ({"teachers": []}, "teachers"),
        ({"parallel": {"samples": 0}, "sequential": {"outputs": 0}}, "nothing would be generated"),
        ({"sequential": {"outputs": 50}}, "sequential: outputs"),
        ({"seed": "x"}, "seed"),
        ({"tasks": {"headline": {}}}, "tasks.headline.groups"),
        ({"sequential": {"neurologic": {"min_new_tokens": 70}}}, "sequential.neurologic: min_new_tokens .70. is above max_new_tokens"),
        ({"teachers": [{"domain": "a", "model": "m", "prefix": "sports"}]}, "teachers.0.prefix: no such rule; use news, .*found 'sports'"),
        ({"teachers": [{"domain": "my_domain", "model": "m"}]}, "teachers.0.domain: "),
        (
            {"self_distillation": {"decoding": {"samples": 4}}},
            r"self_distillation.decoding: samples .4. would all be the same",
        ),
        (
            {"self_distillation": {"decoding": {"beams": 4, "sampling": {}}}},
            "self_distillation.decoding: beams .4. and sampling exclude each other",
        ),
        ({"tasks": {"summary": {"filters": {"length": {"minimum": 0.8}}}}}, "tasks.summary.filters.length: no pair is at least 0.8"),
        (group_between("compression", [0.8, 0.5]), "tasks.summary.groups.one.compression: the interval from 0.8 to 0.5 is empty"),
        (group_between("similarity", [0.5, 0.5]), "tasks.summary.groups.one.similarity: the interval from 0.5 to 0.5 is empty"),
        (group_between("similarity", [math.nan, 1]), "tasks.summary.groups.one.similarity.0: .*finite"),
        ({"student": {"training": {"learning_rate": math.inf}}}, "student.training.learning_rate: .*finite"),
        ({"sequential": {"forbidden": ["fine", " "]}}, "sequential.forbidden.1: "),
        (
            {"teachers": THREE, "contexts": {"count": 1}},
            "contexts.count: 1 leaves none for .*; give at least one context a teacher",
        ),
        ({"teachers": THREE, "self_distillation": {"contexts": 2}}, "self_distillation.contexts: 2 leaves none for "),
    ],
)
def test_mistakes_are_one_line_naming_the_path(change: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=f"^recipe: .*{message.split('(')[0]}") as caught:
        Recipe.load({**NEWS, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    ["parallel.samples", "teachers.3.model=x", "teachers.first.model=x", "seed=[1", "paralel.samples=3", "contexts.sentences.0.x=3"],
)
def test_bad_overrides(override: str) -> None:
    with pytest.raises(RecipeError):
        Recipe.load(NEWS, [override])


def test_unreadable_recipes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe; give a YAML file or one of naacl, paper, starter"):
        Recipe.load("nowhere.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="a recipe is a mapping"):
        Recipe.load(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="not YAML"):
        Recipe.load(tmp_path / "broken.yaml")
    (tmp_path / "date.yaml").write_text("name: 2024-02-30\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"date\.yaml: not YAML: day is out of range"):
        Recipe.load(tmp_path / "date.yaml")
    with pytest.raises(RecipeError, match=r"--set name=2024-02-30: the value is not YAML: day is out of range"):
        Recipe.load(NEWS, ["name=2024-02-30"])
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(RecipeError, match="UTF-8"):
        Recipe.load(tmp_path / "latin.yaml")


def test_contexts_are_shared_out_by_weight() -> None:
    teachers = tuple(TeacherRecipe(domain=name, model="m", weight=weight) for name, weight in [("a", 1), ("b", 1), ("c", 5)])
    shares = Recipe(teachers=teachers).contexts_of(1001)
    assert sum(shares.values()) == 1001
    assert shares["c"] == 715
