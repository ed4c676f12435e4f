"""The cascade from the recipe to the filtered pairs, with tiny models: a perfect screen, a useless one, and too small a sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from impdistill.console.summary import print_status
from impdistill.filters import Cutoff
from impdistill.models.embedder import Embedder
from impdistill.outcome import Run
from impdistill.pipeline import _Maker, filter_candidates
from impdistill.recipe import Recipe
from impdistill.report import contents_of, write_report
from impdistill.run import BlockResult, FolderStage, Lineage, RunDirectory, StageStore
from impdistill.stages.parallel import SCHEMA
from impdistill.stages.screening import scorer_of
from impdistill.stages.step import FolderStep, RowStep, stage_name
from impdistill.tasks import tasks_of
from tests.models.tiny_judges import bert, save

BLOCKS, PER_BLOCK, SAMPLE = 16, 4, 40
WORDS = ("rain", "fell", "all", "day", "over", "the", "northern", "hills", "a", "committee", "met", "there", "again", "slept", "twice")


def open_pools() -> Callable[[int], BlockResult]:
    """Made-up pools of ten sentences."""

    def compute(block: int) -> BlockResult:
        rng = np.random.default_rng(block)
        contexts = range(block * PER_BLOCK, (block + 1) * PER_BLOCK)
        pools = [[" ".join(rng.choice(WORDS, int(rng.integers(3, 9)))).capitalize() + "." for _ in range(10)] for _ in contexts]
        columns = [list(contexts), pools, [[None] * 10] * PER_BLOCK, [0] * PER_BLOCK]
        return BlockResult({"pools": pa.table(columns, schema=SCHEMA)})

    return compute


class Filtered:
    """A run as far as the filters of one teacher, whose pools were made up."""

    def __init__(self, folder: Path, judge: str, *overrides: str) -> None:
        content = {"name": "made", "teachers": [{"domain": "news", "model": judge}], "judge": {"model": judge}}
        levels = {"entailment": 0.4, "diversity": 0.97}
        small = [f"tasks.{task}.filters.{rule}.threshold={level}" for task in ("summary", "paraphrase") for rule, level in levels.items()]
        shape = ["numerics.contexts_per_block=4", "numerics.dtype=float32", "execution.device=cpu", "execution.threads=1"]
        self.recipe = Recipe.load(content, [*small, *shape, "self_distillation.rounds=0", *overrides])
        exists = RunDirectory.exists(folder)
        self.directory = RunDirectory.open(folder) if exists else RunDirectory.create(folder, self.recipe.to_yaml())
        self.run = Run(self.directory)
        pools = RowStep(Lineage(stage_name("parallel", 0, "news"), 1), BLOCKS, open_pools)
        self.made: list[str] = []
        maker = _Maker(self.directory, self.recipe, lambda progress: None)

        def do(step: RowStep | FolderStep) -> RowStep | FolderStep:
            self.made.append(step.lineage.stage)
            return maker(step)

        with self.directory.lock():
            candidates = do(pools)
            filter_candidates(self.recipe, self.recipe.teachers[0], tasks_of(self.recipe), [candidates], 0, do)  # type: ignore[list-item,arg-type]

    @property
    def store(self) -> StageStore:
        return self.run.filters(0)["news"]

    def kept(self, blocks: range) -> set[tuple[str, str, str]]:
        rows = [row for block in blocks for row in self.store.read_block("pairs", block).to_pylist()]
        return {(row["task"], row["x"], row["y"]) for row in rows if row["reason"] is None}

    def cutoffs(self) -> dict[str, Cutoff]:
        screen = self.directory.current_stage("screen.0.news")
        assert isinstance(screen, FolderStage)
        return {task: Cutoff(**fields) for task, fields in screen.facts()["tasks"].items()}


def cascade(model: str, *more: str) -> list[str]:
    return [f"judge.cascade.{each}" for each in (f"model={model}", "recall=0.9", f"contexts={SAMPLE}", *more)]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("judge") / "large", *bert())


@pytest.fixture(scope="module")
def alone(judge: str, tmp_path_factory: pytest.TempPathFactory) -> Filtered:
    return Filtered(tmp_path_factory.mktemp("alone") / "run", judge)


def test_a_perfect_screen_spares_questions_and_loses_as_little_as_its_bound_says(alone: Filtered, judge: str, tmp_path: Path) -> None:
    found = Filtered(tmp_path / "run", judge, *cascade(judge))
    assert found.made == ["parallel.0.news", "calibration.0.news", "screen.0.news", "filter.0.news"]
    cutoffs = found.cutoffs()
    assert all(cutoff.value is not None and cutoff.bound >= 0.9 and cutoff.spared >= 0.1 for cutoff in cutoffs.values()), cutoffs
    sample = range(SAMPLE // PER_BLOCK)
    assert found.kept(sample) == alone.kept(sample)
    screened = range(SAMPLE // PER_BLOCK, BLOCKS)
    score = scorer_of(found.recipe)
    plainly = alone.kept(screened)
    passing = set()
    for task, x, y in plainly:
        directions = np.array([[0, 1]] if task == "summary" else [[0, 1], [1, 0]])
        cutoff = cutoffs[task].value
        assert cutoff is not None
        if (score([x, y], directions) >= cutoff - 1e-5).all():
            passing.add((task, x, y))
    assert passing <= found.kept(screened)
    assert len(passing) > 0.8 * len(plainly)
    counts, plain = found.store.counts(), alone.store.counts()
    assert counts["questions/spared/screen"] > 0
    assert counts["screen/questions"] > 0
    assert any(key.endswith("/dropped/screen") for key in counts)
    assert (
        counts["questions/all"] == sum(number for key, number in counts.items() if key.startswith("questions/")) - counts["questions/all"]
    )
    asked = {name: sum(n for key, n in each.items() if key.startswith(("questions/asked", "questions/recorded")))
             for name, each in (("screened", counts), ("alone", plain))}  # fmt: skip
    assert asked["screened"] < asked["alone"]

    console = Console(record=True, width=250)
    print_status(found.run, console)
    shown = console.export_text()
    contents = contents_of(found.run).rounds[0]
    page = write_report([found.run], tmp_path / "report", figures=False).read_text(encoding="utf-8")
    for task, cutoff in cutoffs.items():
        assert f"Screen, news, {task}: {cutoff.why}" in shown
        assert contents.cutoffs["news"][task] == cutoff
        assert cutoff.why in page
    assert ", screen " in shown
    assert [step for step, _ in contents.funnels[0].steps] == ["generated", "well-formed", "length", "screen", "entailment", "diversity"]
    assert all(funnel.generated == funnel.kept + sum(funnel.dropped.values()) for funnel in contents.funnels)


def test_a_useless_screen_is_noticed_and_lets_all_pass(alone: Filtered, judge: str, tmp_path: Path) -> None:
    other = save(tmp_path / "other", *bert(seed=11))
    found = Filtered(tmp_path / "run", judge, *cascade(other, "least_saving=0.3"))
    assert [cutoff.value for cutoff in found.cutoffs().values()] == [None, None]
    assert all("all pass: it would spare" in cutoff.why for cutoff in found.cutoffs().values())
    assert found.kept(range(BLOCKS)) == alone.kept(range(BLOCKS))
    assert found.store.counts().get("questions/spared/screen", 0) == found.store.counts()["screen/questions"] == 0


def test_too_small_a_sample_lets_all_pass(judge: str, tmp_path: Path) -> None:
    found = Filtered(tmp_path / "run", judge, *cascade(judge, "recall=0.999"))
    assert all(cutoff.value is None and "are needed" in cutoff.why for cutoff in found.cutoffs().values())


def test_the_cascade_is_part_of_the_key_and_a_looser_one_asks_only_what_is_missing(alone: Filtered, judge: str, tmp_path: Path) -> None:
    first = Filtered(tmp_path / "run", judge, *cascade(judge))
    assert first.store.key != alone.store.key
    key = Filtered(tmp_path / "stricter", judge, *cascade(judge, "recall=0.95")).store.key
    assert key not in (first.store.key, alone.store.key)


def test_likeness_of_embeddings_is_a_screen_too(small_models: dict[str, str]) -> None:
    if "embedder" not in small_models:
        pytest.skip("needs the starter embedder")
    content = {"name": "made", "teachers": [{"domain": "news", "model": "any"}]}
    score = scorer_of(Recipe.load(content, [f"judge.cascade.{each}" for each in (f"model={small_models['embedder']}", "kind=embedder")]))
    texts = [
        "The committee met on Tuesday.",
        "A committee met on Tuesday to talk.",
        "Rain fell over the hills.",
        "The committee met on Tuesday.",
    ]
    near, far, same, back = score(texts, np.array([[0, 1], [0, 2], [0, 3], [1, 0]]))
    assert far < near < same == pytest.approx(1, abs=1e-5)
    assert near == back
    vectors = Embedder.load(small_models["embedder"]).embed(texts[:2])
    assert near == pytest.approx(vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1]), abs=1e-5)
