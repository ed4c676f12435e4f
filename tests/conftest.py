"""Shared fixtures: one thread (tests must not fight for cores), no network, and the real models and data beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest
import torch

from impdistill.errors import ImpdistillError
from impdistill.models.loading import resolve
from impdistill.recipe import Recipe

torch.set_num_threads(1)

SHARED = Path(os.environ.get("IMPDISTILL_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models, corpora and benchmarks that may lie beside the checkout (or at $IMPDISTILL_SHARED)."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder of models and benchmarks at {SHARED} (or $IMPDISTILL_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def small_models() -> dict[str, str]:
    """teacher, judge, embedder: real small models, from impdistill-starter if installed, else from beside the checkout."""
    models = {}
    for name in ("teacher", "judge", "embedder"):
        beside = SHARED / "models" / name
        try:
            models[name] = resolve(f"starter:{name}")
        except ImpdistillError:
            if beside.is_dir():
                models[name] = str(beside)
    if not {"teacher", "judge"} <= set(models):
        pytest.skip("needs real small models: pip install ./starter")
    return models


@pytest.fixture(scope="session")
def small_recipe(small_models: dict[str, str]) -> Recipe:
    """The whole loop on real small models, in seconds; thresholds low enough that such models keep something."""
    content = {
        "name": "small",
        "teachers": [
            {"domain": name.lower(), "model": small_models["teacher"], "prefix": f"literal:<|endoftext|>{name}:"}
            for name in ("News", "Biomedical")
        ],
        "contexts": {"count": 8, "sentences": [1, 2], "sampling": {"max_new_tokens": 64}},
        "parallel": {"samples": 16},
        "sequential": {"outputs": 4, "neurologic": {"beam_size": 4}, "embedder": small_models.get("embedder", "none")},
        "judge": {"model": small_models["judge"]},
        "student": {
            "model": small_models["teacher"],
            "training": {
                "epochs": 20,
                "max_steps": 24,
                "learning_rate": 5e-4,
                "batch_size": 4,
                "gradient_accumulation": 1,
                "max_source_tokens": 128,
            },
        },
        "self_distillation": {"contexts": 8, "sources_per_context": 2, "decoding": {"max_new_tokens": 40}},
        "numerics": {"contexts_per_block": 2},
        "execution": {"blocks_per_shard": 1, "threads": 1},
    }
    thresholds = [
        f"tasks.{task}.filters.{name}.threshold={least}"
        for task in ("summary", "paraphrase")
        for name, least in (("entailment", 0.05), ("diversity", 0.2))
    ]
    off = [] if "embedder" in small_models else ["sequential.outputs=0"]
    return Recipe.load(content, [*thresholds, *off])
