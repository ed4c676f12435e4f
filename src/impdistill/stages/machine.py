"""The machine a step runs on: threads, and what a manifest says of it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch

from impdistill.models.loading import choose_device, why_dtype
from impdistill.recipe import ExecutionRecipe

NOTED_PACKAGES = ("impdistill", "torch", "transformers", "tokenizers", "numpy", "pyarrow")


def use_threads(execution: ExecutionRecipe, *, alone: bool = False) -> None:
    """Let torch use the threads that the recipe gives a worker: as told, or the cores shared out evenly.

    Args:
        alone: no other worker runs now (training): all cores, whatever the number of workers, since the sums of gradients depend
            on it. What runs forward only does not: measured bit for bit on one and two threads.
    """
    processes = 1 if alone else execution.workers * (2 if execution.overlap else 1)
    torch.set_num_threads(execution.threads or max(1, available_cores() // processes))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def made_with(execution: ExecutionRecipe, dtype: str | None = None) -> dict[str, str]:
    """Versions and machine, for manifests.

    Args:
        dtype: as the recipe asks for it; the manifest says what was chosen, and why. None where no model ran.
    """
    device = choose_device(execution.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    versions = {package: version(package) for package in NOTED_PACKAGES}
    chosen = {} if dtype is None else {"dtype": why_dtype(dtype, device)}
    return {**versions, "python": platform.python_version(), "device": f"{device} ({name})", **chosen}
