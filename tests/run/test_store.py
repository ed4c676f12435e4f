from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from impdistill.errors import DamagedShardError, RunError
from impdistill.run import Lineage, Shard, StageStore, run_blocks
from impdistill.run.record import StageRecord
from impdistill.run.shards import ComputedShard, compute_shard
from impdistill.run.storage import read_sealed, write_sealed
from tests.run.toy import TOY, open_recording, open_toy, stage_at, table_files

BLOCKS = 20


def plain_rows(table: str, blocks: range) -> pa.Table:
    return pa.concat_tables([open_toy()(block).tables[table] for block in blocks])


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    store = stage_at(tmp_path / "run", BLOCKS)
    run_blocks(store, open_toy, blocks_per_shard=7, made_with={"torch": "2.13"})
    return store


def test_rows_come_in_block_order_whole_or_by_block(store: StageStore) -> None:
    reader = StageStore.open(store.directory)
    for table in ("pairs", "drops"):
        assert reader.read(table).equals(plain_rows(table, range(BLOCKS)))
        for block in (19, 3, 0, 8):
            assert reader.read_block(table, block).equals(open_toy()(block).tables[table])
        assert [block for block, _ in reader.iter_blocks(table)] == list(range(BLOCKS))
    assert reader.read("pairs", ["text"]).column_names == ["text"]
    assert reader.read_block("pairs", 3, ["entailment"]).schema == pa.schema({"entailment": pa.float32()})
    with pytest.raises(RunError, match=r"no table 'scores', only \['drops', 'pairs'\]"):
        reader.read("scores")


def test_counts_notes_and_seconds_are_the_sum_of_blocks(store: StageStore) -> None:
    kept = sum(open_toy()(block).counts["summary/kept"] for block in range(BLOCKS))
    assert store.counts() == {"summary/dropped/length": sum(block % 3 for block in range(BLOCKS)), "summary/kept": kept}
    assert store.counts("summary/") == {"dropped/length": 19, "kept": kept}
    assert store.notes() == ["block 4: batch split for want of memory"]
    assert store.progress().done_blocks == BLOCKS
    assert store.progress().counts == store.counts()
    assert read_sealed(store.directory / "000000-000006.json")["made_with"] == {"torch": "2.13"}


def test_a_stage_can_be_read_while_it_grows_and_ignores_blocks_beyond_its_total(tmp_path: Path) -> None:
    writer = stage_at(tmp_path / "run", 10)
    reader = StageStore.open(writer.directory)
    with pytest.raises(RunError, match="no block"):
        reader.read("pairs", partial=True)
    run_blocks(writer, open_toy, blocks_per_shard=4)
    assert reader.progress().done_blocks == 10
    grown = stage_at(tmp_path / "run", 16)  # more contexts: only the new blocks are missing
    assert grown.missing_blocks() == list(range(10, 16))
    with pytest.raises(RunError, match="has 10 of 16 blocks"):
        grown.read("pairs")
    with pytest.raises(RunError, match="block 12"):
        grown.read_block("pairs", 12)
    assert grown.read("pairs", partial=True).equals(plain_rows("pairs", range(10)))
    before = table_files(grown.directory)
    run_blocks(grown, open_toy, blocks_per_shard=4)
    assert grown.read("pairs").equals(plain_rows("pairs", range(16)))
    assert before.items() <= table_files(grown.directory).items()
    shrunk = stage_at(tmp_path / "run", 6)
    assert shrunk.read("pairs").equals(plain_rows("pairs", range(6)))
    assert shrunk.counts("summary/kept") == {"": shrunk.read("pairs").num_rows}


def test_overlapping_shards_count_each_block_once(tmp_path: Path) -> None:
    store = stage_at(tmp_path / "run", 9)
    for first, last in [(0, 4), (3, 8), (2, 3)]:
        *_, computed = compute_shard(open_toy(), Shard(first, last))
        assert isinstance(computed, ComputedShard)
        store.commit(computed, {})
    assert store.complete_blocks() == list(range(9))
    assert store.read("pairs").equals(plain_rows("pairs", range(9)))
    assert store.counts("summary/kept") == {"": store.read("pairs").num_rows}


def test_a_store_can_be_handed_to_another_process(store: StageStore) -> None:
    store.read("pairs")
    # what multiprocessing does with a store, in one process: our own bytes, nothing foreign
    assert pickle.loads(pickle.dumps(store)).read("pairs").equals(store.read("pairs"))


def read_all(store: StageStore) -> None:
    store.read("pairs")
    store.read("drops")


def flip(path: Path, offset: int = 100) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def damage_byte(store: StageStore) -> str:
    flip(store.directory / "pairs-000007-000013.parquet")
    return r"pairs-000007-000013\.parquet: its checksum differs"


def damage_length(store: StageStore) -> str:
    path = store.directory / "drops-000007-000013.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    return r"drops-000007-000013\.parquet: its checksum differs"


def damage_absence(store: StageStore) -> str:
    (store.directory / "pairs-000007-000013.parquet").unlink()
    return r"pairs-000007-000013\.parquet: is missing"


def damage_manifest(store: StageStore) -> str:
    flip(store.directory / "000007-000013.json")
    return r"000007-000013\.json: (its content differs|cannot be read)"


def damage_row_count(store: StageStore) -> str:
    path = store.directory / "000007-000013.json"
    content: dict[str, Any] = dict(read_sealed(path))
    content["blocks"][0]["rows"]["pairs"] += 1
    write_sealed(path, content)
    return r"pairs-000007-000013\.parquet: holds \d+ rows where its manifest says \d+"


def damage_key(store: StageStore) -> str:
    path = store.directory / "000007-000013.json"
    write_sealed(path, {**read_sealed(path), "key": "0" * 64})
    return r"000007-000013\.json: belongs to key 000000000000"


@pytest.mark.parametrize("damage", [damage_byte, damage_length, damage_absence, damage_manifest, damage_row_count, damage_key])
def test_damage_is_named_when_read_and_repaired_by_rebuilding_that_shard_alone(
    store: StageStore, damage: Callable[[StageStore], str]
) -> None:
    before = table_files(store.directory)
    message = damage(store)
    for find in (StageStore.verify, read_all):
        with pytest.raises(DamagedShardError, match=f"{store.directory}/{message}.*--repair to rebuild blocks 7-13"):
            find(StageStore.open(store.directory))
    fresh = stage_at(store.directory.parents[2], BLOCKS)
    assert fresh.repair() == [Shard(7, 13)]
    computed: list[int] = []

    run_blocks(fresh, open_recording, (computed,), blocks_per_shard=7)
    assert computed == list(range(7, 14))
    fresh.verify()
    assert table_files(store.directory) == before


def test_an_intact_stage_verifies_and_repairs_nothing(store: StageStore) -> None:
    store.verify()
    assert store.repair() == []


def test_a_directory_without_a_stage_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no stage.*stage\.json"):
        StageStore.open(tmp_path)


def test_another_key_in_the_same_directory_is_refused(store: StageStore) -> None:
    with pytest.raises(RunError, match=f"holds key {TOY.key}, not"):
        StageRecord(Lineage("toy", 2), 1, "rows").write(store.directory)
