"""Fine-tuning on what people wrote: what is trained on what, that nothing leaks, and that a killed call is gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner, Result

from impdistill import transfer as transfer_module
from impdistill.cli import app
from impdistill.errors import BenchmarkError, LockedError, ModelError, RecipeError, RunError
from impdistill.evaluate import Benchmark, benchmark_of
from impdistill.models.student import Student
from impdistill.models.student_format import PROMPTS, StudentFormat
from impdistill.recipe_student import TrainingRecipe
from impdistill.run import RunLock, StageProgress
from impdistill.transfer import RECORD_NAME, HumanPairs, Start, finetune_student, human_pairs, instruction_for, training_with
from tests.tiny_students import GROUPS, examples, save_base

QUICK = TrainingRecipe(
    epochs=2, batch_size=8, gradient_accumulation=1, learning_rate=5e-3, max_source_tokens=90, max_target_tokens=30, dtype="float32"
)
SETTINGS = [f"{name}={QUICK.model_dump()[name]}" for name in ("epochs", "batch_size", "gradient_accumulation", "max_source_tokens")]


def human(count: int, *, first: int = 0) -> Benchmark:
    return benchmark_of("human", "here", [(each.x, [each.y]) for each in examples(count, first=first)])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base("t5", tmp_path_factory.mktemp("base"), spread=0.3)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_base("t5", tmp_path_factory.mktemp("student"), seed=1, spread=0.3)
    StudentFormat("seq2seq", GROUPS, PROMPTS["seq2seq"], 90, 24, "tiny", "tests").write(folder)
    return folder


def teach(start: Start, out: Path, pairs: HumanPairs | None = None, **more: object) -> transfer_module.Finetuned:
    arguments: dict[str, object] = {"group": "short", "training": QUICK, "device": "cpu", **more}
    return finetune_student(start, human_pairs(human(40)) if pairs is None else pairs, out, **arguments)  # type: ignore[arg-type]


def test_every_reference_is_a_pair_and_repeats_count_once() -> None:
    several = benchmark_of("turk", "here", [("a b c", ["a b", "b c", "a b"]), ("d e f", ["d"]), ("d e f", ["d"])])
    found = human_pairs(several, held_out=0)
    assert sorted(found.train) == [("a b c", "a b"), ("a b c", "b c"), ("d e f", "d")]
    assert (found.held_out, found.leaking, found.name) == ((), 0, "turk")


def test_shares_are_nested_and_do_not_depend_on_the_files_order() -> None:
    whole = human(60)
    found = human_pairs(whole, held_out=0.2, seed=3)
    backwards = Benchmark("human", "here", whole.sources[::-1], whole.references[::-1])
    assert human_pairs(backwards, held_out=0.2, seed=3).train == found.train
    half, more = found.share(0.5), found.share(0.8)
    assert half == more[: len(half)] and len(half) == round(0.5 * len(found.train))
    assert found.share(1) == found.train and len(found.share(1e-9)) == 1
    assert human_pairs(whole, held_out=0.2, seed=4).train != found.train
    texts = [{text.lower() for pair in side for text in pair} for side in (found.train, found.held_out)]
    assert texts[0] and texts[1] and not texts[0] & texts[1]
    for share in (0, -1, 1.01):
        with pytest.raises(RecipeError, match="above 0 and at most at 1"):
            found.share(share)


def test_what_is_linked_to_a_test_set_is_left_out() -> None:
    training = benchmark_of("t", "t", [("a one", ["b one"]), ("B ONE", ["c one"]), ("c one", ["d one"]), ("free one", ["free two"])])
    test = benchmark_of("s", "s", [("the question", ["D  one"])])
    found = human_pairs(training, without=[test], held_out=0)
    assert (found.train, found.leaking) == ((("free one", "free two"),), 3)
    with pytest.raises(BenchmarkError, match="none of its 4 pairs is left to train on \\(4 share a text with a test set"):
        human_pairs(training, without=[training], held_out=0)
    with pytest.raises(BenchmarkError, match="test_share is 2"):
        human_pairs(training, held_out=2)


def test_the_instruction_is_given_or_the_starts_or_the_papers(base: Path, student: Path) -> None:
    plain, taught = Start.of(str(base)), Start.of(str(student))
    assert (dict(plain.groups), dict(taught.groups)) == ({}, GROUPS)
    assert instruction_for("short", taught) == GROUPS["short"]
    assert instruction_for("paraphrase", taught) == GROUPS["paraphrase"]
    assert instruction_for("paraphrase", plain) == "Generate a paraphrase of the given sentence: "
    assert instruction_for("short", plain, "Shorten the question:") == "Shorten the question: "
    with pytest.raises(RecipeError, match=r"group short: .* has no instruction for it; give one, or choose from short-abstractive"):
        instruction_for("short", plain)
    with pytest.raises(RecipeError, match="it is empty"):
        instruction_for("short", plain, " ")


def test_settings_are_the_starts_with_others_laid_over(base: Path, student: Path) -> None:
    taught = Start.of(str(student))
    assert (taught.training.max_source_tokens, taught.training.max_target_tokens) == (90, 24)
    assert training_with(taught, []) == taught.training
    assert training_with(taught, ["epochs=7"]) == taught.training.model_copy(update={"epochs": 7})
    with pytest.raises(RecipeError, match=r"student\.training\.epochs: "):
        training_with(taught, ["epochs=0"])
    with pytest.raises(RecipeError, match="did you mean 'epochs'"):
        training_with(taught, ["epoch=3"])


def test_a_student_that_knows_its_one_group(base: Path, tmp_path: Path) -> None:
    pairs = human_pairs(human(40), held_out=0.2)
    found = teach(Start.of(str(base)), tmp_path / "out", pairs, instruction="Say it shortly:", share=0.5)
    loaded = Student.load(str(found.folder), device="cpu")
    assert dict(loaded.format.groups) == {"short": "Say it shortly: "}
    assert len(loaded.rewrite(["The old cat walked slowly to the house."], "short")) == 1
    assert found.pairs == found.record["pairs"] == len(pairs.share(0.5))
    assert found.record["best_validation_loss"] < found.record["curve"][0]["validation_loss"] + 1e-9
    card = ModelCard((found.folder / "README.md").read_text(encoding="utf-8"))
    assert f"{found.pairs} pairs of human, which people wrote" in card.text
    assert "no person labelled" not in card.text and str(base) not in card.text
    assert str(base) not in (found.folder / RECORD_NAME).read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.unfinished"))


class KilledError(Exception):
    pass


def test_a_killed_call_is_gone_on_with_and_a_finished_one_does_nothing(student: Path, tmp_path: Path) -> None:
    start, steps = Start.of(str(student)), []

    def watch(progress: StageProgress) -> None:
        steps.append(progress.done_blocks)
        if len(steps) == 6:
            raise KilledError

    pairs = human_pairs(human(40), held_out=0.2)
    with pytest.raises(KilledError):
        teach(start, tmp_path / "out", pairs, observer=watch)
    assert not (tmp_path / "out").exists()
    teach(start, tmp_path / "out", pairs, observer=watch)
    total = steps[-1]
    assert steps[6] > 1 and total == 2 * -(-len(pairs.train) // 8)
    teach(start, tmp_path / "plain", pairs)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert RECORD_NAME in names and names == {path.name for path in (tmp_path / "plain").iterdir()}
    assert all((tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes() for name in names)
    before = len(steps)
    again = teach(start, tmp_path / "out", pairs, observer=watch)
    assert len(steps) == before and again.record["steps"] == total


def test_nothing_is_overwritten(student: Path, tmp_path: Path) -> None:
    start = Start.of(str(student))
    teach(start, tmp_path / "out", training=QUICK.model_copy(update={"max_steps": 1}))
    with pytest.raises(RunError, match="fine-tuned from, on or by something else"):
        teach(start, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="nothing is overwritten"):
        teach(start, tmp_path / "mine")
    with RunLock(tmp_path / "busy.unfinished"), pytest.raises(LockedError, match="is in use by"):
        teach(start, tmp_path / "busy")
    with pytest.raises(ModelError, match="no such model folder"):
        Start.of(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"no config\.json"):
        Start.of(str(tmp_path / "empty"))


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def write(path: Path, benchmark: Benchmark) -> Path:
    rows = zip(benchmark.sources, benchmark.references, strict=True)
    path.write_text("".join(json.dumps({"source": x, "references": ys}) + "\n" for x, ys in rows), encoding="utf-8")
    return path


def test_what_finetune_writes_is_a_system_of_evaluate(base: Path, tmp_path: Path) -> None:
    training, test = write(tmp_path / "train.jsonl", human(40)), write(tmp_path / "test.jsonl", human(4, first=38))
    settings = [part for setting in [*SETTINGS, "max_target_tokens=30"] for part in ("--set", setting)]
    arguments = ["--as", "paraphrase", "--out", str(tmp_path / "supervised"), "--device", "cpu", *settings]
    shown = call("finetune", str(base), "--on", str(training), "--without", str(test), "--share", "0.5", *arguments)
    assert "left out for what they share with a test set" in " ".join(shown.output.split())
    more = ["--on", str(test), "--out", str(tmp_path / "results"), "--resamples", "20", "--device", "cpu"]
    call("evaluate", str(tmp_path / "supervised"), *more)
    systems = [one["system"] for one in json.loads((tmp_path / "results" / "results.json").read_bytes())["evaluations"]]
    assert systems == [f"{tmp_path / 'supervised'} paraphrase", "copy", "lead:0.79"]
    with pytest.raises(RecipeError, match="above 0"):
        call("finetune", str(base), "--on", str(training), "--share", "0", *arguments)


def test_transfer_ends_with_its_table(base: Path, student: Path, tmp_path: Path) -> None:
    training, test = write(tmp_path / "train.jsonl", human(40)), write(tmp_path / "test.jsonl", human(4, first=100))
    single = human(2, first=110)
    several = write(tmp_path / "several.jsonl", Benchmark("s", "s", single.sources, tuple((y, "A cat.") for (y,) in single.references)))
    settings = [part for setting in [*SETTINGS, "max_target_tokens=24", "max_steps=2"] for part in ("--set", setting)]
    arguments = ["transfer", str(student), "--on", str(training), "--test", str(test), "--test", str(several), "--as", "short"]
    arguments += ["--resamples", "20"]
    arguments += ["--out", str(tmp_path / "out"), "--device", "cpu", *settings]
    shown = " ".join(call(*arguments, "--base", str(base)).output.split())
    for row in ("copy", "lead:0.79", "in-domain", "ours only", "ours + 0.5", "ours + all"):
        assert row in shown
    rows = {row["variant"]: row for row in json.loads((tmp_path / "out" / "table.json").read_bytes())}
    assert [one["benchmark"] for one in rows["human"]["benchmarks"]] == ["several"]
    assert [one["benchmark"] for one in rows["ours only"]["benchmarks"]] == ["test", "several"]
    pairs = human_pairs(human(40), without=[human(4, first=100), single])
    assert [rows[name]["pairs"] for name in ("in-domain", "ours only", "ours + 0.5", "ours + all")] == [
        len(pairs.train),
        0,
        len(pairs.share(0.5)),
        len(pairs.train),
    ]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/*/model.safetensors")}
    assert len(before) == 3
    assert "no row in-domain" in call(*arguments).output
    assert {path: path.stat().st_mtime_ns for path in before} == before
