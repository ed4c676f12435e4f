"""The loop end to end on real small models: whole, exact, resumable, and indifferent to how it was scheduled."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path

import datasets
import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from impdistill import Group, PairRule, Run, Task, distill, plan
from impdistill.errors import DamagedShardError, MismatchError, RunError, StorageError
from impdistill.exporting import export_run
from impdistill.filters import Entailment, Length
from impdistill.recipe import Recipe

pytestmark = pytest.mark.timeout(600)


def changed(recipe: Recipe, *overrides: str) -> Recipe:
    return Recipe.load(yaml.safe_load(recipe.to_yaml()), overrides)


def outcome(path: Path) -> dict[str, str]:
    """Dataset and student files of a run by name, with their hashes."""
    files = [file for stage in ("dataset", "student") for file in path.glob(f"stages/{stage}.*/*/content/**/*") if file.is_file()]
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def finished(small_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return distill(small_recipe, tmp_path_factory.mktemp("run") / "small")


@pytest.fixture
def run_copy(finished: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.path, tmp_path / "copy"))


def test_every_candidate_is_accounted_for(finished: Run) -> None:
    for round_ in (0, 1):
        for store in finished.filters(round_).values():
            counts = store.counts()
            funnels = {tuple(key.split("/")[:2]) for key in counts if key.endswith("/generated")}
            assert funnels
            for task, process in funnels:
                dropped = sum(number for key, number in counts.items() if key.startswith(f"{task}/{process}/dropped/"))
                assert counts[f"{task}/{process}/generated"] == counts.get(f"{task}/{process}/kept", 0) + dropped
            rows = store.read("pairs").to_pylist()
            kept = Counter((row["task"], row["process"]) for row in rows if row["reason"] is None)
            assert {key: counts.get(f"{key[0]}/{key[1]}/kept", 0) for key in kept} == dict(kept)


def test_pairs_are_what_the_recipe_calls_good(finished: Run) -> None:
    pairs = list(finished.pairs(0))
    assert pairs
    tasks = finished.recipe.tasks
    for pair in pairs:
        filters = tasks[pair.task].filters
        assert filters.length is not None
        assert filters.length.minimum <= pair.compression < filters.length.maximum
        assert pair.entailment is not None
        assert pair.entailment >= 0.2
        low, high = tasks[pair.task].groups[pair.group].compression
        assert (low or 0) <= pair.compression < (high or float("inf"))
    by_split = {split: {(pair.domain, pair.context) for pair in pairs if pair.split == split} for split in ("train", "validation")}
    assert not by_split["train"] & by_split["validation"]


def test_students_rewrite_and_export_stands_on_its_own(finished: Run, tmp_path: Path) -> None:
    text = "The committee met on Tuesday to discuss the new rules for schools."
    assert len(finished.student().rewrite([text, text], "paraphrase")) == 2
    written = export_run(finished, tmp_path / "out")
    dataset = datasets.load_dataset(str(written["dataset"]), cache_dir=str(tmp_path / "cache"))
    assert sum(len(split) for split in dataset.values()) == len(list(finished.pairs()))
    assert "Funnel" in (written["dataset"] / "README.md").read_text(encoding="utf-8")
    model = AutoModelForCausalLM.from_pretrained(written["model"])
    assert model.config.vocab_size >= len(AutoTokenizer.from_pretrained(written["model"]))
    with pytest.raises(StorageError, match="not an empty directory"):
        export_run(finished, tmp_path / "out")


def test_again_does_nothing(finished: Run, small_recipe: Recipe) -> None:
    before = outcome(finished.path)
    assert {stage.state for stage in plan(small_recipe, finished.path)} == {"done"}
    distill(small_recipe, finished.path)
    assert outcome(finished.path) == before


def test_a_changed_threshold_reruns_filtering_and_what_follows(finished: Run, small_recipe: Recipe, run_copy: Path) -> None:
    stricter = changed(small_recipe, "tasks.summary.filters.entailment.threshold=0.4")
    states = {stage.name: stage.state for stage in plan(stricter, run_copy)}
    assert {name for name, state in states.items() if state == "done"} == {
        name for name in states if name.split(".")[0] in ("contexts", "sequential", "parallel", "sources")
    }
    with pytest.raises(MismatchError, match=r"tasks\.summary\.filters\.entailment\.threshold: 0\.2 -> 0\.4"):
        distill(stricter, run_copy)
    updated = distill(stricter, run_copy, update=True)
    kept = {(pair.x, pair.y) for pair in updated.pairs(0) if pair.task == "summary"}
    assert kept <= {(pair.x, pair.y) for pair in finished.pairs(0)} or kept
    assert all(pair.entailment is not None and pair.entailment >= 0.4 for pair in updated.pairs(0) if pair.task == "summary")


@pytest.mark.parametrize("overrides", [["execution.blocks_per_shard=3"], ["execution.workers=2"], ["execution.overlap=true"]])
def test_schedule_does_not_matter(finished: Run, small_recipe: Recipe, tmp_path: Path, overrides: list[str]) -> None:
    again = distill(changed(small_recipe, *overrides), tmp_path / "again")
    assert outcome(again.path) == outcome(finished.path)


def test_a_damaged_shard_is_named_and_repaired(finished: Run, small_recipe: Recipe, run_copy: Path) -> None:
    shard = sorted(run_copy.glob("stages/filter.0.news/*/pairs*.parquet"))[0]
    shard.write_bytes(shard.read_bytes()[:-7])
    for folder in (run_copy / "stages").glob("dataset.0/*/"):
        shutil.rmtree(folder / "content")
        (folder / "manifest.json").unlink()
    with pytest.raises(DamagedShardError, match="--repair"):
        distill(small_recipe, run_copy)
    repaired = distill(small_recipe, run_copy, repair=True)
    assert outcome(repaired.path) == outcome(finished.path)


def asks_nothing(x: str, y: str) -> bool:
    return "?" not in y


def test_a_task_of_ones_own(small_recipe: Recipe, tmp_path: Path) -> None:
    headline = Task(
        "headline",
        filters=(Length(0.0, 0.7), PairRule("question", asks_nothing), Entailment(0.3)),
        groups=(Group("headline", "Write a headline for the given sentence: "),),
    )
    run = distill(changed(small_recipe, "self_distillation.rounds=0", "sequential.outputs=0"), tmp_path / "run", tasks=[headline])
    pairs = list(run.pairs())
    assert pairs
    assert {pair.group for pair in pairs} == {"headline"}
    assert not any("?" in pair.y for pair in pairs)
    assert run.student().groups == ("headline",)


def test_a_run_that_keeps_nothing_says_so(small_recipe: Recipe, tmp_path: Path) -> None:
    impossible = changed(small_recipe, *(f"tasks.{task}.filters.entailment.threshold=1.0" for task in small_recipe.tasks))
    with pytest.raises(RunError, match="no pair passed the filters"):
        distill(impossible, tmp_path / "run")
