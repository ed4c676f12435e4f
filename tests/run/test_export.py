from __future__ import annotations

import errno
import shutil
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
import yaml

from impdistill.errors import RunError, StorageError
from impdistill.run import export_directories, write_dataset


def rows(first: int, last: int) -> pa.Table:
    return pa.table({"x": [f"source {i}" for i in range(first, last)], "entailment": [i / 100 for i in range(first, last)]})


@pytest.fixture(autouse=True)
def no_progress_bars() -> None:
    datasets.disable_progress_bars()


@pytest.mark.parametrize("rows_per_file", [1000, 40])
def test_datasets_opens_it_with_its_splits(tmp_path: Path, rows_per_file: int) -> None:
    metadata = {"license": "odc-by", "tags": ["paraphrase"]}
    out = tmp_path / "dataset"
    write_dataset(out, {"train": rows(0, 90), "validation": rows(90, 100)}, "# Pairs\n", metadata, rows_per_file=rows_per_file)
    opened = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {split: opened[split].num_rows for split in opened} == {"train": 90, "validation": 10}
    assert opened["train"].to_list() == rows(0, 90).to_pylist()
    assert opened["validation"].to_list() == rows(90, 100).to_pylist()
    _, header, body = (out / "README.md").read_text().split("---\n")
    assert body == "\n# Pairs\n"
    assert yaml.safe_load(header)["license"] == "odc-by"
    files = sorted(path.name for path in (out / "data").iterdir())
    if rows_per_file == 40:
        assert files[:3] == [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    else:
        assert files == ["train-00000-of-00001.parquet", "validation-00000-of-00001.parquet"]


def test_a_split_without_rows_is_left_out_as_datasets_cannot_open_it(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", {"train": rows(0, 3), "validation": rows(0, 0)}, "")
    opened = datasets.load_dataset(str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache"))
    assert {split: opened[split].num_rows for split in opened} == {"train": 3}
    with pytest.raises(RunError, match="there are no rows to write"):
        write_dataset(tmp_path / "empty", {"train": rows(0, 0)}, "")
    assert not (tmp_path / "empty").exists()


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    pieces = pa.concat_tables([rows(0, 10), rows(10, 50)])
    for name, table in (("a", rows(0, 50)), ("b", pieces)):
        write_dataset(tmp_path / name, {"train": table}, "card")
    name = "data/train-00000-of-00001.parquet"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    for name in ("dataset", "model"):
        (tmp_path / "run" / name / "inner").mkdir(parents=True)
        (tmp_path / "run" / name / "inner" / "file").write_text(name)
    return {"dataset": tmp_path / "run" / "dataset", "model": tmp_path / "run" / "model"}


def test_folders_are_copied_into_a_new_or_empty_directory(tmp_path: Path, parts: dict[str, Path]) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "new" / "deep"):
        export_directories(out, parts)
        assert sorted(path.name for path in out.iterdir()) == ["dataset", "model"]
        assert (out / "model" / "inner" / "file").read_text() == "model"
        assert [path.name for path in out.parent.iterdir() if path.name.startswith(".tmp-")] == []


def test_nothing_is_overwritten(tmp_path: Path, parts: dict[str, Path]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    for target in (out, out / "mine"):
        with pytest.raises(StorageError, match="exists and is not an empty directory; nothing is overwritten"):
            export_directories(target, parts)
    assert {path.name: path.read_text() for path in out.iterdir()} == {"mine": "mine"}


def test_absent_folders_and_targets_inside_them_are_refused(tmp_path: Path, parts: dict[str, Path]) -> None:
    with pytest.raises(RunError, match="absent: is not there"):
        export_directories(tmp_path / "out", {**parts, "other": tmp_path / "absent"})
    with pytest.raises(StorageError, match="lies inside"):
        export_directories(parts["model"] / "out", parts)
    with pytest.raises(StorageError, match="/proc/out"):
        export_directories(Path("/proc/out"), parts)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_no_part(tmp_path: Path, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.copytree

    def fill(source: Path, target: Path, *options: object) -> None:
        if Path(source).name == "model":
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(shutil, "copytree", fill)
    with pytest.raises(StorageError, match="No space left"):
        export_directories(tmp_path / "out", parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_the_directory_one_is_in_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(StorageError, match="is the directory you are in"):
        export_directories(Path(), {"dataset": tmp_path / "made"})
