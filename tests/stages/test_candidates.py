"""Answers on disk: damage is an error in what is part of the run, and no more than absence in other versions of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from impdistill.errors import DamagedShardError
from impdistill.run import BlockResult, Lineage, RunDirectory, StageStore, run_blocks
from impdistill.stages.candidates import known_scores
from impdistill.stages.filtering import SCORES


def store_of(run: RunDirectory, stage: str, entailment: float) -> StageStore:
    rows = [{"context": 7, "premises": [0], "hypotheses": [1], "entailment": [entailment], "read": [], "fluency": []}]
    store = run.stage(Lineage(stage, 1), 2)
    run_blocks(store, lambda: lambda block: BlockResult({"scores": pa.Table.from_pylist(rows, SCORES)}))
    return store


@pytest.mark.parametrize("damaged", ["scores-000001-000001.parquet", "000001-000001.json"])
def test_damage_counts_as_absence_in_history_alone(tmp_path: Path, damaged: str) -> None:
    run = RunDirectory.create(tmp_path / "run", "")
    sample, older = store_of(run, "calibration.0.news", 0.25), store_of(run, "filter.0.news", 0.5)
    assert known_scores([sample], [older], 1)[7].entailment.tolist() == [0.25, 0.5]  # the first counts
    path = older.directory / damaged
    path.write_bytes(path.read_bytes()[:-7])
    older = StageStore.open(older.directory)
    assert known_scores([sample], [older], 1)[7].entailment.tolist() == [0.25]
    with pytest.raises(DamagedShardError, match=damaged):
        known_scores([older], [], 1)
