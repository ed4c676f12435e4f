"""Where models come from: what is refused in one line, and that the version that is fingerprinted is the one that is loaded."""

from __future__ import annotations

import builtins
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BioGptConfig, BioGptForCausalLM

from impdistill.errors import DependencyError, ModelError
from impdistill.models import loading
from impdistill.models.judge import Judge
from impdistill.models.loading import choose_device, fingerprint, located, resolve
from impdistill.models.teacher import Teacher
from tests.models.tiny_judges import bert, save

SENTENCE = "The committee met on Tuesday."


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(save(tmp_path_factory.mktemp("judge") / "judge", *bert()))


def copied(judge: Path, folder: Path) -> Path:
    return Path(shutil.copytree(judge, folder / "copy"))


# Damaged folders


def cut(weights: Path) -> None:
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])


def empty(weights: Path) -> None:
    weights.write_bytes(b"")


def pointer(weights: Path) -> None:
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", encoding="utf-8")


@pytest.mark.parametrize(("damage", "said"), [(cut, "cut short or damaged"), (empty, "cut short or damaged"), (pointer, "git lfs pull")])
def test_weights_that_are_none_are_one_line(judge: Path, tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    folder = copied(judge, tmp_path)
    damage(folder / "model.safetensors")
    with pytest.raises(ModelError, match=said) as caught:
        Judge.load(str(folder), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_folder_with_other_weights_only_says_that_there_are_no_safetensors(judge: Path, tmp_path: Path) -> None:
    folder = copied(judge, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        Judge.load(str(folder), device="cpu")


def test_names_no_file_system_takes_are_refused() -> None:
    with pytest.raises(ModelError, match="File name too long"):
        resolve("a" * 300)


# Packages that tokenizers ask for


def save_biogpt(folder: Path) -> str:
    words = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *"abcdefghijklmnopqrstuvwxyz.,",
        *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz.,"),
    ]
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 64}
    BioGptForCausalLM(BioGptConfig(vocab_size=len(words), **size)).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BioGptTokenizer"}', encoding="utf-8")
    return str(folder)


def test_biogpts_tokenizer_is_loaded_with_what_is_installed(tmp_path: Path) -> None:
    teacher = Teacher.load(save_biogpt(tmp_path), device="cpu")
    assert teacher.decode(teacher.encode("the cells, in vitro.")) == "the cells, in vitro."


def test_a_missing_package_is_named_with_its_pip_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = save_biogpt(tmp_path)
    plainly = builtins.__import__

    def without(module: str, *rest: Any, **more: Any) -> Any:
        if module == "sacremoses":
            raise ModuleNotFoundError("No module named 'sacremoses'", name="sacremoses")
        return plainly(module, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match="run: pip install sacremoses"):
        Teacher.load(name, device="cpu")


# Models of the hub, as its cache holds them


def snapshot(cache: Path, judge: Path, commit: str) -> Path:
    folder = cache / "models--someone--judge" / "snapshots" / commit
    shutil.copytree(judge, folder)
    return folder


def point_main_at(cache: Path, commit: str) -> None:
    refs = cache / "models--someone--judge" / "refs"
    refs.mkdir(exist_ok=True)
    (refs / "main").write_text(commit, encoding="utf-8")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    loading._hub_commit.cache_clear()
    return tmp_path


def test_the_version_that_is_fingerprinted_is_loaded_although_main_moved_on(judge: Path, cache: Path) -> None:
    old, new = "a" * 40, "b" * 40
    snapshot(cache, judge, old)
    save(snapshot(cache, judge, new), *bert(seed=1))
    point_main_at(cache, old)
    assert fingerprint("someone/judge") == old
    assert located("someone/judge") == ("someone/judge", old)
    point_main_at(cache, new)  # as another program's download does
    loaded = Judge.load("someone/judge", device="cpu", dtype="float32")
    assert loaded.fingerprint == old
    expected = Judge.load(str(judge), device="cpu", dtype="float32").probabilities([SENTENCE], ["A committee met."])
    assert torch.equal(torch.tensor(loaded.probabilities([SENTENCE], ["A committee met."])), torch.tensor(expected))


def test_a_hub_model_without_safetensors_says_how_to_convert(judge: Path, cache: Path) -> None:
    folder = snapshot(cache, judge, "a" * 40)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    point_main_at(cache, "a" * 40)
    with pytest.raises(ModelError, match=r"has no safetensors weights.*save_pretrained"):
        Judge.load("someone/judge", device="cpu")


def test_a_hub_model_that_cannot_be_had_says_so(cache: Path) -> None:
    with pytest.raises(ModelError, match="neither a local folder nor a model that can be had from the hub"):
        Judge.load("someone/absent", device="cpu")


# Fingerprints


def test_the_parts_of_a_model_in_folders_of_their_own_count(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]", encoding="utf-8")
    part = tmp_path / "0_StaticEmbedding" / "model.safetensors"
    part.parent.mkdir()
    found = []
    for content in (b"one", b"two", b"one"):
        part.write_bytes(content)
        found.append(fingerprint(str(tmp_path)))
    part.rename(tmp_path / "model.safetensors")
    found.append(fingerprint(str(tmp_path)))
    assert found[0] == found[2]
    assert len(set(found)) == 3


def test_what_a_downloader_leaves_in_hidden_folders_does_not_count(judge: Path, tmp_path: Path) -> None:
    folder = copied(judge, tmp_path)
    before = fingerprint(str(folder))
    hidden = folder / ".cache" / "huggingface"
    hidden.mkdir(parents=True)
    (hidden / "download.json").write_text("{}", encoding="utf-8")
    assert fingerprint(str(folder)) == before


# Devices


@pytest.mark.parametrize(
    ("device", "said"),
    [("meta", "do not run there"), ("mps", "do not run there"), ("gpu", "not one torch knows"), ("cpu:7", "the last one is cpu:0")],
)
def test_devices_that_are_none_are_refused(device: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        choose_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_devices_that_are_not_here_are_refused(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"sees no CUDA device here"):
        choose_device(device)


def test_one_gpu_has_no_eighth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("cuda:0") == torch.device("cuda:0")
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(ModelError, match="the last one is cuda:0"):
        choose_device("cuda:7")
