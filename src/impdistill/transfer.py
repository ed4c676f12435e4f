"""Students taught by people: M0 or one of ours, fine-tuned on a human training set or a share of it.

The comparisons "in-domain", "ours + half" and "ours + all" of Jung et al. 2023, section 3.4. What comes out is a student's folder
like any other. A pair that shares a text with a test set, directly or through other pairs, is not trained on: question pairs
overlap, and a split at random would train on test questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from impdistill import __version__
from impdistill.errors import BenchmarkError, ModelError, RecipeError, RunError
from impdistill.evaluate import Benchmark
from impdistill.evaluate.question_pairs import Pair, split_by_cluster, without_clusters_of
from impdistill.models.loading import fingerprint, resolve
from impdistill.models.student_format import FILE_NAME, StudentFormat
from impdistill.outcome import Run
from impdistill.recipe import Recipe
from impdistill.recipe_student import TrainingRecipe
from impdistill.run import Lineage, RunDirectory, RunLock, StageProgress
from impdistill.run.storage import (
    BrokenSealError,
    canonical,
    fsync_directory,
    read_sealed,
    remove_directory,
    storage_errors,
    write_durably,
    write_sealed,
)
from impdistill.stages.step import Observer
from impdistill.train.card import CardFacts, GroupFacts, ModelFacts, model_card
from impdistill.train.examples import Example
from impdistill.train.finetune import finetune
from impdistill.train.training import TrainingProgress

CODE_VERSION = 1
RECORD_NAME = "finetuning.json"
STAGE = "fine-tuning"


@dataclass(frozen=True, slots=True)
class Start:
    """What a fine-tuning starts from.

    Attributes:
        name: as given.
        model, revision: its weights, by folder or hub name.
        groups: name -> instruction of what it was trained to write; empty for a base model.
        training: how it is trained unless told otherwise: as its run was.
        base: M0 of its run; None where the start is no run.
    """

    name: str
    model: str
    revision: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    base: Start | None = None

    @classmethod
    def of(cls, spec: str) -> Start:
        """RUN, RUN@ROUND, a student's folder or hub name, `starter`, or any base model by folder or hub name.

        Raises:
            RunError: the run has no such student.
            ModelError: no such folder, or a student's folder that cannot be read.
        """
        found = run_and_round(spec)
        if found is None:
            return _model_start("starter:student" if spec == "starter" else spec, spec)
        run, round_ = found
        recipe, folder = run.recipe, str(run.student_folder(round_).path)
        student = recipe.student
        base = cls(student.model, student.model, student.revision, training=student.training)
        return cls(spec, folder, None, StudentFormat.read(folder).groups, student.training, base)


@dataclass(frozen=True, slots=True)
class HumanPairs:
    """A training set that people wrote.

    Attributes:
        name: of the benchmark that it was read from.
        train: in random order, so that a share of them is their beginning, and larger shares hold smaller ones.
        held_out: for the choice of the best step; no text stands on both sides.
        leaking: pairs left out for what they share with a test set.
    """

    name: str
    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]
    leaking: int

    def share(self, share: float) -> tuple[Pair, ...]:
        """The first `share` (above 0, at most 1) of the training pairs, at least one.

        Raises:
            RecipeError: the share is out of range.
        """
        if not 0 < share <= 1:
            raise RecipeError(f"share {share:g}: it must lie above 0 and at most at 1, e.g. 0.5")
        return self.train[: max(1, round(share * len(self.train)))]


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A student taught by people.

    Attributes:
        folder: the student's; any command that takes a student takes it.
        pairs: trained on, over a token limit or not.
        record: what `finetuning.json` in the folder says: start, pairs, steps, losses.
    """

    folder: Path
    pairs: int
    record: Mapping[str, Any]


def run_and_round(spec: str) -> tuple[Run, int | None] | None:
    """The run behind RUN or RUN@ROUND, and the round if one is named; None where no run is there.

    Raises:
        BenchmarkError: the round is no number.
    """
    address, _, round_ = spec.rpartition("@") if "@" in spec and not Path(spec).exists() else (spec, "", "")
    if not RunDirectory.exists(Path(address)):
        return None
    if round_ and not round_.isdigit():
        raise BenchmarkError(f"{spec}: {round_!r} is no round; write {address}@0 for the first student, @1 for the next")
    return Run.open(address), int(round_) if round_ else None


def human_pairs(benchmark: Benchmark, *, without: Sequence[Benchmark] = (), held_out: float = 0.05, seed: int = 0) -> HumanPairs:
    """Cut up a benchmark for training. Every reference makes a pair; a pair that stands there twice counts once.

    Args:
        without: test sets; pairs of their duplicate clusters are left out.
        held_out: share of the clusters that is held out, 0-1; 0: none.
        seed: of the cut and the order.

    Raises:
        BenchmarkError: `held_out` is out of range, or no pair is left.
    """
    pairs = _pairs(benchmark)
    kept = without_clusters_of(pairs, [pair for one in without for pair in _pairs(one)]) if without else pairs
    train, rest = split_by_cluster(kept, held_out, seed) if held_out else (kept, [])
    if not train:
        reason = f"{len(pairs) - len(kept)} share a text with a test set, {len(rest)} are held out"
        raise BenchmarkError(f"{benchmark.origin}: none of its {len(pairs)} pairs is left to train on ({reason})")
    order = sorted(train, key=lambda pair: hashlib.blake2b(canonical([seed, *pair]).encode()).digest())
    return HumanPairs(benchmark.name, tuple(order), tuple(rest), len(pairs) - len(kept))


def finetune_student(
    start: Start,
    pairs: HumanPairs,
    out: Path,
    *,
    group: str,
    instruction: str | None = None,
    share: float = 1.0,
    training: TrainingRecipe | None = None,
    seed: int = 0,
    device: str = "auto",
    observer: Observer | None = None,
) -> Finetuned:
    """Fine-tune on a share of human pairs; the same call goes on where a killed one stopped, and does nothing once it is done.

    Args:
        out: the student's folder, absent or empty. Checkpoints lie in `OUT.unfinished` meanwhile.
        group: what its outputs will be asked for by; the student knows no other.
        instruction: put before x; None: that of the start's group, or of the paper's.
        share: of the training pairs, above 0, at most 1. The held-out pairs are the same for every share.
        training: None: as the start says.

    Raises:
        RecipeError: no instruction is known for the group, a share out of range, settings that do not fit the model.
        ModelError: the start is absent or of the wrong kind.
        RunError: `out` holds something else, or another process works on it.
    """
    # 1. What is trained on what
    training = start.training if training is None else training
    spoken = instruction_for(group, start, instruction)
    chosen = pairs.share(share)
    examples, held_out = ([Example(group, x, y) for x, y in several] for several in (chosen, pairs.held_out))
    version = fingerprint(start.model, start.revision)
    asked = Lineage(
        STAGE,
        CODE_VERSION,
        settings={"training": training.model_dump(mode="json"), "group": group, "instruction": spoken, "pairs": _hash(examples, held_out)},
        models={"start": version},
        seed=seed,
    )
    out = Path(out).absolute()
    done = _done(out, asked.key)
    if done is not None:
        return Finetuned(out, len(chosen), done)

    # 2. Train beside the folder, which appears whole
    def report(progress: TrainingProgress) -> None:
        if observer is not None:
            observer(StageProgress(f"{STAGE} {out.name}", progress.step, progress.total_steps))

    work = out.with_name(f"{out.name}.unfinished")
    student = work / "student"
    with RunLock(work):
        remove_directory(student)
        result = finetune(
            start.model, start.revision, examples, held_out, student, work, training, {group: spoken}, seed=seed, device=device,
            on_progress=report,
        )  # fmt: skip
        record = {
            "key": asked.key,
            "start": _shown(start.name),
            "trained_on": pairs.name,
            "share": share,
            "pairs": len(chosen),
            "held_out": len(held_out),
            "leaking": pairs.leaking,
            **{name: value for name, value in result.facts().items() if name not in ("pairs", "seconds")},
        }
        write_sealed(student / RECORD_NAME, record)
        write_durably(student / "README.md", _card(start, version, StudentFormat.read(str(student)), training, record).encode())
        with storage_errors(out):
            student.replace(out)
            fsync_directory(out.parent)
    remove_directory(work)
    return Finetuned(out, len(chosen), record)


def instruction_for(group: str, start: Start, instruction: str | None = None) -> str:
    """The given instruction, or what the start, else the paper, puts before x for the group; it ends in one space.

    Raises:
        RecipeError: none is known, or the given one is blank.
    """
    if instruction is not None:
        if not instruction.strip():
            raise RecipeError("instruction: it is empty; say what is asked for, e.g. 'Generate a short summary of the given question: '")
        return f"{instruction.strip()} "
    known = {**_papers_groups(), **start.groups}
    if group not in known:
        raise RecipeError(f"group {group}: {start.name} has no instruction for it; give one, or choose from {', '.join(known)}")
    return known[group]


def training_with(start: Start, overrides: Sequence[str]) -> TrainingRecipe:
    """The start's settings with `FIELD=VALUE` laid over them, e.g. `epochs=5`.

    Raises:
        RecipeError: an unknown field or a value out of range.
    """
    content = {**_ANY_TEACHER, "student": {"training": start.training.model_dump(mode="json")}}
    return Recipe.load(content, [f"student.training.{override}" for override in overrides]).student.training


_ANY_TEACHER: Mapping[str, Any] = {"teachers": [{"domain": "any", "model": "any"}]}


def _papers_groups() -> dict[str, str]:
    tasks = Recipe.load(_ANY_TEACHER).tasks.values()
    return {name: group.instruction for task in tasks for name, group in task.groups.items()}


def _model_start(model: str, name: str) -> Start:
    folder = Path(resolve(model))
    if folder.is_dir() and not (folder / FILE_NAME).is_file():
        return Start(name, model)
    try:
        spoken = StudentFormat.read(model)
    except ModelError:
        if folder.is_dir():
            raise
        return Start(name, model)  # a base of the hub; one that is not there is named when it is loaded
    limits = {"max_source_tokens": spoken.max_source_tokens, "max_target_tokens": spoken.max_target_tokens}
    return Start(name, model, groups=spoken.groups, training=TrainingRecipe().model_copy(update=limits))


def _pairs(benchmark: Benchmark) -> list[Pair]:
    sources = zip(benchmark.sources, benchmark.references, strict=True)
    return list(dict.fromkeys((source, reference) for source, several in sources for reference in several))


def _hash(train: Sequence[Example], held_out: Sequence[Example]) -> str:
    digest = hashlib.sha256(str(len(train)).encode())
    for example in (*train, *held_out):
        digest.update(canonical([example.x, example.y]).encode())
    return digest.hexdigest()


def _done(out: Path, key: str) -> dict[str, Any] | None:
    """The record of a finished fine-tuning of the same request; None where there is nothing yet."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        record = read_sealed(out / RECORD_NAME)
    except (FileNotFoundError, NotADirectoryError, BrokenSealError):
        raise RunError(f"{out}: is not an empty folder, nor what this command wrote; nothing is overwritten: give another") from None
    if record["key"] != key:
        raise RunError(f"{out}: holds a student fine-tuned from, on or by something else; nothing is overwritten: give another folder")
    return dict(record)


def _shown(name: str) -> str:
    """No path of this machine."""
    return Path(name).name if Path(name.rpartition("@")[0] or name).exists() else name


def _card(start: Start, version: str, spoken: StudentFormat, training: TrainingRecipe, record: Mapping[str, Any]) -> str:
    ((group, instruction),) = spoken.groups.items()
    trained, held_out = int(record["pairs"]), int(record["held_out"])
    shown = ("steps", "epochs", "best_step", "best_validation_loss", "tokens", "left_out")
    facts = CardFacts(
        title=f"{group}, fine-tuned on {record['trained_on']}",
        round_number=0,
        impdistill_version=__version__,
        recipe_yaml=yaml.safe_dump({"training": training.model_dump(mode="json")}, sort_keys=False),
        models=[ModelFacts("start of the fine-tuning", start.model if start.base is None else _shown(start.name), version)],
        groups=[GroupFacts(group, str(record["trained_on"]), instruction, trained, held_out)],
        kind=spoken.kind,
        training={name.replace("_", " "): record[name] for name in shown},
        supervision=f"{trained:,} pairs of {record['trained_on']}, which people wrote",
    )
    return model_card(facts)
