"""Checkpoints of a training run (safetensors and tensors-only optimizer state), and the finished model's folder."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

KEPT_CHECKPOINTS = 2
_NAME = "step-"


def checkpoints_of(folder: Path) -> list[Path]:
    """Whole checkpoints in `folder`, oldest first."""
    return sorted(folder.glob(f"{_NAME}*"), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The number of steps done before `checkpoint` was written."""
    return int(checkpoint.name.removeprefix(_NAME))


def save_checkpoint(folder: Path, step: int, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Write under another name, then rename, so that a checkpoint is whole or absent; keep the last `KEPT_CHECKPOINTS`."""
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_model(model, str(unfinished / "model.safetensors"))
    torch.save([optimizer.state_dict() for optimizer in optimizers], unfinished / "optimizers.pt")
    checkpoint = folder / f"{_NAME}{step}"
    shutil.rmtree(checkpoint, ignore_errors=True)
    unfinished.rename(checkpoint)
    for old in checkpoints_of(folder)[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)


def load_checkpoint(checkpoint: Path, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Load into `model` and `optimizers`; return the number of steps done."""
    load_model(model, str(checkpoint / "model.safetensors"))
    states = torch.load(checkpoint / "optimizers.pt", map_location="cpu", weights_only=True)
    for optimizer, state in zip(optimizers, states, strict=True):
        optimizer.load_state_dict(state)
    return step_of(checkpoint)


def export(model: PreTrainedModel, tokenizer_folder: Path, folder: Path) -> None:
    """Write what `AutoModelForCausalLM` and `AutoTokenizer` load: bf16 safetensors, configurations, tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    released = AutoModelForCausalLM.from_config(model.config).to(torch.bfloat16)
    released.load_state_dict(model.state_dict())
    released.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
