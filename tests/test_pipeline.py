"""The loop end to end on real small models: whole, exact, resumable, and indifferent to how it was scheduled."""

from __future__ import annotations

import hashlib
import json
import runpy
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from impdistill import Run, distill, plan
from impdistill.errors import DamagedShardError, MismatchError, RecipeError, RunError, StorageError
from impdistill.exporting import export_run
from impdistill.pipeline import AnyStep, loop
from impdistill.recipe import Recipe
from impdistill.run import StageProgress, StageStore
from impdistill.tasks import tasks_of

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
        facts = finished.dataset(round_).facts()
        kept_of_all = sum(
            count for store in finished.filters(round_).values() for key, count in store.counts().items() if key.endswith("/kept")
        )
        assert kept_of_all == facts["pairs"] + facts["outside_groups"] + facts["capped"]


def test_pairs_are_what_the_recipe_calls_good(finished: Run) -> None:
    pairs = list(finished.pairs(0))
    assert pairs
    tasks = finished.recipe.tasks
    for pair in pairs:
        filters = tasks[pair.task].filters
        assert filters.length is not None
        assert filters.length.minimum <= pair.compression < filters.length.maximum
        assert pair.entailment is not None
        assert pair.entailment >= 0.05
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


def test_a_student_may_write_several_outputs_of_each_group(run_copy: Path, small_recipe: Recipe) -> None:
    sampled = ["self_distillation.decoding.sampling.top_p=0.9", "self_distillation.decoding.max_new_tokens=12"]
    outputs = {}
    for samples in (1, 3):
        run = distill(changed(small_recipe, *sampled, f"self_distillation.decoding.samples={samples}"), run_copy, update=True)
        store = run.directory.current_stage("rewrites.1.news")
        assert isinstance(store, StageStore)
        rows = store.read("rewrites").to_pylist()
        assert store.counts()["outputs"] == sum(len(row["outputs"]) for row in rows) == len(rows) * 5 * samples
        assert all(Counter(row["groups"]) == dict.fromkeys(row["groups"], samples) for row in rows)
        outputs[samples] = [dict(list(zip(row["groups"], row["outputs"], strict=True))[:5]) for row in rows]
        assert samples == 1 or any(len(set(row["outputs"])) > 5 for row in rows)
    assert outputs[1] == outputs[3]  # the first ones are the same whatever comes after them


def test_only_rounds_of_self_distillation_look_for_duplicates_within_groups(small_recipe: Recipe) -> None:
    recipe = changed(small_recipe, "self_distillation.entailment={summary: 0.6}")
    rules: dict[str, Any] = {}

    def note(step: AnyStep, /) -> AnyStep:
        rules[step.lineage.stage] = step.lineage.settings.get("tasks")
        return step

    loop(recipe, tasks_of(recipe), note)
    for round_, threshold in ((0, 0.05), (1, 0.6)):
        summary = rules[f"filter.{round_}.news"]["summary"]
        assert summary["entailment"]["threshold"] == threshold
        assert ("within" in summary["diversity"]) == (round_ > 0)


def test_again_does_nothing(finished: Run, small_recipe: Recipe) -> None:
    before = outcome(finished.path)
    assert {stage.state for stage in plan(small_recipe, finished.path)} == {"done"}
    distill(small_recipe, finished.path)
    assert outcome(finished.path) == before


@pytest.fixture(scope="module")
def stricter(small_recipe: Recipe) -> Recipe:
    return changed(small_recipe, "tasks.summary.filters.entailment.threshold=0.4", "self_distillation.rounds=0")


@pytest.fixture(scope="module")
def strictly_kept(finished: Run, stricter: Recipe, tmp_path_factory: pytest.TempPathFactory) -> set[tuple[object, ...]]:
    """What the stricter recipe keeps with every question asked anew."""
    path = Path(shutil.copytree(finished.path, tmp_path_factory.mktemp("stricter") / "run"))
    for stage in path.glob("stages/filter.*"):
        shutil.rmtree(stage)
    run = distill(stricter, path, update=True)
    assert all(store.counts()["questions/recorded"] == 0 for store in run.filters(0).values())
    return kept_pairs(run)


def kept_pairs(run: Run) -> set[tuple[object, ...]]:
    return {(pair.domain, pair.context, pair.process, pair.group, pair.x, pair.y) for pair in run.pairs(0)}


def test_a_changed_threshold_reruns_filtering_and_what_follows(
    small_recipe: Recipe, run_copy: Path, stricter: Recipe, strictly_kept: set[tuple[object, ...]]
) -> None:
    both_rounds = changed(stricter, "self_distillation.rounds=1")
    states = {stage.name: stage.state for stage in plan(both_rounds, run_copy)}
    assert {name for name, state in states.items() if state == "done"} == {
        name for name in states if name.split(".")[0] in ("contexts", "sequential", "parallel", "sources")
    }
    with pytest.raises(MismatchError, match=r"tasks\.summary\.filters\.entailment\.threshold: 0\.05 -> 0\.4"):
        distill(both_rounds, run_copy)
    updated = distill(stricter, run_copy, update=True)
    assert kept_pairs(updated) == strictly_kept
    assert sum(store.counts()["questions/recorded"] for store in updated.filters(0).values()) > 0
    summaries = [pair for pair in updated.pairs(0) if pair.task == "summary"]
    assert summaries
    assert all(pair.entailment is not None and pair.entailment >= 0.4 for pair in summaries)


@pytest.mark.parametrize("overrides", [["execution.workers=2"], ["execution.overlap=true", "execution.blocks_per_shard=3"]])
def test_schedule_does_not_matter(finished: Run, small_recipe: Recipe, tmp_path: Path, overrides: list[str]) -> None:
    again = distill(changed(small_recipe, *overrides), tmp_path / "again")
    assert outcome(again.path) == outcome(finished.path)
    assert tokens(again) == tokens(finished)


@pytest.mark.parametrize(
    ("pattern", "again"),
    [
        ("filter.0.news/*/pairs*.parquet", "dataset.0"),
        ("filter.0.news/*/00*.json", None),
        ("parallel.0.news/*/00*.json", None),
        ("dataset.0/*/manifest.json", "student.0"),
        ("dataset.0/*/content/data/train*.parquet", "student.0"),
        ("student.0/*/content/model.safetensors", None),
    ],
)
def test_damage_is_named_and_repaired(finished: Run, small_recipe: Recipe, run_copy: Path, pattern: str, again: str | None) -> None:
    damaged = sorted(run_copy.glob(f"stages/{pattern}"))[0]
    content = damaged.read_bytes()
    if damaged.suffix == ".safetensors":
        damaged.write_bytes(content[:-7] + bytes([content[-7] ^ 1]) + content[-6:])
    else:
        damaged.write_bytes(content[:-7])
    if again is not None:  # what would read the damaged file is to be made again
        for folder in (run_copy / "stages" / again).glob("*/"):
            shutil.rmtree(folder / "content")
            (folder / "manifest.json").unlink()
    with pytest.raises(DamagedShardError, match=rf"{damaged.name}: .*--repair"):
        distill(small_recipe, run_copy)
    repaired = distill(small_recipe, run_copy, repair=True)
    assert outcome(repaired.path) == outcome(finished.path)


@pytest.mark.parametrize("pattern", ["dataset.1/*/content/data/train*.parquet", "student.1/*/content/model.safetensors"])
def test_no_damaged_outcome_is_handed_out(run_copy: Path, pattern: str) -> None:
    [damaged] = run_copy.glob(f"stages/{pattern}")
    content = damaged.read_bytes()
    damaged.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    run = Run.open(run_copy)
    with pytest.raises(
        DamagedShardError, match=rf"{damaged.name}: its checksum differs.*--repair to rebuild stage {pattern[:9].rstrip('/')}"
    ):
        run.student() if pattern.startswith("student") else list(run.pairs())


def test_damage_in_a_superseded_version_only_costs_questions(
    run_copy: Path, stricter: Recipe, strictly_kept: set[tuple[object, ...]]
) -> None:
    for pattern in ("news/*/scores-000000-000000.parquet", "news/*/000001-000001.json", "biomedical/*/stage.json"):
        [path] = run_copy.glob(f"stages/filter.0.{pattern}")
        path.write_bytes(path.read_bytes()[:-7])
    updated = distill(stricter, run_copy, update=True)
    assert kept_pairs(updated) == strictly_kept
    assert sum(store.counts()["questions/recorded"] for store in updated.filters(0).values()) == 0


def test_a_recipe_of_an_older_version_is_the_same_recipe(small_recipe: Recipe, run_copy: Path) -> None:
    written = yaml.safe_load((run_copy / "recipe.yaml").read_text(encoding="utf-8"))
    del written["tasks"]["summary"]["filters"]["mood"]
    (run_copy / "recipe.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    assert outcome(distill(small_recipe, run_copy).path)
    with pytest.raises(MismatchError, match=r"\(seed: 0 -> 1\)"):
        distill(changed(small_recipe, "seed=1"), run_copy)
    (run_copy / "recipe.yaml").write_text("[", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"recipe\.yaml: not YAML"):
        distill(small_recipe, run_copy)


def tokens(run: Run) -> dict[str, int | None]:
    writing = ("contexts", "parallel", "sequential", "sources", "rewrites")
    return {stage.stage: stage.counts.get("tokens") for stage in run.status() if stage.stage.split(".")[0] in writing}


def test_every_stage_in_which_a_model_writes_counts_its_tokens(finished: Run) -> None:
    found = tokens(finished)
    assert {stage.split(".")[0] for stage in found} >= {"contexts", "parallel", "sources", "rewrites"}
    assert all(found.values())
    for stage, table, column in (("parallel.0.news", "pools", "sentences"), ("rewrites.1.news", "rewrites", "outputs")):
        store = finished.directory.current_stage(stage)
        assert isinstance(store, StageStore)
        words = sum(len(text.split()) for texts in store.read(table)[column].to_pylist() for text in texts)
        assert words < (found[stage] or 0) < 8 * words


def test_the_docs_example_of_a_task_of_ones_own(
    small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands in the docs, but for the models and the number of contexts."""
    load = Recipe.load
    one_teacher = "teachers=" + json.dumps(small_recipe.model_dump(mode="json")["teachers"][:1])
    more = (one_teacher, "contexts.count=8", "parallel.samples=48")  # its thresholds are higher than the small recipe's
    small = changed(small_recipe, "self_distillation.rounds=0", "sequential.outputs=0", *more, "student.training.max_steps=8")
    monkeypatch.setattr(Recipe, "load", lambda source, *overrides: small if source == "starter" else load(source, *overrides))
    monkeypatch.chdir(tmp_path)
    example = Path(__file__).resolve().parents[1] / "docs" / "examples" / "headlines.py"
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.startswith("['")
    run = Run.open("runs/headlines")
    pairs = list(run.pairs())
    assert pairs
    assert {pair.group for pair in pairs} == {"headline"}
    assert not [pair for pair in pairs if pair.y.split()[0] in ("He", "She", "It", "They", "This")]
    reasons = {key.rpartition("/")[2] for store in run.filters(0).values() for key in store.counts() if "/dropped/" in key}
    assert "pronoun" in reasons
    assert run.student().groups == ("headline",)


def test_a_run_that_keeps_nothing_says_so(small_recipe: Recipe, tmp_path: Path) -> None:
    impossible = changed(small_recipe, *(f"tasks.{task}.filters.entailment.threshold=1.0" for task in small_recipe.tasks))
    with pytest.raises(RunError, match="no pair passed the filters"):
        distill(impossible, tmp_path / "run")


def test_what_an_update_has_not_reached_yet_is_not_handed_out(run_copy: Path, stricter: Recipe, tmp_path: Path) -> None:
    def stop_after_dataset(progress: StageProgress) -> None:
        if progress.stage == "dataset.0":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        distill(stricter, run_copy, update=True, observer=stop_after_dataset)
    run = Run.open(run_copy)
    assert {pair.entailment >= 0.4 for pair in run.pairs(0) if pair.task == "summary" and pair.entailment} == {True}
    with pytest.raises(RunError, match="no student is finished yet"):
        run.student_folder()
    with pytest.raises(RunError, match="no student is finished yet"):
        export_run(run, tmp_path / "out")


def test_a_dataset_is_exported_with_the_student_trained_on_it(finished: Run, run_copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(run_copy / "stages" / "student.1")
    written = export_run(Run.open(run_copy), tmp_path / "out")
    exported = [file.read_bytes() for file in sorted((written["dataset"] / "data").glob("*.parquet"))]
    assert exported == [file.read_bytes() for file in sorted((finished.dataset(0).path / "data").glob("*.parquet"))]


def test_another_order_of_filters_is_another_filtering(small_recipe: Recipe, run_copy: Path) -> None:
    summary, paraphrase = tasks_of(small_recipe)
    turned = replace(summary, filters=summary.filters[::-1])
    states = {stage.name: stage.state for stage in plan(small_recipe, run_copy, tasks=[turned, paraphrase])}
    assert states["filter.0.news"] != "done"
