"""Where a model lies, which version it is, and on what device and in what number format it runs.

Models come by hub name, by local path, or as `starter:NAME` from the `impdistill-starter` distribution. Only safetensors weights
are loaded and no code from a model repository is run.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from impdistill.errors import DependencyError, ModelError

STARTER = "starter:"
STARTER_PACKAGE = "impdistill_starter"
STARTER_FOLDER = "IMPDISTILL_STARTER"
"""Environment variable: a folder to take `starter:NAME` from instead of the package, for starter models of one's own."""

FINGERPRINTED_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")
"""What a model's outputs can depend on; cards and images do not count."""


def resolve(name: str) -> str:
    """The local path or hub name behind `name`.

    Args:
        name: `starter:teacher`, a local folder (anything that exists, or starts with `.`, `/` or `~`), or a hub name.

    Raises:
        DependencyError: `starter:` is asked for and impdistill-starter is not installed.
        ModelError: a local folder does not exist or holds no `config.json`.
    """
    if name.startswith(STARTER) and STARTER_FOLDER in os.environ:
        return resolve(str(Path(os.environ[STARTER_FOLDER]).expanduser().absolute() / name.removeprefix(STARTER)))
    if name.startswith(STARTER):
        try:
            starter = importlib.import_module(STARTER_PACKAGE)
        except ModuleNotFoundError as absent:
            raise DependencyError(
                f"{name}: the starter models are not installed; run: pip install impdistill-starter "
                "(from a checkout: pip install ./starter)"
            ) from absent
        try:
            return str(starter.path(name.removeprefix(STARTER)))
        except LookupError as unknown:
            raise ModelError(f"{name}: {unknown}") from unknown
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(f"{name}: no config.json in this folder; give the folder of a transformers model")
        return str(folder)
    if name.startswith((".", "/", "~")) or folder.exists():
        raise ModelError(f"{name}: no such model folder; give an existing folder or a hub name such as gpt2")
    return name


def fingerprint(name: str, revision: str | None = None) -> str:
    """A hash (hex) that changes when the model's files do: of the contents locally, the commit of a hub snapshot.

    Raises:
        ModelError: the model is neither on disk nor can its commit be looked up.
    """
    source = resolve(name)
    if Path(source).is_dir():
        return _content_hash(source, _stamp(Path(source)))
    return _hub_commit(source, revision)


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _fingerprinted_files(folder))


def _fingerprinted_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in FINGERPRINTED_SUFFIXES)


@functools.lru_cache(maxsize=64)
def _content_hash(folder: str, stamp: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path in _fingerprinted_files(Path(folder)):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@functools.lru_cache(maxsize=64)
def _hub_commit(name: str, revision: str | None) -> str:
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    if isinstance(cached, str):
        return Path(cached).parent.name  # .../snapshots/<commit>/config.json
    try:
        commit = HfApi().model_info(name, revision=revision).sha
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise ModelError(_absent(name, error)) from error
    if commit is None:
        raise ModelError(f"{name}: the hub names no commit for revision {revision or 'main'}")
    return commit


def _absent(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return (
        f"{name}: neither a local folder nor a model that can be had from the hub ({type(error).__name__}: {reason}); "
        "check the name, or give the path of a downloaded folder"
    )


@contextmanager
def loading(name: str, kind: str) -> Iterator[None]:
    """Turn what transformers raises about an absent or unsuitable model into one `ModelError` line.

    Args:
        name: as the user wrote it.
        kind: what was wanted, e.g. "a causal language model (teacher)".
    """
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, OSError) and not Path(resolve(name)).is_dir():
            raise ModelError(_absent(name, error)) from error
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{name}: cannot be loaded as {kind}: {reason}") from error


def choose_device(device: str = "auto") -> torch.device:
    """`auto`: the first CUDA device, else Apple's, else the CPU.

    Raises:
        ModelError: the device asked for is not on this machine.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device {device!r} is not one torch knows; use auto, cpu, cuda or cuda:N") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device {device!r}: torch sees no CUDA device here; use --device cpu or auto")
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """`auto`: bf16 where this device multiplies it faster than fp32, else fp32. fp16 is not offered (T5 overflows in it).

    bf16 is taken on CUDA from Ampere on, and on CPUs with AVX512-BF16 or AMX, where a product of 512 x 512 matrices runs
    4-5 times faster than in fp32; other CPUs emulate it, slower than fp32.
    """
    if dtype == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
        if device.type == "cpu" and _cpu_multiplies_bf16():
            return torch.bfloat16
        return torch.float32
    names = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    if dtype not in names:
        raise ModelError(f"dtype {dtype!r}: use auto, bfloat16 or float32")
    return names[dtype]


def why_dtype(dtype: str, device: torch.device) -> str:
    """What `choose_dtype` chooses and why, with what a probe measures here, as "bfloat16 (auto: 4.3 times as fast as float32)".

    For people. The choice itself follows the kind of machine and not the probe, or results would depend on what else the machine does.
    """
    chosen = str(choose_dtype(dtype, device)).removeprefix("torch.")
    return f"{chosen} ({'auto' if dtype == 'auto' else 'asked for'}: bfloat16 is {_bf16_speed(device):.1f} times as fast as float32 here)"


@functools.cache
def _bf16_speed(device: torch.device) -> float:
    """How many times faster a product of square matrices is in bf16 than in fp32, at its best of five."""
    width = 4_096 if device.type == "cuda" else 512
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(width, width, dtype=dtype, device=device)
        times = []
        for _ in range(6):  # the first warms up
            start = time.perf_counter()
            float((matrix @ matrix)[0, 0])  # waits for the device
            times.append(time.perf_counter() - start)
        seconds[dtype] = min(times[1:])
    return seconds[torch.float32] / seconds[torch.bfloat16]


@functools.cache
def _cpu_multiplies_bf16() -> bool:
    capabilities: Mapping[str, Any] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(bool(capabilities.get(flag)) for flag in ("avx512_bf16", "amx_bf16"))
