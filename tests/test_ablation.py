"""What each ablation takes away, and that variants share what they do not touch."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from impdistill.ablation import ABLATIONS, WHOLE, Variant, distill_variant, variants_of, whole_recipes
from impdistill.cli import app
from impdistill.console.ablation import ablation_tables, default_group, measure_variants, write_table
from impdistill.errors import RecipeError, RunError
from impdistill.evaluate import benchmark_of
from impdistill.evaluate.metrics.rouge import rouge
from impdistill.models.student_format import StudentFormat
from impdistill.outcome import Run
from impdistill.recipe import Recipe
from impdistill.run import recipe_difference
from impdistill.tasks import borders, tasks_of
from tests.console.test_systems import tiny_student
from tests.report.test_contents import PAIRS

PAPER = Recipe.load({"name": "paper", "teachers": [{"domain": "news", "model": "gpt2"}]})


def changes(variant: Variant) -> list[str]:
    return list(recipe_difference(PAPER.model_dump(mode="json"), variant.recipe.model_dump(mode="json")))


def difference(name: str) -> set[str]:
    (_, variant) = variants_of(PAPER, [name])
    return {line.split(":")[0] for line in changes(variant)}


def test_every_ablation_applies_to_the_papers_recipe() -> None:
    assert [variant.name for variant in variants_of(PAPER)] == [WHOLE, *ABLATIONS]
    assert variants_of(PAPER)[0].recipe == PAPER


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("no self-distillation", {"self_distillation.rounds"}),
        ("trained on D1 directly", {"self_distillation.start_from"}),
        ("sequential only", {"parallel.samples"}),
        ("parallel only", {"sequential.outputs"}),
        ("no entailment filter", {"tasks.summary.filters.entailment", "tasks.paraphrase.filters.entailment"}),
        ("no diversity filter", {"tasks.summary.filters.diversity", "tasks.paraphrase.filters.diversity"}),
        ("summaries only", {"tasks.paraphrase"}),
    ],
)
def test_an_ablation_changes_nothing_else(name: str, fields: set[str]) -> None:
    assert difference(name) == fields


def test_without_the_length_filter_the_outer_borders_are_open_too() -> None:
    """Or the groups would drop the same pairs again."""
    _, variant = variants_of(PAPER, ["no length filter"])
    summary, paraphrase = (variant.recipe.tasks[name] for name in ("summary", "paraphrase"))
    assert summary.filters.length is None and paraphrase.filters.length is None
    assert {name: group.compression for name, group in summary.groups.items()} == {
        "short-abstractive": (None, 0.5),
        "short-extractive": (None, 0.5),
        "long-abstractive": (0.5, None),
        "long-extractive": (0.5, None),
    }
    assert paraphrase.groups["paraphrase"].compression == (None, None)
    lengths, alike = np.array([0.1, 0.6, 0.95, 3.0]), np.full(4, 0.3)
    before, after = ([task.group_of(lengths, alike).tolist() for task in tasks_of(recipe)] for recipe in (PAPER, variant.recipe))
    assert before == [[0, 2, -1, -1], [-1, -1, 0, -1]]
    assert after == [[0, 2, 2, 2], [0, 0, 0, 0]]
    assert {line.split(":")[0].split(".")[2] for line in changes(variant)} == {"filters", "groups"}
    assert all(line.split(":")[0].endswith((".compression", ".length")) for line in changes(variant))


def test_a_length_filter_that_is_not_there_leaves_the_borders_alone() -> None:
    recipe = Recipe.load(PAPER.model_dump(mode="json"), ["tasks.paraphrase.filters.length=null"])
    _, variant = variants_of(recipe, ["no length filter"])
    assert variant.recipe.tasks["paraphrase"] == recipe.tasks["paraphrase"]


def test_no_control_leaves_one_group_a_task() -> None:
    _, variant = variants_of(PAPER, ["no control"])
    assert {name: list(task.groups) for name, task in variant.recipe.tasks.items()} == {
        "summary": ["summary"],
        "paraphrase": ["paraphrase"],
    }
    assert variant.recipe.tasks["summary"].filters == PAPER.tasks["summary"].filters
    assert variant.group_for("long-abstractive", PAPER) == "summary"
    assert variant.group_for("paraphrase", PAPER) == "paraphrase"


def test_the_group_to_ask_for() -> None:
    _, variant = variants_of(PAPER, ["summaries only"])
    assert variant.group_for("long-abstractive", PAPER) == "long-abstractive"
    assert variant.group_for("paraphrase", PAPER) is None
    assert variant.group_for("sonnet", PAPER) is None
    assert default_group(PAPER) == "long-abstractive"


def test_what_cannot_be_taken_away_is_left_out() -> None:
    lean = Recipe.load(
        {"name": "lean", "teachers": [{"domain": "news", "model": "gpt2"}]}, ["sequential.outputs=0", "self_distillation.rounds=0"]
    )
    names = [variant.name for variant in variants_of(lean)]
    for absent in ("no self-distillation", "trained on D1 directly", "sequential only", "parallel only"):
        assert absent not in names
    with pytest.raises(RecipeError, match="nothing of that to take away"):
        variants_of(lean, ["parallel only"])
    with pytest.raises(RecipeError, match="no such ablation; choose from"):
        variants_of(lean, ["no teachers"])


def made(folder: Path) -> Run:
    """Stands for a run whose last student lies in the folder."""
    run = SimpleNamespace(dataset=lambda: SimpleNamespace(facts=lambda: {"pairs": 3}), student_folder=lambda: SimpleNamespace(path=folder))
    return cast(Run, run)


def test_items_that_one_of_the_students_cannot_read_are_left_out_for_all(tmp_path: Path) -> None:
    """Also where the whole method keeps no pair, so that it has no student to ask."""
    student = tiny_student(tmp_path / "student")
    groups = {"short": {"instruction": "Shorten: "}}
    recipe = Recipe.load({"teachers": [{"domain": "news", "model": "gpt2"}], "tasks": {"summary": {"groups": groups}}})

    def make(variant: Variant) -> Run:
        if variant.name == WHOLE:
            raise RunError("no pair passed the filters")
        return made(student)

    benchmark = benchmark_of("bench", "here", [("A cat sat.", ["A cat."]), ("A cat sat. " * 40, ["A cat."])])
    variants = [Variant(WHOLE, recipe), Variant("other", recipe)]
    rows = measure_variants(variants, "short", [benchmark], [rouge], make, "cpu", 20)
    assert [(row.name, row.pairs, row.why_empty) for row in rows[2:]] == [(WHOLE, 0, "no pair passed the filters"), ("other", 3, None)]
    assert [one.items for row in rows for one in row.evaluations] == [1, 1, 1]
    assert rows[0].evaluations[0].skipped == {"longer than a student reads": 1}


def test_several_recipes_are_compared_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student = tiny_student(tmp_path / "student")
    paths = []
    for name, group in (("one", "short"), ("two", "short"), ("three", "other")):
        paths.append(tmp_path / f"{name}.yaml")
        groups = {group: {"instruction": "Shorten: "}, "paraphrase": {"instruction": "Paraphrase: "}}
        content = {"teachers": [{"domain": "news", "model": "gpt2"}], "contexts": {"count": 4}, "tasks": {"summary": {"groups": groups}}}
        paths[-1].write_text(yaml.safe_dump(content), encoding="utf-8")
    asked: list[tuple[Variant, Path]] = []

    def distil(variant: Variant, out: Path, observer: object) -> Run:
        asked.append((variant, out))
        return made(student)

    monkeypatch.setattr("impdistill.ablation.distill_variant", distil)
    bench = tmp_path / "bench.tsv"
    bench.write_text("A cat sat there.\tA cat.\nA dog ran.\tA dog.\n", encoding="utf-8")
    arguments = [*map(str, paths), "--on", str(bench), "--out", str(tmp_path / "out"), "--as", "short", "--device", "cpu"]
    shown = CliRunner().invoke(app, ["ablate", *arguments, "--set", "seed=3", "--resamples", "20"])
    assert shown.exit_code == 0, shown.output
    assert [variant.name for variant, _ in asked] == ["one", "two", "three"]
    assert all(variant.recipe.seed == 3 and out == tmp_path / "out" / "run" for variant, out in asked)
    rows = json.loads((tmp_path / "out" / "table.json").read_bytes())
    assert [(row["variant"], bool(row["benchmarks"])) for row in rows] == [
        ("copy", True), ("lead:0.79", True), ("one", True), ("two", True), ("three", False),
    ]  # fmt: skip
    assert "three: has no group for short" in shown.output
    refused = CliRunner().invoke(app, ["ablate", *arguments, "--only", "no control"])
    assert isinstance(refused.exception, RecipeError) and "of one recipe" in str(refused.exception)


def test_recipes_are_called_by_what_tells_them_apart() -> None:
    assert [one.name for one in whole_recipes({"a/x.yaml": PAPER, "y.yaml": PAPER})] == ["x", "y"]
    assert [one.name for one in whole_recipes({"a/x.yaml": PAPER, "b/x.yaml": PAPER, "paper": PAPER})] == ["a/x.yaml", "b/x.yaml", "paper"]


@pytest.mark.timeout(600)
def test_variants_share_a_run_and_end_in_a_table(small_recipe: Recipe, tmp_path: Path) -> None:
    content = small_recipe.model_dump(mode="json")
    recipe = Recipe.load(content, ["teachers=" + json.dumps(content["teachers"][:1]), "contexts.count=4", "self_distillation.rounds=0"])
    chosen = variants_of(recipe, ["summaries only"])

    def make(variant: Variant) -> Run:
        return distill_variant(variant, tmp_path / "run")

    benchmark = benchmark_of("bench", "here", [(x, [y]) for x, y in PAIRS[:3]])
    rows = measure_variants(chosen, default_group(recipe), [benchmark], [rouge], make, "cpu", 20)
    assert [row.name for row in rows] == ["copy", "lead:0.79", WHOLE, "summaries only"]
    stages = tmp_path / "run" / "stages"
    assert len([path for path in (stages / "contexts.0.news").iterdir() if path.is_dir()]) == 1
    assert len([path for path in (stages / "filter.0.news").iterdir() if path.is_dir()]) == 2

    before = {path: path.stat().st_mtime_ns for path in stages.rglob("*.parquet")}
    again = distill_variant(chosen[0], tmp_path / "run")
    assert again.recipe == recipe
    kept_with_it = StudentFormat.read(str(again.student_folder().path)).borders
    assert kept_with_it == json.loads(json.dumps(borders(tasks_of(recipe))))
    assert {path: path.stat().st_mtime_ns for path in stages.rglob("*.parquet")} == before

    (table,) = ablation_tables(rows, default_group(recipe))
    assert table.row_count == len(rows)
    content, lines = write_table(rows, tmp_path / "out")
    kept = json.loads(content.read_bytes())
    for row, written in zip(rows, kept, strict=True):
        assert written["variant"] == row.name
        assert bool(written["benchmarks"]) == (row.why_empty is None)
    assert len(lines.read_text(encoding="utf-8").splitlines()) == 1 + sum(len(one.scores) for row in rows for one in row.evaluations)

    with pytest.raises(RecipeError, match="no such group; it has"):
        measure_variants(chosen, "sonnet", [benchmark], [rouge], make, "cpu", 20)
