from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from impdistill.errors import DamagedShardError, RunError, StorageError
from impdistill.run import FolderStage, Lineage, RunDirectory, StageStore, run_blocks
from tests.run.toy import TOY, open_failing, open_toy

TIGHTER = replace(TOY, settings={**TOY.settings, "threshold": 0.95})


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run", "seed: 7\n")


def test_a_run_is_created_once_and_opened_again(run: RunDirectory) -> None:
    assert RunDirectory.exists(run.path)
    again = RunDirectory.open(run.path)
    assert again.recipe_path.read_text(encoding="utf-8") == "seed: 7\n"
    again.write_recipe("seed: 8\n")
    assert run.recipe_path.read_text(encoding="utf-8") == "seed: 8\n"
    with pytest.raises(RunError, match="there is a run already"):
        RunDirectory.create(run.path, "")


def test_nothing_of_somebody_elses_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("mine")
    with pytest.raises(RunError, match=r"not a run, and not empty \(it holds recipe\.yaml\)"):
        RunDirectory.create(tmp_path, "")
    with pytest.raises(RunError, match="is not a directory"):
        RunDirectory.create(tmp_path / "recipe.yaml", "")
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]
    assert (tmp_path / "recipe.yaml").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    RunDirectory.create(tmp_path / "empty", "")


def test_what_is_no_run_says_so(tmp_path: Path, run: RunDirectory) -> None:
    with pytest.raises(RunError, match="no run is there"):
        RunDirectory.open(tmp_path)
    with pytest.raises(StorageError, match="/proc/impdistill"):
        RunDirectory.create(Path("/proc/impdistill"), "")
    mark = run.path / "run.json"
    mark.write_text('{"format": 9, "impdistill": "3.0"}')
    with pytest.raises(RunError, match=r"format 9, made by impdistill 3\.0; this version reads format 1"):
        RunDirectory.open(run.path)
    mark.write_text("{")
    with pytest.raises(RunError, match=r"run\.json: does not say"):
        RunDirectory.open(run.path)


def test_a_plan_says_what_would_run_and_why_and_touches_nothing(run: RunDirectory) -> None:
    def planned(lineage: Lineage, total_blocks: int = 6) -> tuple[str, str, int]:
        before = sorted(run.path.rglob("*"))
        plan = run.plan(lineage, total_blocks)
        assert sorted(run.path.rglob("*")) == before
        assert (plan.name, plan.key, plan.total_blocks) == ("toy", lineage.key, total_blocks)
        return plan.state, plan.why, plan.done_blocks

    assert planned(TOY) == ("to do", "not run yet", 0)
    run.stage(TOY, 6)
    assert planned(TOY) == ("to do", "begun, no block finished", 0)
    with pytest.raises(KeyError):
        run_blocks(run.stage(TOY, 6), open_failing, (4, "bug"))
    assert planned(TOY) == ("partial", "4 of 6 blocks are there", 4)
    run_blocks(run.stage(TOY, 6), open_toy)
    assert planned(TOY) == ("done", "up to date", 6)
    assert planned(TOY, 8) == ("partial", "6 of 8 blocks are there", 6)
    assert planned(TIGHTER) == ("to do", "threshold: 0.9 -> 0.95", 0)
    run_blocks(run.stage(TIGHTER, 6), open_toy)
    assert planned(TOY) == ("done", "kept from an earlier run with these settings", 6)


def test_old_keys_stay_until_pruned(run: RunDirectory) -> None:
    old, new = run.stage(TOY, 2), run.stage(TIGHTER, 2)
    unfinished = run.folder(Lineage("student", 1)).directory / ".tmp-9-content"
    unfinished.mkdir()
    assert run.current("toy") == TIGHTER
    assert run.superseded() == sorted([old.directory, unfinished])
    assert run.prune() == sorted([old.directory, unfinished])
    assert not old.directory.exists()
    assert new.directory.exists()
    assert run.superseded() == []


def test_a_stage_that_somebody_removed_is_to_do_again(run: RunDirectory) -> None:
    store = run.stage(TOY, 1)
    for path in sorted(store.directory.rglob("*"), reverse=True):
        path.unlink()
    store.directory.rmdir()
    assert run.plan(TOY).why == "not run yet"
    assert run.current("toy") is None
    assert run.status() == []
    run_blocks(run.stage(TOY, 1), open_toy)


def test_status_lists_inputs_first(run: RunDirectory) -> None:
    contexts = Lineage("z-contexts", 1)
    pairs = Lineage("pairs", 1, inputs={"z-contexts": contexts.key})
    student = Lineage("a-student", 1, inputs={"pairs": pairs.key})
    folder = run.folder(student)
    with folder.building() as building:
        (building.path / "x").write_text("x")
        building.facts["seconds"] = 12.5
    run_blocks(run.stage(pairs, 3), open_toy)
    run.stage(contexts, 2)
    assert [(stage.stage, stage.done_blocks, stage.total_blocks) for stage in run.status()] == [
        ("z-contexts", 0, 2),
        ("pairs", 3, 3),
        ("a-student", 1, 1),
    ]
    assert run.status()[2].seconds == 12.5
    assert run.status()[1].counts["summary/dropped/length"] == 3


def test_the_current_stage_opens_for_reading(run: RunDirectory) -> None:
    run.stage(TOY, 1)
    run.folder(Lineage("student", 1))
    assert isinstance(run.current_stage("toy"), StageStore)
    assert isinstance(run.current_stage("student"), FolderStage)
    with pytest.raises(RunError, match=r"stage filter was never run; there are \['student', 'toy'\]"):
        run.current_stage("filter")


def test_damaged_records_are_named(run: RunDirectory) -> None:
    store = run.stage(TOY, 1)
    pointer = store.directory.parent / "current.json"
    pointer.write_text("{}")
    with pytest.raises(DamagedShardError, match=f"{pointer}: cannot be read.*remove it"):
        run.current("toy")
    pointer.unlink()
    (store.directory / "stage.json").write_text("{}")
    with pytest.raises(DamagedShardError, match=f"stage.json: cannot be read.*remove {store.directory}"):
        run.plan(TOY)


def test_stages_are_named_whatever_is_damaged_in_them(run: RunDirectory) -> None:
    store, folder = run.stage(TOY, 1), run.folder(Lineage("student", 1))
    for path in (store.directory / "stage.json", folder.directory / "manifest.json"):
        path.write_text("{", encoding="utf-8")
    assert run.stage_names() == ["student", "toy"]


def test_a_folder_is_verified_when_it_is_first_used(run: RunDirectory) -> None:
    folder = run.folder(Lineage("student", 1))
    with pytest.raises(RunError, match="not finished"):
        run.intact(folder)
    with folder.building() as building:
        (building.path / "weights").write_text("0.25", encoding="utf-8")
    assert run.intact(folder) is folder
    (folder.path / "weights").write_text("0.75", encoding="utf-8")
    assert run.intact(folder) is folder
    with pytest.raises(DamagedShardError, match="weights: its checksum differs"):
        RunDirectory.open(run.path).intact(folder)


def test_other_versions_are_those_that_can_be_read(run: RunDirectory) -> None:
    older = [run.stage(replace(TOY, settings={**TOY.settings, "threshold": threshold}), 1) for threshold in (0.1, 0.2, 0.3)]
    run.stage(TIGHTER, 1)
    (older[1].directory / "stage.json").write_text("{}", encoding="utf-8")
    found = run.other_versions(TIGHTER, ["lengths"])
    assert [store.key for store in found] == sorted(store.key for store in (older[0], older[2]))
    assert run.other_versions(TIGHTER, ["threshold"]) == ()
