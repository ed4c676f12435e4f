"""What leaves a run: a dataset directory that `datasets.load_dataset` opens, and copies of finished folders. Nothing is
ever overwritten.

Cards are rendered elsewhere; here they get the YAML front matter that tells `datasets` where the splits are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from impdistill.errors import RunError, StorageError
from impdistill.run.storage import (
    JSON,
    TEMPORARY,
    foreign_storage_errors,
    fsync_directory,
    make_directory,
    storage_errors,
    write_durably,
)

CARD_NAME = "README.md"
_ROWS_PER_FILE = 1_000_000
_ROWS_PER_GROUP = 20_000


def write_dataset(
    directory: Path,
    splits: Mapping[str, pa.Table],
    card: str,
    metadata: Mapping[str, JSON] | None = None,
    *,
    rows_per_file: int = _ROWS_PER_FILE,
) -> None:
    """Writes `data/<split>-<file>-of-<files>.parquet` and the card into `directory`, created where absent.

    splits: name ("train", "validation") to rows, all of one schema; one without rows is left out, as `datasets` cannot
        open it.
    card: Markdown without front matter.
    metadata: further fields of the front matter (license, language, tags).

    Equal rows give equal bytes. Raises `RunError` if no split has rows, `StorageError`.
    """
    splits = {split: rows for split, rows in splits.items() if rows.num_rows}
    if not splits:
        raise RunError(f"{directory}: there are no rows to write; loosen the filters or sample more contexts")
    configuration: JSON = {
        "config_name": "default",
        "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits],
    }
    make_directory(directory / "data")
    for split, rows in splits.items():
        files = -(-rows.num_rows // rows_per_file)
        for index in range(files):
            content = _parquet(rows.slice(index * rows_per_file, rows_per_file))
            write_durably(directory / "data" / f"{split}-{index:05d}-of-{files:05d}.parquet", content)
    header = front_matter({**(metadata or {}), "configs": [configuration]})
    write_durably(directory / CARD_NAME, f"{header}\n{card.strip()}\n".encode())


def front_matter(metadata: Mapping[str, JSON]) -> str:
    """The YAML block that opens a card, ending in a newline."""
    return f"---\n{yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True)}---\n"


def export_directories(out: Path, parts: Mapping[str, Path]) -> None:
    """Copies finished folders to `out/<name>`, all or none.

    Raises `StorageError` if `out` exists and is not an empty directory, lies in what is copied, or may not be written;
    `RunError` if a folder is absent.
    """
    if out.resolve() == Path.cwd():
        raise StorageError(f"{out}: is the directory you are in, which would be replaced; give a new one, e.g. --out exported")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError(f"{out}: exists and is not an empty directory; nothing is overwritten: choose another, or remove it")
    for source in parts.values():
        if not source.is_dir():
            raise RunError(f"{source}: is not there; run the stage that makes it first")
        if out.resolve().is_relative_to(source.resolve()):
            raise StorageError(f"{out}: lies inside {source}, which is to be copied; choose another directory")
    temporary = out.with_name(f"{TEMPORARY}{os.getpid()}-{out.name}")
    with storage_errors(out):
        temporary.mkdir(parents=True)
    try:
        with foreign_storage_errors(temporary):
            for name, source in parts.items():
                shutil.copytree(source, temporary / name)
            temporary.replace(out)
            fsync_directory(out.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows.combine_chunks(), sink, compression="zstd", compression_level=3, row_group_size=_ROWS_PER_GROUP)
    content: bytes = sink.getvalue().to_pybytes()
    return content
