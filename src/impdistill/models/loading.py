"""Where a model lies, which version it is, and on what device and in what number format it runs.

Models come by hub name, by local path, or as `starter:NAME` from the `impdistill-starter` distribution. Only safetensors weights
are loaded and no code from a model repository is run.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from impdistill.errors import DependencyError, ModelError

STARTER = "starter:"
STARTER_PACKAGE = "impdistill_starter"
STARTER_FOLDER = "IMPDISTILL_STARTER"
"""Environment variable: a folder to take `starter:NAME` from instead of the package, for starter models of one's own."""

FINGERPRINTED_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")
"""What a model's outputs can depend on; cards and images do not count."""

CONFIG_NAMES = ("config.json", "modules.json")
"""A model's folder holds one of these: that of transformers or model2vec, or the list of a sentence-transformers model's parts."""

TOKENIZER_PACKAGES = ("sacremoses", "sentencepiece", "tiktoken", "protobuf", "blobfile", "mistral-common", "jieba", "rjieba", "fugashi")
"""What tokenizers of transformers may ask for beyond what is installed with it."""

DEVICES = "auto, cpu, cuda or cuda:N"

for _name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    os.environ.setdefault(_name, "64")
"""On a CPU, torch and oneDNN keep a compiled kernel of some megabytes for each of the last 1,024 shapes of a product. Sentence pairs come
in more shapes than that: a judge's memory rose by a gigabyte in 40 blocks, and stays below 750 MB with these, at the same speed."""

LFS_POINTER = b"version https://git-lfs"


def resolve(name: str) -> str:
    """The local path or hub name behind `name`.

    Args:
        name: `starter:teacher`, a local folder (anything that exists, or starts with `.`, `/` or `~`), or a hub name.

    Raises:
        DependencyError: `starter:` is asked for and impdistill-starter is not installed.
        ModelError: a local folder does not exist, may not be read, or holds no `config.json` (nor `modules.json`).
    """
    if name.startswith(STARTER) and (folder_of_starter := os.environ.get(STARTER_FOLDER)):
        return resolve(str(Path(folder_of_starter).expanduser().absolute() / name.removeprefix(STARTER)))
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
    try:
        exists, is_folder = folder.exists(), folder.is_dir()
        is_model = is_folder and any((folder / each).is_file() for each in CONFIG_NAMES)
    except OSError as error:
        raise ModelError(f"{name}: {error.strerror}; give a folder that you may read or a hub name such as gpt2") from error
    if is_folder:
        if not is_model:
            raise ModelError(f"{name}: no config.json in this folder; give the folder of a transformers model")
        return str(folder)
    if name.startswith((".", "/", "~")) or exists:
        raise ModelError(f"{name}: no such model folder; give an existing folder or a hub name such as gpt2")
    return name


def located(name: str, revision: str | None = None) -> tuple[str, str | None]:
    """Where `from_pretrained` finds the very version that `fingerprint` speaks of.

    Returns:
        (local path, None), or (hub name, commit): a branch may have moved on since it was fingerprinted.
    """
    source = resolve(name)
    return (source, None) if Path(source).is_dir() else (source, _hub_commit(source, revision))


def fingerprint(name: str, revision: str | None = None) -> str:
    """A hash (hex) that changes when the model's files do: of the contents locally, the commit of a hub snapshot.

    Raises:
        ModelError: the model is neither on disk nor can its commit be looked up.
    """
    source, commit = located(name, revision)
    if commit is not None:
        return commit
    try:
        return _content_hash(source, _stamp(Path(source)))
    except OSError as error:
        raise ModelError(f"{error.filename or name}: cannot be read: {error.strerror}; make it readable or give another model") from error


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    return tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _fingerprinted_files(folder))


def _fingerprinted_files(folder: Path) -> list[Path]:
    """Also those of the parts of a sentence-transformers model, each in a folder of its own; hidden folders are a downloader's."""
    found = (path for path in folder.rglob("*") if path.suffix in FINGERPRINTED_SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


@functools.lru_cache(maxsize=64)
def _content_hash(folder: str, stamp: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path in _fingerprinted_files(Path(folder)):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@functools.lru_cache(maxsize=64)
def _hub_commit(name: str, revision: str | None) -> str:
    """The commit of what is downloaded already, whatever the hub has by now; else of what the hub has."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        for file in CONFIG_NAMES:
            cached = try_to_load_from_cache(name, file, revision=revision)
            if isinstance(cached, str):
                return Path(cached).parent.name  # .../snapshots/<commit>/config.json
        for file in CONFIG_NAMES:
            try:  # downloaded under the name of the branch, so that it is found without a network afterwards
                return Path(hf_hub_download(name, file, revision=revision)).parent.name
            except EntryNotFoundError as error:
                if isinstance(error, LocalEntryNotFoundError):
                    raise
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise ModelError(_absent(name, error)) from error
    raise ModelError(f"{name}: no {' or '.join(CONFIG_NAMES)} at revision {revision or 'main'}; give a transformers model")


def _absent(name: str, error: Exception) -> str:
    return (
        f"{_cut(name, 100)}: neither a local folder nor a model that can be had from the hub ({type(error).__name__}: "
        f"{_cut(str(error), 200)}); check the name, or give the path of a downloaded folder"
    )


def _cut(text: str, most: int) -> str:
    """In one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}..."


@contextmanager
def loading(name: str, kind: str) -> Iterator[None]:
    """Turn what transformers raises about an absent or unsuitable model into one `ModelError` line.

    Args:
        name: as the user wrote it.
        kind: what was wanted, e.g. "a causal language model (teacher)".
    """
    try:
        yield
    except ImportError as error:
        raise DependencyError(_missing_package(name, error)) from error
    except SafetensorError as error:
        raise ModelError(f"{name}: {_damaged(name)} ({_cut(str(error), 200)}); copy or download it again") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, OSError) and not Path(resolve(name)).is_dir():
            raise ModelError(_without_safetensors(name) if _has_no_safetensors(name, error) else _absent(name, error)) from error
        unreadable = _unreadable(Path(resolve(name)))  # safetensors says of such a file that there is none
        raise ModelError(f"{name}: cannot be loaded as {kind}: {unreadable or _cut(str(error), 300)}") from error


def _unreadable(folder: Path) -> str | None:
    """The first file of a local model that may not be read, in words; None: all may."""
    for path in _fingerprinted_files(folder) if folder.is_dir() else []:
        try:
            path.open("rb").close()
        except OSError as error:
            return f"{path.relative_to(folder)}: {error.strerror}; make it readable"
    return None


def _missing_package(name: str, error: ImportError) -> str:
    """transformers imports some tokenizers' packages when it makes one, and words what is missing in as many ways."""
    named = [package for package in TOKENIZER_PACKAGES if re.search(rf"\b{package}\b", str(error), re.IGNORECASE)]
    package = named[0] if named else error.name
    install = f"run: pip install {package}" if package else "install what it names"
    return f"{name}: a package that it needs is missing; {install} ({_cut(str(error), 200)})"


def _damaged(name: str) -> str:
    """Which file of weights is none, in words."""
    folder = Path(resolve(name))
    for path in sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []:
        with path.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                return f"{path.relative_to(folder)} is not the weights but a git-LFS pointer to them; run `git lfs pull` there"
    return "its weights (*.safetensors) are cut short or damaged"


def _has_no_safetensors(name: str, error: OSError) -> bool:
    """Whether a hub model is there, but not in safetensors: so says transformers online; offline, what was downloaded."""
    from huggingface_hub import try_to_load_from_cache

    if "does not appear to have a file named model.safetensors" in str(error):
        return True
    source = resolve(name)
    pickled = ("pytorch_model.bin", "pytorch_model.bin.index.json")
    return any(isinstance(try_to_load_from_cache(source, file), str) for file in pickled) and not any(
        isinstance(try_to_load_from_cache(source, file), str) for file in ("model.safetensors", "model.safetensors.index.json")
    )


def _without_safetensors(name: str) -> str:
    return (
        f"{name}: has no safetensors weights, and only such are loaded; give a revision that has them (the hub's conversions are "
        "refs/pr/N), or convert it once: load model and tokenizer with transformers, save both with save_pretrained('FOLDER'), give FOLDER"
    )


def choose_device(device: str = "auto") -> torch.device:
    """`auto`: the first CUDA device, else the CPU. Apple's GPUs are not offered: they lack float64, which random numbers need.

    Raises:
        ModelError: the device asked for is not on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device {device!r} is not one torch knows; use {DEVICES}") from error
    present = {"cpu": 1, "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0}
    if chosen.type not in present:
        raise ModelError(f"device {device!r}: models do not run there; use {DEVICES}")
    if not present[chosen.type]:
        raise ModelError(f"device {device!r}: torch sees no {chosen.type.upper()} device here; use --device cpu or auto")
    if (chosen.index or 0) >= present[chosen.type]:
        last = present[chosen.type] - 1
        raise ModelError(f"device {device!r}: there is no such device here; the last one is {chosen.type}:{last}")
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
