"""Where the models lie."""

from pathlib import Path

import pytest
from impdistill.recipe import Recipe

import impdistill_starter


def test_a_model_that_is_there_is_a_folder_with_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "config.json").write_text("{}")
    (tmp_path / "unfinished").mkdir()
    monkeypatch.setattr(impdistill_starter, "_MODELS", tmp_path)
    assert impdistill_starter.path("teacher") == tmp_path / "teacher"
    with pytest.raises(impdistill_starter.UnknownModelError, match="'unfinished'; this distribution holds: student-base, teacher"):
        impdistill_starter.path("unfinished")


def test_the_models_shipped_are_whole() -> None:
    for folder in (Path(impdistill_starter.__file__).parent / "models").glob("*/"):
        assert impdistill_starter.path(folder.name) == folder
        assert (folder / "README.md").is_file()
        assert all(file.stat().st_size < 50_000_000 for file in folder.rglob("*"))


def test_the_recipe_of_the_shipped_student_is_the_starters_with_more_rounds() -> None:
    ours, starter = Recipe.load(str(Path(__file__).parents[1] / "recipe" / "student.yaml")), Recipe.load("starter")
    assert ours.tasks == starter.tasks and ours.judge == starter.judge
    assert ours.contexts == starter.contexts and ours.self_distillation.rounds > starter.self_distillation.rounds
