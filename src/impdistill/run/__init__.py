"""A run on disk: stages as shards of Parquet or as folders, keyed by what they follow from, resumable after any
interruption.

Knows nothing of language models: a stage is a function from a block's index to tables.
"""

from impdistill.run.execute import StageWork, run_blocks, run_overlapping
from impdistill.run.export import export_directories, front_matter, write_dataset
from impdistill.run.folder import Building, FolderStage
from impdistill.run.interrupt import ending_promptly
from impdistill.run.layout import RunDirectory
from impdistill.run.lineage import Lineage, PlannedStage, differences, recipe_difference
from impdistill.run.lock import Holder, RunLock
from impdistill.run.shards import BlockResult, Compute, Shard
from impdistill.run.storage import JSON, write_durably
from impdistill.run.store import Damage, StageProgress, StageStore

__all__ = [
    "JSON",
    "BlockResult",
    "Building",
    "Compute",
    "Damage",
    "FolderStage",
    "Holder",
    "Lineage",
    "PlannedStage",
    "RunDirectory",
    "RunLock",
    "Shard",
    "StageProgress",
    "StageStore",
    "StageWork",
    "differences",
    "ending_promptly",
    "export_directories",
    "front_matter",
    "recipe_difference",
    "run_blocks",
    "run_overlapping",
    "write_dataset",
    "write_durably",
]
