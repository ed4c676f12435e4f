"""The stages of generation: keys, the embedder's revision and device, counts, bounds; and the option of the filter stage's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from impdistill.generate.parallel import PoolRow
from impdistill.generate.sequential import SequentialRow
from impdistill.models.embedder import Embedder
from impdistill.recipe import Recipe
from impdistill.run import BlockResult, Lineage, RunDirectory, StageStore, run_blocks
from impdistill.stages import parallel, sequential
from impdistill.stages.contexts import SCHEMA as CONTEXTS
from impdistill.stages.contexts import contexts_step
from impdistill.stages.filtering import filtering_step, open_filtering
from impdistill.stages.parallel import SCHEMA as POOLS
from impdistill.stages.parallel import open_pools, parallel_step, sources_step
from impdistill.stages.sequential import open_sequential, sequential_step
from impdistill.stages.step import RowStep
from impdistill.tasks import tasks_of


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A folder that has a fingerprint, and that is all it has."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", encoding="utf-8")
    return str(tmp_path / "model")


@pytest.fixture
def recipe(model: str) -> Recipe:
    return Recipe.load({"teachers": [{"domain": "news", "model": model}], "judge": {"model": model}, "sequential": {"embedder": model}})


def changed(recipe: Recipe, *overrides: str) -> Recipe:
    return Recipe.load(recipe.model_dump(mode="json"), overrides)


def lineage(recipe: Recipe) -> Lineage:
    return sequential_step(recipe, recipe.teachers[0], contexts_step(recipe, recipe.teachers[0], 0)).lineage


def store_of(tmp_path: Path, table: str, rows: list[list[Any]], schema: pa.Schema) -> StageStore:
    def open_made() -> Callable[[int], BlockResult]:
        return lambda block: BlockResult({table: pa.table(rows, schema=schema)})

    name = {"contexts": "contexts.0.news", "pools": "parallel.0.news"}[table]
    store = RunDirectory.create(tmp_path / "run", "").stage(Lineage(name, 1), 1)
    run_blocks(store, open_made)
    return store


def test_forbidden_words_are_in_the_key_where_there_are_any(recipe: Recipe) -> None:
    plain = lineage(recipe)
    assert set(plain.settings["sequential"]).isdisjoint({"forbidden", "embedder", "embedder_revision"})  # type: ignore[arg-type]
    forbidding = lineage(changed(recipe, "sequential.forbidden=[said]"))
    assert forbidding.settings["sequential"]["forbidden"] == ["said"]  # type: ignore[index, call-overload]
    assert forbidding.key != plain.key


def test_the_embedder_has_its_revision_and_the_run_s_device(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None, str]] = []
    monkeypatch.setattr(sequential, "load_teacher", lambda *_: None)
    monkeypatch.setattr(sequential, "fingerprint", lambda name, revision=None: f"{name}@{revision}")
    monkeypatch.setattr(Embedder, "load", lambda name, *, revision=None, device="auto": asked.append((name, revision, device)))
    pinned = changed(recipe, "sequential.embedder=e", "sequential.embedder_revision=v2", "execution.device=cpu")
    assert lineage(pinned).models["embedder"] == "e@v2"
    open_sequential(pinned, pinned.teachers[0], store_of(tmp_path, "contexts", [[0], [""], ["A."], [1], [1]], CONTEXTS))
    assert asked == [("e", "v2", "cpu")]


def test_refused_sources_and_forbidden_words_reach_the_stage(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [SequentialRow(0, "It is.", "no-keywords"), SequentialRow(0, "too", "unfinished"), SequentialRow(0, "A cat sat.", None)]
    rows.append(SequentialRow(0, "So.", "no-keywords"))
    settings = []

    def sample(model: Any, embedder: Any, after: Any, wanted: Any, **_: Any) -> list[SequentialRow]:
        settings.append(wanted)
        return rows

    monkeypatch.setattr(sequential, "load_teacher", lambda *_: SimpleNamespace(notes=[]))
    monkeypatch.setattr(Embedder, "load", lambda *_, **__: None)
    monkeypatch.setattr(sequential, "sample_sequential", sample)
    store = store_of(tmp_path, "contexts", [[0], [""], ["A."], [1], [1]], CONTEXTS)
    forbidding = changed(recipe, "sequential.forbidden=[said, of course]", "teachers.0.min_log_probability=-2.5")
    found = open_sequential(forbidding, forbidding.teachers[0], store)(0)
    assert {name: count for name, count in found.counts.items() if name.startswith("refused/")} == {
        "refused/no-keywords": 2,
        "refused/unfinished": 1,
    }
    assert found.counts["sources"] == 1
    assert settings[0].forbidden == ("said", "of course")
    assert settings[0].min_log_probability == -2.5


def test_a_bound_on_likelihood_is_in_the_keys_and_reaches_the_pools(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded = changed(recipe, "teachers.0.min_log_probability=-2.5")

    def settings(recipe: Recipe) -> list[Any]:
        teacher = recipe.teachers[0]
        contexts = contexts_step(recipe, teacher, 0)
        steps = [
            parallel_step(recipe, teacher, contexts),
            sources_step(recipe, teacher, contexts, 1),
            sequential_step(recipe, teacher, contexts),
        ]
        return [step.lineage.settings for step in steps]

    assert [each.get("min_log_probability") for each in settings(bounded)] == [-2.5] * 3
    assert not any("min_log_probability" in each for each in settings(recipe))

    asked: list[float | None] = []

    def sample(model: Any, after: Any, *, min_log_probability: float | None, **_: Any) -> list[PoolRow]:
        asked.append(min_log_probability)
        return [PoolRow(0, ("A cat sat there.", "So."), (None, "unlikely"), 9)]

    monkeypatch.setattr(parallel, "load_teacher", lambda *_: SimpleNamespace(notes=[]))
    monkeypatch.setattr(parallel, "sample_pools", sample)
    store = store_of(tmp_path, "contexts", [[0], [""], ["A."], [1], [1]], CONTEXTS)
    found = open_pools(bounded, bounded.teachers[0], "parallel.0.news", 2, bounded.parallel.sampling, store)(0)
    assert asked == [-2.5]
    assert found.counts == {"sentences": 1, "tokens": 9, "refused/unlikely": 1}


def test_letters_beyond_ascii_count_where_the_recipe_says_so(recipe: Recipe, tmp_path: Path) -> None:
    off = ["entailment=null", "diversity=null", "length=null"]
    plain = changed(recipe, *(f"tasks.{task}.filters.{rule}" for task in ("summary", "paraphrase") for rule in off))
    unicode = changed(plain, "unicode_words=true")
    pools = store_of(tmp_path, "pools", [[0], [["Ночь тиха.", "Ночь темна."]], [[None, None]], [8]], POOLS)
    found = {}
    for name, each in (("plain", plain), ("unicode", unicode)):
        rows = open_filtering(each, tasks_of(each), 1, pools)(0).tables["pairs"].to_pylist()
        found[name] = {row["rouge_l"] for row in rows if row["task"] == "paraphrase"}
    assert found == {"plain": {0.0}, "unicode": {0.5}}

    def key(wanted: Recipe) -> Lineage:
        return filtering_step(
            wanted, wanted.teachers[0], tasks_of(wanted), [RowStep(Lineage("parallel.0.news", 1), 1, open_filtering)], 0
        ).lineage

    assert "unicode_words" not in key(plain).settings
    assert key(unicode).key != key(plain).key
