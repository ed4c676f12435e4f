"""Which number format is chosen, and what is said of it."""

from __future__ import annotations

import re

import pytest
import torch

from impdistill.errors import ModelError
from impdistill.models import loading
from impdistill.models.loading import choose_dtype, why_dtype
from impdistill.recipe import ExecutionRecipe
from impdistill.stages.machine import made_with

CPU = torch.device("cpu")
SPEED = r"bfloat16 is \d+\.\d times as fast as float32 here\)"


@pytest.mark.parametrize(("fast", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_auto_follows_the_kind_of_machine_and_says_why(monkeypatch: pytest.MonkeyPatch, fast: bool, chosen: str) -> None:
    monkeypatch.setattr(loading, "_cpu_multiplies_bf16", lambda: fast)
    assert choose_dtype("auto", CPU) == getattr(torch, chosen)
    assert re.fullmatch(rf"{chosen} \(auto: {SPEED}", why_dtype("auto", CPU))
    assert re.fullmatch(rf"float32 \(asked for: {SPEED}", why_dtype("float32", CPU))


def test_a_manifest_says_it_where_a_model_ran() -> None:
    execution = ExecutionRecipe(device="cpu")
    assert re.search(SPEED, made_with(execution, "auto")["dtype"])
    assert "dtype" not in made_with(execution)


def test_other_formats_are_refused() -> None:
    with pytest.raises(ModelError, match="use auto, bfloat16 or float32"):
        choose_dtype("float16", CPU)
