"""The rows of one stage on disk: a directory of shards, read in block order however they were cut.

A shard counts once its manifest is there, which is written last; a table file without one is a leftover. One process
writes (it holds the run's lock), any number read, also while the stage is being computed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from impdistill.errors import DamagedShardError, RunError
from impdistill.run.record import StageRecord
from impdistill.run.shards import ComputedShard, Shard, ShardManifest
from impdistill.run.storage import (
    TEMPORARY,
    BrokenSealError,
    fsync_directory,
    read_sealed,
    storage_errors,
    write_durably,
    write_sealed,
)


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a shard that is not what its manifest says; `found` says in which way."""

    shard: Shard
    path: Path
    found: str

    def error(self) -> DamagedShardError:
        return DamagedShardError(f"{self.path}: {self.found}; run again with --repair to rebuild {self.shard} of its stage")


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far a stage is. seconds: computing so far, summed over workers. seconds_left: None where nobody computes or knows."""

    stage: str
    done_blocks: int
    total_blocks: int
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_left: float | None = None


class StageStore:
    """One stage's shards under `directory`. Picklable, so a worker can be handed its inputs.

    Blocks beyond `total_blocks` (left from a larger run) are ignored. Where shards overlap, a block is read from the
    first that has it.
    """

    def __init__(self, directory: Path, record: StageRecord) -> None:
        self.directory = directory
        self.stage = record.lineage.stage
        self.key = record.lineage.key
        self.total_blocks = record.total_blocks
        self._manifests: dict[Shard, ShardManifest] = {}
        self._intact: set[Path] = set()

    @classmethod
    def open(cls, directory: Path) -> StageStore:
        """A stage for reading. Raises `RunError` if there is none."""
        return cls(directory, StageRecord.read(directory))

    def complete_blocks(self) -> list[int]:
        """Blocks that are on disk, ascending."""
        return list(self._owners())

    def missing_blocks(self) -> list[int]:
        """Blocks still to compute, ascending."""
        owners = self._owners()
        return [block for block in range(self.total_blocks) if block not in owners]

    def is_done(self) -> bool:
        return not self.missing_blocks()

    def read(self, table: str, columns: Sequence[str] | None = None, *, partial: bool = False) -> pa.Table:
        """All rows of a table in block order. Raises `RunError` if blocks are missing, unless `partial`; `DamagedShardError`."""
        tables = [rows for _, rows in self.iter_blocks(table, columns, partial=partial)]
        if not tables:
            raise RunError(f"{self.directory}: no block of stage {self.stage} is there yet; run it first")
        return pa.concat_tables(tables)

    def iter_blocks(self, table: str, columns: Sequence[str] | None = None, *, partial: bool = False) -> Iterator[tuple[int, pa.Table]]:
        """(block, its rows) in block order, one block in memory at a time. Raises as `read`."""
        owners = self._owners()
        if len(owners) < self.total_blocks and not partial:
            raise RunError(f"{self.directory}: stage {self.stage} has {len(owners)} of {self.total_blocks} blocks; run again to go on")
        for block, manifest in owners.items():
            yield block, self._read_block(manifest, table, block, columns)

    def read_block(self, table: str, block: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one block. Raises `RunError` if it is not there, `DamagedShardError`."""
        manifest = _holding(block, self._manifests.values()) or _holding(block, self._scanned())
        if manifest is None:
            raise RunError(f"{self.directory}: block {block} of stage {self.stage} is not there yet; run that stage first")
        return self._read_block(manifest, table, block, columns)

    def counts(self, prefix: str = "", blocks: Collection[int] | None = None) -> dict[str, int]:
        """Counts summed over the complete blocks, sorted by name.

        Args:
            prefix: only names below it ("summary/"), without it.
            blocks: only of these; None is of all.
        """
        total: Counter[str] = Counter()
        for block, manifest in self._owners().items():
            if blocks is not None and block not in blocks:
                continue
            for name, count in manifest.blocks[block - manifest.shard.first].counts.items():
                if name.startswith(prefix):
                    total[name.removeprefix(prefix)] += count
        return dict(sorted(total.items()))

    def notes(self) -> list[str]:
        """What blocks noted about themselves, as "block 3: ..."."""
        return [
            f"block {block}: {note}"
            for block, manifest in self._owners().items()
            for note in manifest.blocks[block - manifest.shard.first].notes
        ]

    def progress(self) -> StageProgress:
        """From manifests only: safe, and current, while another process computes."""
        owners = self._owners()
        seconds = sum(manifest.blocks[block - manifest.shard.first].seconds for block, manifest in owners.items())
        return StageProgress(self.stage, len(owners), self.total_blocks, self.counts(), seconds)

    # Damage

    def damaged(self) -> list[Damage]:
        """Every file that differs from its manifest. Reads all bytes of the stage."""
        manifests, damages = self._scan()
        for manifest in manifests:
            damages += [damage for table in manifest.checksums if (damage := self._damage(manifest, table))]
        return sorted(damages, key=lambda damage: (damage.shard, damage.path))

    def verify(self) -> None:
        """Raises `DamagedShardError` about the first damaged file."""
        for damage in self.damaged():
            raise damage.error()

    def discard(self, shard: Shard) -> None:
        """Removes a shard, so that the next run rebuilds it."""
        with storage_errors(self.directory):
            (self.directory / shard.manifest_name()).unlink(missing_ok=True)
            fsync_directory(self.directory)
            for path in self.directory.glob(shard.table_name("*")):
                path.unlink()
        self._manifests, self._intact = {}, set()

    def repair(self) -> list[Shard]:
        """Discards the damaged shards and returns them; computing them anew is `run_blocks`'s."""
        shards = sorted({damage.shard for damage in self.damaged()})
        for shard in shards:
            self.discard(shard)
        return shards

    # Writing

    def commit(self, computed: ComputedShard, made_with: Mapping[str, str]) -> None:
        """Puts a shard on disk: its tables, then the manifest that makes them count. Raises `StorageError`."""
        manifest = ShardManifest.of(computed, self.key, made_with)
        for table, content in computed.tables.items():
            write_durably(self.directory / computed.shard.table_name(table), content)
        write_sealed(self.directory / computed.shard.manifest_name(), manifest.as_json())

    def remove_leftovers(self) -> None:
        """Removes what a killed process left: temporary files, tables without a manifest. For the process that holds the lock."""
        manifests, damages = self._scan()
        owned = {manifest.shard for manifest in manifests} | {damage.shard for damage in damages}
        kept = tuple(shard.table_name("") for shard in owned)
        with storage_errors(self.directory):
            for path in self.directory.iterdir():
                if path.name.startswith(TEMPORARY) or (path.suffix == ".parquet" and not path.name.endswith(kept)):
                    path.unlink()

    def _scan(self) -> tuple[list[ShardManifest], list[Damage]]:
        """The manifests on disk in order, each parsed once (they never change), and those that cannot be read."""
        manifests: dict[Shard, ShardManifest] = {}
        damages: list[Damage] = []
        shards = {shard: path for path in self.directory.iterdir() if (shard := Shard.of_manifest(path))}
        for shard, path in sorted(shards.items()):
            if shard in self._manifests:
                manifests[shard] = self._manifests[shard]
                continue
            try:
                manifest = ShardManifest.from_json(read_sealed(path))
            except FileNotFoundError:  # another process is rebuilding it
                continue
            except BrokenSealError as error:
                damages.append(Damage(shard, path, str(error)))
                continue
            if manifest.key == self.key:
                manifests[shard] = manifest
            else:
                damages.append(Damage(shard, path, f"belongs to key {manifest.key[:12]}, not {self.key[:12]}"))
        self._manifests = manifests
        return list(manifests.values()), damages

    def _scanned(self) -> list[ShardManifest]:
        manifests, damages = self._scan()
        for damage in damages:
            raise damage.error()
        return manifests

    def _owners(self) -> dict[int, ShardManifest]:
        """Block to the manifest it is read from, ascending, within `total_blocks`."""
        owners: dict[int, ShardManifest] = {}
        for manifest in self._scanned():
            for block in manifest.shard.blocks():
                if block < self.total_blocks:
                    owners.setdefault(block, manifest)
        return dict(sorted(owners.items()))

    def _read_block(self, manifest: ShardManifest, table: str, block: int, columns: Sequence[str] | None) -> pa.Table:
        path = self.directory / manifest.shard.table_name(table)
        if table not in manifest.checksums:
            raise RunError(f"{self.directory}: stage {self.stage} has no table {table!r}, only {sorted(manifest.checksums)}")
        if path not in self._intact and (damage := self._damage(manifest, table)):
            raise damage.error()
        self._intact.add(path)
        group = manifest.row_group(table, block)
        with pq.ParquetFile(path) as file:
            # a block decodes in about a millisecond: threads only get in the way of whoever else computes
            return file.read_row_groups([] if group is None else [group], columns=columns, use_threads=False)

    def _damage(self, manifest: ShardManifest, table: str) -> Damage | None:
        path = self.directory / manifest.shard.table_name(table)
        if not path.exists():
            return Damage(manifest.shard, path, "is missing")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != manifest.checksums[table]:
                return Damage(manifest.shard, path, "its checksum differs from its manifest")
        found, expected = pq.read_metadata(path).num_rows, manifest.rows(table)
        if found != expected:
            return Damage(manifest.shard, path, f"holds {found} rows where its manifest says {expected}")
        return None


def _holding(block: int, manifests: Iterable[ShardManifest]) -> ShardManifest | None:
    return next((manifest for manifest in manifests if block in manifest.shard.blocks()), None)
