"""A training that is killed ends, once gone on with, in the very bytes of one that was not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from impdistill.recipe_student import TrainingRecipe
from impdistill.train import finetune as finetune_module
from impdistill.train.checkpoints import MANIFEST_NAME, newest
from impdistill.train.examples import Example
from impdistill.train.finetune import TrainingResult, finetune
from impdistill.train.training import TrainingProgress
from tests.tiny_students import GROUPS, examples, save_base

# 7 steps an epoch in batches of 3 x 2 pairs, the last of an epoch smaller; an evaluation every 3 steps, so some in mid-epoch.
TRAINING = TrainingRecipe(
    epochs=2,
    batch_size=3,
    gradient_accumulation=2,
    learning_rate=5e-3,
    max_source_tokens=64,
    max_target_tokens=40,
    dtype="float32",
)
STEPS = 14
HELD_OUT = examples(7, first=40)
OPPOSITE = [Example(example.group, example.x, "Nothing of the kind happened.") for example in HELD_OUT]
"""Held-out pairs whose loss soon rises."""


class KilledError(Exception):
    """Stands for a killed process."""


def train(
    base: str,
    work: Path,
    out: Path,
    *,
    kill_after: int | None = None,
    training: TrainingRecipe = TRAINING,
    seed: int = 5,
    held_out: list[Example] = HELD_OUT,
) -> tuple[TrainingResult, list[int]]:
    """The result and the steps that this call did itself."""
    steps: list[int] = []

    def on_progress(progress: TrainingProgress) -> None:
        steps.append(progress.step)
        if progress.step == kill_after:
            raise KilledError

    arguments = (base, None, examples(40), held_out, out, work, training, GROUPS)
    return finetune(*arguments, seed=seed, device="cpu", on_progress=on_progress), steps


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With dropout, whose random numbers must go on too."""
    return {kind: str(save_base(kind, tmp_path_factory.mktemp(kind), dropout=0.2)) for kind in ("t5", "llama")}


@pytest.fixture(scope="module")
def whole(bases: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[TrainingResult, bytes]]:
    """Uninterrupted: result and weights."""
    found = {}
    for kind, base in bases.items():
        folder = tmp_path_factory.mktemp(f"whole-{kind}")
        result, steps = train(base, folder / "work", folder / "out")
        assert steps == list(range(1, STEPS + 1))
        found[kind] = (result, weights(folder / "out"))
    return found


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def without_seconds(result: TrainingResult) -> dict[str, object]:
    return {name: value for name, value in result.facts().items() if name != "seconds"}


@pytest.mark.parametrize("kind", ["t5", "llama"])
@pytest.mark.parametrize("kill_after", [2, 4, 7, 13])
def test_interrupted_at_any_step(
    bases: dict[str, str], whole: dict[str, tuple[TrainingResult, bytes]], kind: str, kill_after: int, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        train(bases[kind], tmp_path / "work", tmp_path / "out", kill_after=kill_after)
    assert not (tmp_path / "out").exists()
    result, steps = train(bases[kind], tmp_path / "work", tmp_path / "out")
    assert steps == list(range((kill_after - 1) // 3 * 3 + 1, STEPS + 1))
    assert weights(tmp_path / "out") == whole[kind][1]
    assert without_seconds(result) == without_seconds(whole[kind][0])


def test_a_killed_process(bases: dict[str, str], whole: dict[str, tuple[TrainingResult, bytes]], tmp_path: Path) -> None:
    script = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from tests.train.test_resume import TRAINING, GROUPS, examples, finetune\n"
        "base, folder = sys.argv[1], Path(sys.argv[2])\n"
        "finetune(base, None, examples(40), examples(7, first=40), folder / 'out', folder / 'work', TRAINING, GROUPS,\n"
        "         seed=5, device='cpu', on_progress=lambda progress: print(progress.step, flush=True))\n"
    )
    command = [sys.executable, "-c", script, bases["t5"], str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 9:
            pass
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    _, steps = train(bases["t5"], tmp_path / "work", tmp_path / "out")
    assert steps[0] in (7, 10, 13)
    assert weights(tmp_path / "out") == whole["t5"][1]


def test_half_written_checkpoints_are_passed_over(
    bases: dict[str, str], whole: dict[str, tuple[TrainingResult, bytes]], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    with pytest.raises(KilledError):
        train(bases["t5"], work, tmp_path / "out", kill_after=8)
    assert sorted(path.name for path in work.iterdir()) == ["checkpoint-3", "checkpoint-6"]
    shutil.copytree(work / "checkpoint-6", work / "checkpoint-9")  # killed before its last files and its seal
    for name in (MANIFEST_NAME, "optimizer.pt", "trainer_state.json"):
        (work / "checkpoint-9" / name).unlink()
    optimizer = work / "checkpoint-6" / "optimizer.pt"
    optimizer.write_bytes(optimizer.read_bytes()[:-100])
    _, steps = train(bases["t5"], work, tmp_path / "out")
    assert steps == list(range(4, STEPS + 1))
    assert weights(tmp_path / "out") == whole["t5"][1]


def test_half_removed_checkpoints_are_passed_over(
    bases: dict[str, str], whole: dict[str, tuple[TrainingResult, bytes]], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    with pytest.raises(KilledError):
        train(bases["llama"], work, tmp_path / "out", kill_after=8)
    for step in (3, 6):
        (work / f"checkpoint-{step}" / "model.safetensors").unlink()
    _, steps = train(bases["llama"], work, tmp_path / "out")
    assert steps == list(range(1, STEPS + 1))
    assert weights(tmp_path / "out") == whole["llama"][1]


def test_killed_between_the_last_checkpoint_and_the_student(
    bases: dict[str, str],
    whole: dict[str, tuple[TrainingResult, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(finetune_module, "save_student", killed)
        with pytest.raises(KilledError):
            train(bases["t5"], tmp_path / "work", tmp_path / "out")
    result, steps = train(bases["t5"], tmp_path / "work", tmp_path / "out")
    assert steps == []
    assert weights(tmp_path / "out") == whole["t5"][1]
    assert without_seconds(result) == without_seconds(whole["t5"][0])
    assert result.seconds > 0


def test_early_stopping_is_remembered(bases: dict[str, str], tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"learning_rate": 0.03, "patience": 2, "epochs": 9})
    expected, steps = train(bases["llama"], tmp_path / "whole", tmp_path / "whole-out", training=training, held_out=OPPOSITE)
    assert expected.stopped_early
    assert expected.best_step == expected.steps - 6
    with pytest.raises(KilledError):
        train(bases["llama"], tmp_path / "work", tmp_path / "out", training=training, kill_after=steps[-1], held_out=OPPOSITE)
    result, rest = train(bases["llama"], tmp_path / "work", tmp_path / "out", training=training, held_out=OPPOSITE)
    assert 0 < len(rest) <= 3
    assert without_seconds(result) == without_seconds(expected)
    shutil.rmtree(tmp_path / "out")
    result, rest = train(bases["llama"], tmp_path / "work", tmp_path / "out", training=training, held_out=OPPOSITE)
    assert rest == []
    assert without_seconds(result) == without_seconds(expected)
    assert weights(tmp_path / "out") == weights(tmp_path / "whole-out")


def test_a_moved_run_goes_on(bases: dict[str, str], whole: dict[str, tuple[TrainingResult, bytes]], tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train(bases["t5"], tmp_path / "here", tmp_path / "out", kill_after=10)
    (tmp_path / "here").rename(tmp_path / "there")
    result, steps = train(bases["t5"], tmp_path / "there", tmp_path / "out")
    assert steps == list(range(10, STEPS + 1))
    assert weights(tmp_path / "out") == whole["t5"][1]
    assert without_seconds(result) == without_seconds(whole["t5"][0])


def test_the_best_checkpoint_of_a_moved_run_survives(bases: dict[str, str], tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"learning_rate": 0.03, "patience": None, "epochs": 4})
    expected, _ = train(bases["llama"], tmp_path / "whole", tmp_path / "whole-out", training=training, held_out=OPPOSITE)
    kill_after = expected.best_step + 4  # a later checkpoint is gone on from
    assert kill_after < expected.steps
    with pytest.raises(KilledError):
        train(bases["llama"], tmp_path / "here", tmp_path / "out", training=training, kill_after=kill_after, held_out=OPPOSITE)
    (tmp_path / "here").rename(tmp_path / "there")
    result, _ = train(bases["llama"], tmp_path / "there", tmp_path / "out", training=training, held_out=OPPOSITE)
    assert result.best_step == expected.best_step
    assert weights(tmp_path / "out") == weights(tmp_path / "whole-out")


def test_checkpoints_of_another_request_are_not_gone_on_from(bases: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train(bases["t5"], tmp_path / "work", tmp_path / "out", kill_after=8, seed=6)
    _, steps = train(bases["t5"], tmp_path / "work", tmp_path / "out")
    assert steps[0] == 1


def test_few_checkpoints_are_kept(bases: dict[str, str], tmp_path: Path) -> None:
    train(bases["t5"], tmp_path / "work", tmp_path / "out")
    assert len(list((tmp_path / "work").iterdir())) == 2
    assert newest(tmp_path / "work", "another request") is None
    assert list((tmp_path / "work").iterdir()) == []
