"""The command line: every mistake is one line on stderr with exit code 2, and nothing is written over."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import BertConfig, BertForMaskedLM

from impdistill import Run, cli, distill
from impdistill.recipe import Recipe
from tests.models.test_teacher import WORDS, llama, saved
from tests.models.tiny_judges import bert, save

pytestmark = pytest.mark.timeout(300)

COMMAND = [sys.executable, "-m", "impdistill"]

PLAIN_USER = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
"""Before a command: permissions count, also for root."""

Caller = Callable[..., subprocess.CompletedProcess[bytes]]
Refuser = Callable[..., str]


def call(*arguments: str | bytes, text: bytes = b"", before: list[str] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*(before or []), *COMMAND, *arguments], input=text, capture_output=True, check=False, timeout=200)


@pytest.fixture
def call_here(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Caller:
    """Call the command line in this process, which spares the imports."""

    def call_in_this_process(*arguments: str | bytes, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        monkeypatch.setattr(sys, "argv", ["impdistill", *map(os.fsdecode, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        capsysbinary.readouterr()  # what making models for the test has printed
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsysbinary.readouterr()
        code = ended.value.code
        return subprocess.CompletedProcess(arguments, code if isinstance(code, int) else 0, shown.out, shown.err)

    return call_in_this_process


@pytest.fixture
def refused_here(call_here: Caller) -> Refuser:
    """Returns the one line that a refused call prints."""

    def refuse(*arguments: str | bytes, text: bytes = b"") -> str:
        result = call_here(*arguments, text=text)
        assert not result.stdout
        return refused(result)

    return refuse


def refused(result: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that a refused call prints."""
    lines = result.stderr.decode().strip().splitlines()
    assert result.returncode == 2, result.stderr.decode()
    assert len(lines) == 1, result.stderr.decode()
    assert lines[0].startswith("impdistill: ")
    return lines[0]


@pytest.fixture(scope="module")
def finished(small_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    content = small_recipe.model_dump(mode="json")
    recipe = Recipe.load(content, ["teachers=" + json.dumps(content["teachers"][:1]), "contexts.count=4", "self_distillation.rounds=0"])
    return distill(recipe, tmp_path_factory.mktemp("cli") / "run")


def test_help_teaches() -> None:
    shown = call("--help").stdout.decode()
    for command in ("run", "plan", "status", "inspect", "rewrite", "export", "judge"):
        assert command in shown


def test_recipe_mistakes(refused_here: Refuser, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert "no such recipe" in refused_here("run", "nowhere.yaml", "--out", out)
    broken = tmp_path / "broken.yaml"
    broken.write_text("teachers: [\n", encoding="utf-8")
    assert "not YAML" in refused_here("run", str(broken), "--out", out)
    assert "paralel: unknown key" in refused_here("run", "paper", "--out", out, "--set", "paralel.samples=3")
    assert "parallel.samples" in refused_here("run", "paper", "--out", out, "--set", "parallel.samples=-3")
    assert not (tmp_path / "out").exists()


def test_model_mistakes(call_here: Caller, refused_here: Refuser, small_recipe: Recipe, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small_recipe.to_yaml(), encoding="utf-8")
    out = str(tmp_path / "out")
    teacher = small_recipe.teachers[0].model
    absent = call_here("run", str(recipe), "--out", out, "--set", "teachers.0.model=./no-such-folder")
    assert "no such model folder" in refused(absent)
    encoder = tmp_path / "encoder"
    config = BertConfig(vocab_size=8192, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertForMaskedLM(config).save_pretrained(encoder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (encoder / name).write_bytes((Path(teacher) / name).read_bytes())
    assert not (tmp_path / "out").exists()
    assert "is not a causal language model" in refused_here("run", str(recipe), "--out", out, "--set", f"teachers.0.model={encoder}")
    judge = call_here("run", str(recipe), "--out", str(tmp_path / "judged"), "--set", f"judge.model={encoder}")
    assert "not a natural language inference model" in refused(judge)


def test_plan_writes_nothing(call_here: Caller, small_recipe: Recipe, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small_recipe.to_yaml(), encoding="utf-8")
    result = call_here("plan", str(recipe), "--out", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr.decode()
    assert "contexts.0.news" in result.stdout.decode()
    assert not (tmp_path / "out").exists()


def test_status_inspect_export_rewrite(call_here: Caller, refused_here: Refuser, finished: Run, tmp_path: Path) -> None:
    path = str(finished.path)
    shown = json.loads(call_here("status", path, "--json").stdout)
    assert shown["datasets"]["0"]["pairs"] == len(list(finished.pairs()))
    assert "kept" in call_here("status", path).stdout.decode()
    assert "ROUGE-L" in call_here("inspect", path, "-n", "1").stdout.decode()
    assert "length" in call_here("inspect", path, "--dropped").stdout.decode()
    assert "there are" in refused_here("inspect", path, "--group", "headline")
    assert call_here("export", path, "--out", str(tmp_path / "out")).returncode == 0
    assert "not an empty directory" in refused_here("export", path, "--out", str(tmp_path / "out"))
    lines = b"The senator voted for the bill on Friday.\nThe patients were treated for two weeks.\n"
    written = call_here("rewrite", path, "--as", "paraphrase", "-", text=lines)
    assert written.returncode == 0, written.stderr.decode()
    assert len(written.stdout.decode().splitlines()) == 2
    scored = call_here("rewrite", path, "--as", "paraphrase", "--json", "-", text=lines)
    rows = [json.loads(line) for line in scored.stdout.splitlines()]
    assert [row["text"] for row in rows] == lines.decode().splitlines()
    assert all(row["log_prob"] <= 0 for row in rows)


def test_the_best_of_several_rewrites(call_here: Caller, refused_here: Refuser, finished: Run) -> None:
    path, judge = str(finished.path), finished.recipe.judge.model
    lines = b"The senator voted for the bill on Friday.\nThe patients were treated for two weeks.\n"
    asked = ("rewrite", path, "--as", "long-extractive", "--best-of", "4", "--judge", judge)
    written = call_here(*asked, "--json", "-", text=lines)
    assert written.returncode == 0, written.stderr.decode()
    rows = [json.loads(line) for line in written.stdout.splitlines()]
    assert [row["text"] for row in rows] == lines.decode().splitlines()
    assert all(row["passes"] in (True, False) and 0 <= row["entailment"] <= 1 and row["candidates"] <= 4 for row in rows)
    assert f"{sum(row['passes'] for row in rows)} of 2 faithful and long-extractive" in " ".join(written.stderr.decode().split())
    assert call_here(*asked, "-", text=lines).stdout.decode().splitlines() == [row["output"] for row in rows]
    assert all({"in_group", "rouge_l"} <= set(row) for row in rows)
    assert "give one of them" in refused_here(*asked, "--beams", "2", "The senator voted.")
    assert "give that too" in refused_here("rewrite", path, "--as", "paraphrase", "--judge", judge, "The senator voted.")


def test_rewrite_mistakes(refused_here: Refuser, finished: Run) -> None:
    path = str(finished.path)
    assert "empty" in refused_here("rewrite", path, "--as", "paraphrase", " ")
    assert "UTF-8" in refused_here("rewrite", path, "--as", "paraphrase", "-", text="caf\xe9".encode("latin-1"))
    assert "line 2" in refused_here("rewrite", path, "--as", "paraphrase", "-", text=b"One.\n\nTwo.\n")
    assert "paraphrase" in refused_here("rewrite", path, "--as", "haiku", "The senator voted.")
    assert "reads at most 128" in refused_here("rewrite", path, "--as", "paraphrase", "word " * 2000)
    assert "no run" in refused_here("status", path + "-absent")


def test_a_live_process_locks_the_run_and_ctrl_c_ends_it(refused_here: Refuser, small_recipe: Recipe, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small_recipe.to_yaml(), encoding="utf-8")
    arguments = ["run", str(recipe), "--out", str(tmp_path / "out"), "--set", "contexts.count=4000"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "out").glob("stages/*/*/*.parquet")):
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert str(process.pid) in refused_here(*arguments)
        asked = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert time.monotonic() - asked < 3
    assert process.returncode == 130
    assert "to go on" in said.decode()


# What is typed


def test_text_that_is_not_utf_8_is_one_line(refused_here: Refuser, finished: Run) -> None:
    assert "TEXT is not UTF-8 (character 3)" in refused(call("rewrite", str(finished.path), "--as", "paraphrase", b"caf\xe9 is closed."))
    assert "PREMISE is not UTF-8" in refused_here("judge", b"caf\xe9", "A place is closed.")


def test_blank_sentences_are_refused_before_a_model_is_loaded(refused_here: Refuser) -> None:
    assert "HYPOTHESIS is empty" in refused_here("judge", "It rained.", " ", "--model", "./absent")


def test_a_name_too_long_for_a_file_is_one_line(refused_here: Refuser) -> None:
    assert "File name too long" in refused_here("rewrite", "a" * 300, "--as", "paraphrase", "It rained.")
    assert "File name too long" in refused_here("judge", "It rained.", "It snowed.", "--model", "a" * 300)


@pytest.mark.parametrize("device", ["cuda:63", "meta", "gpu"])
def test_a_device_that_is_not_here_is_one_line(refused_here: Refuser, small_models: dict[str, str], device: str) -> None:
    assert device in refused_here("judge", "It rained.", "It snowed.", "--device", device, "--model", small_models["judge"])


def test_dropped_pairs_are_in_no_group(refused_here: Refuser, finished: Run) -> None:
    for dropped in (["--dropped"], ["--reason", "length"]):
        assert "dropped pairs are in no group" in refused_here("inspect", str(finished.path), "--group", "paraphrase", *dropped)


def test_inspect_shows_refused_sentences_as_such(call_here: Caller, finished: Run) -> None:
    shown = call_here("inspect", str(finished.path), "--dropped").stdout.decode()
    refusals = {reason for store in finished.filters(0).values() for key in store.counts() for reason in key.split("/dropped/")[1:]}
    assert "length" in refusals
    assert all(reason in shown for reason in refusals)
    assert "refused as sentences before they were in a pair" in shown


# Lines in, lines out


def test_only_a_line_feed_ends_a_line(call_here: Caller, finished: Run) -> None:
    lines = "The senator\u2028voted for\u0085the bill.\r\nThe patients\x0cwere\x1ctreated for two weeks.".encode()
    written = call_here("rewrite", str(finished.path), "--as", "paraphrase", "--json", "-", text=lines)
    assert written.returncode == 0, written.stderr.decode()
    texts = [json.loads(line)["text"] for line in written.stdout.decode().removesuffix("\n").split("\n")]
    assert texts == ["The senator\u2028voted for\u0085the bill.", "The patients\x0cwere\x1ctreated for two weeks."]


def test_an_over_long_line_is_named_before_anything_is_rewritten(call_here: Caller, finished: Run) -> None:
    lines = [b"The senator voted."] * 299 + [b"word " * 2000]
    result = call_here("rewrite", str(finished.path), "--as", "paraphrase", "-", text=b"\n".join(lines) + b"\n")
    assert "text 300 of 300 has" in refused(result)
    assert result.stdout == b""


# Models


def test_models_that_lack_what_their_part_needs(refused_here: Refuser, small_recipe: Recipe, tmp_path: Path) -> None:
    unnamed = save(tmp_path / "unnamed", *bert({0: "LABEL_0", 1: "LABEL_1"}))
    assert "no entailment among them" in refused_here("judge", "It rained.", "It snowed.", "--model", unnamed)
    weights = tmp_path / "unnamed" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "cut short or damaged" in refused_here("judge", "It rained.", "It snowed.", "--model", unnamed)
    stopless = saved(tmp_path / "stopless", llama(), WORDS[:-1], eos_token="<end>")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small_recipe.to_yaml(), encoding="utf-8")
    out = str(tmp_path / "out")
    assert "holds a full stop" in refused_here("run", str(recipe), "--out", out, "--quiet", "--set", f"teachers.0.model={stopless}")


# The run's directory


def test_a_run_of_another_recipe_is_not_touched(refused_here: Refuser, finished: Run) -> None:
    arguments = ["run", str(finished.directory.recipe_path), "--out", str(finished.path), "--quiet", "--set", "seed=7"]
    assert "holds a run of another recipe (seed" in refused_here(*arguments)


def test_a_damaged_shard_is_named_and_repaired(call_here: Caller, refused_here: Refuser, finished: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished.path, copy)
    shard = sorted(copy.glob("stages/parallel.0.news/*/*.parquet"))[0]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    looser = ["--update", "--set", "tasks.summary.filters.entailment.threshold=0.15"]
    arguments = ["run", str(copy / "recipe.yaml"), "--out", str(copy), "--quiet", *looser]
    said = refused_here(*arguments)
    assert shard.name in said
    assert "--repair" in said
    repaired = call_here(*arguments, "--repair")
    assert repaired.returncode == 0, repaired.stderr.decode()


def test_places_that_may_not_be_read_or_written_are_one_line(small_recipe: Recipe, small_models: dict[str, str], tmp_path: Path) -> None:
    if PLAIN_USER and shutil.which(PLAIN_USER[0]) is None:
        pytest.skip("root may read everything here: needs setpriv")
    locked = tmp_path / "locked"
    locked.mkdir()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small_recipe.to_yaml(), encoding="utf-8")
    judge = tmp_path / "judge"
    shutil.copytree(small_models["judge"], judge)
    (judge / "model.safetensors").chmod(0)
    locked.chmod(0)
    try:
        made = call("run", str(recipe), "--out", str(locked / "run"), before=PLAIN_USER)
        status = call("status", str(locked / "run"), before=PLAIN_USER)
        judged = call("judge", "It rained.", "It snowed.", "--model", str(judge), before=PLAIN_USER)
    finally:
        locked.chmod(0o700)
    assert f"{locked / 'run'}" in refused(made)
    assert "Permission denied" in refused(made)
    assert "Permission denied; give a path that you may read" in refused(status)
    assert "Permission denied" in refused(judged)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full, a file to which nobody can write")
def test_output_that_nobody_can_write_is_one_line(finished: Run) -> None:
    for arguments in (["rewrite", str(finished.path), "--as", "paraphrase", "The senator voted."], ["recipe", "starter"]):
        with Path("/dev/full").open("wb") as full:
            result = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, check=False, timeout=200)
        said = refused(subprocess.CompletedProcess(arguments, result.returncode, b"", result.stderr))
        assert said == f"impdistill: standard output: {os.strerror(errno.ENOSPC)}; free some space and run it again"


def test_a_full_disk_is_one_line(small_recipe: Recipe, tmp_path: Path) -> None:
    """A disk of 32 KiB, which only this test's process sees."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=32k none "$0" && exec "$@"', str(disk)]
    if shutil.which("unshare") is None or subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a disk of its own: may not mount one here")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small_recipe.to_yaml(), encoding="utf-8")
    said = refused(call("run", str(recipe), "--out", str(disk / "run"), "--quiet", before=mounted))
    assert f"cannot write {disk}" in said
    assert "No space left on device; free some space" in said


def test_ctrl_c_while_torch_is_imported_says_how_to_go_on(tmp_path: Path) -> None:
    announcing = """
import sys
class Announcing:
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print("importing torch", file=sys.stderr, flush=True)
sys.meta_path.insert(0, Announcing())
from impdistill.cli import main
main()
"""
    arguments = ["run", "starter", "--out", str(tmp_path / "out")]
    with subprocess.Popen([sys.executable, "-c", announcing, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"importing torch\n"
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        said = process.stderr.read().decode()
        process.wait(timeout=20)
    assert time.monotonic() - asked < 5
    assert process.returncode == 130, said
    assert said.strip() == f"Stopped. Nothing finished is lost; to go on: impdistill run starter --out {tmp_path / 'out'}"
