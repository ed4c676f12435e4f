"""How close in meaning a teacher's sentences are: against a plain count, resumed setting by setting, on the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from impdistill import proximity as module
from impdistill.console.proximity import advice, proximity_table
from impdistill.errors import RecipeError, TextError
from impdistill.generate.parallel import PoolRow
from impdistill.proximity import Proximity, Question, Setting, best_of, measure_pools, measure_proximity, opening, settings_of
from impdistill.recipe import Recipe
from impdistill.report.proximity_chart import pictures_of, proximity_chart
from impdistill.tasks import tasks_of
from tests.decode.toy_teachers import toy_teacher
from tests.filters.plain import TableJudge, plain_reasons

pytestmark = pytest.mark.timeout(300)

TASKS = tasks_of(
    Recipe.load(
        {"teachers": [{"domain": "news", "model": "gpt2"}]},
        [f"tasks.{task}.filters.{name}.threshold=0.6" for task in ("summary", "paraphrase") for name in ("entailment", "diversity")],
    )
)
QUESTION = Question(TASKS, contexts=6, samples=5, entailment=0.6)


def pool(context: int, size: int = 14) -> PoolRow:
    """Sentences of 4 to 12 words; one twice, one refused."""
    rng = np.random.default_rng(context)
    words = [f"w{number}" for number in range(40)]
    sentences = [" ".join(rng.choice(words, rng.integers(4, 13))) + "." for _ in range(size)]
    sentences[3] = sentences[1].upper()
    refusals = [None] * (size - 1) + ["list"]
    return PoolRow(context, tuple(sentences), tuple(refusals), 200 + context)


def test_pools_are_measured_as_by_a_plain_count() -> None:
    pools = [pool(context) for context in range(4)]
    judge = TableJudge()
    found = measure_pools(pools, judge, QUESTION)
    assert judge.calls == 1
    for row, measured in zip(pools, found, strict=True):
        distinct = [sentence for place, sentence in enumerate(row.sentences[:-1]) if place != 3]
        pairs = list(permutations(distinct, 2))
        assert measured.pairs == len(pairs)
        assert sorted(measured.entailing) == sorted((x, y) for x, y in pairs if judge.answer(x, y) >= 0.6)
        assert measured.well_formed == len(row.sentences) - 1
        assert measured.tokens == row.token_count
        candidates = module.Candidates.from_pool(row.context, row.sentences, row.refusals)
        matrix = judge.matrix(candidates.sentences)
        assert measured.kept == {task.name: plain_reasons(candidates, task.filters, matrix).count(None) for task in TASKS}
    assert sum(sum(measured.kept.values()) for measured in found) > 0


def test_sums_over_contexts() -> None:
    pools = [pool(context) for context in range(4)]
    parts = measure_pools(pools, TableJudge(), QUESTION)
    found = module._summed(Setting(2, 0.7, 1.0), replace(QUESTION, samples=14), parts)
    kept, tokens = sum(sum(part.kept.values()) for part in parts), sum(row.token_count for row in pools)
    assert found.kept_per_1000_tokens == pytest.approx(1000 * kept / tokens)
    assert found.low is not None and found.high is not None
    assert found.low < found.kept_per_1000_tokens < found.high
    assert found.kept_per_context == kept / 4
    assert found.well_formed == 13 / 14
    assert found.entailing_share == found.entailing / (4 * 12 * 11)
    entailing = [pair for part in parts for pair in part.entailing]
    assert found.self_bleu == pytest.approx(BLEU().corpus_score([y for _, y in entailing], [[x for x, _ in entailing]]).score)


def test_nothing_to_judge_is_no_error() -> None:
    empty = PoolRow(0, ("", ""), ("unfinished", "unfinished"), 30)
    found = module._summed(Setting(0, 0.7, 1.0), QUESTION, measure_pools([empty], TableJudge(), QUESTION))
    assert (found.pairs, found.entailing_share, found.self_bleu, found.kept_per_1000_tokens, found.low) == (0, None, None, 0, None)
    assert best_of([found]) is None
    assert advice([found]).startswith("No setting kept a pair")
    silent = replace(empty, token_count=0)
    with pytest.raises(TextError, match="no room"):
        module._summed(Setting(9, 0.7, 1.0), QUESTION, measure_pools([silent], TableJudge(), QUESTION))


def test_shorter_contexts_open_the_longer_ones() -> None:
    text = 'Rain fell on the hills. Dr. Smith said so. "It was wet." The end came.'
    assert opening(text, 0) == ""
    assert opening(text, 1) == "Rain fell on the hills."
    assert opening(text, 2) == "Rain fell on the hills. Dr. Smith said so."
    assert opening(text, 4) == text


def test_settings_are_all_combinations() -> None:
    found = settings_of([0, 2, 2], [0.5], [1.0, 0.7])
    assert [str(each) for each in found] == [
        "0 sentences, top-p 0.5, temperature 1",
        "2 sentences, top-p 0.5, temperature 1",
        "0 sentences, top-p 0.5, temperature 0.7",
        "2 sentences, top-p 0.5, temperature 0.7",
    ]
    for wrong in (([-1], [0.5], [1.0]), ([1], [0.0], [1.0]), ([1], [0.5], [float("nan")]), ([], [0.5], [1.0])):
        with pytest.raises(RecipeError, match=r"out of range|no value"):
            settings_of(*wrong)
    with pytest.raises(RecipeError, match="at least one"):
        Question(TASKS, samples=1)


class CountingJudge(TableJudge):
    """What `measure_proximity` reads of a judge."""

    fingerprint = "table"

    class model:  # noqa: N801 (stands for a module's dtype)
        dtype = "float32"


def measure(folder: Path, settings: list[Setting], question: Question, judge: CountingJudge) -> list[Proximity]:
    return measure_proximity(toy_teacher(), judge, settings, question, folder)  # type: ignore[arg-type]


def test_what_was_measured_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impdistill.generate.parallel.refusal", lambda sentence: None)  # toys write nothing well-formed
    question = replace(QUESTION, max_new_tokens=24)
    settings = settings_of([0], [0.5, 0.9], [1.0])
    judge = CountingJudge(once=False)
    first = measure(tmp_path, settings[:1], question, judge)
    calls = judge.calls
    assert calls == 1
    both = measure(tmp_path, settings, question, judge)
    assert judge.calls == 2 * calls
    assert both[0] == first[0] != both[1]
    assert first[0].pairs > 0

    # another question, and a damaged file, are answered anew; the same question gives the same answer
    assert measure(tmp_path, settings[:1], replace(question, seed=1), judge) != first
    assert measure(tmp_path, settings[:1], question, judge) == first
    [path] = [path for path in tmp_path.iterdir() if "top-p-0.5" in path.name]
    path.write_text("{}")
    assert measure(tmp_path, settings[:1], question, judge) == first
    assert judge.calls == 5 * calls


def made_up(sentences: int, top_p: float, rate: float, low: float, high: float) -> Proximity:
    return Proximity(Setting(sentences, top_p, 1.0), 8, 160, 0.9, 2000, 40, 35.5, {"summary": 3, "paraphrase": 1}, 4000, rate, low, high)


def test_table_advice_and_figure() -> None:
    found = [made_up(0, 0.5, 0.2, 0.0, 0.4), made_up(3, 0.5, 1.5, 1.1, 1.9), made_up(3, 0.9, 1.2, 0.8, 1.6)]
    assert best_of(found) is found[1]
    assert advice(found) == (
        "Most pairs for the tokens sampled: 3 sentences, top-p 0.5, temperature 1, 1.50 kept per 1,000; "
        "1 other may be as good: more --contexts tell them apart."
    )
    assert proximity_table(found, "t").row_count == 3
    pictures = pictures_of(proximity_chart([*found, replace(found[0], self_bleu=None)]))
    for label in (b"Self-BLEU of entailing pairs", b"pairs kept per 1,000 sampled tokens", b"top-p"):
        assert label in pictures["svg"]
    assert pictures["png"].startswith(b"\x89PNG")
    hotter = replace(found[0], setting=Setting(0, 0.5, 1.2))
    assert b"temperature" in pictures_of(proximity_chart([*found, hotter]))["svg"]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-c", "from impdistill.cli import main; main()", "proximity", *arguments]
    return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=250)


def test_on_the_command_line(small_models: dict[str, str], tmp_path: Path) -> None:
    small = ["--contexts", "3", "--samples", "6", "--max-new-tokens", "32", "--threshold", "0.2", "--prefix", "literal:<|endoftext|>News:"]
    call = [
        small_models["teacher"],
        "--judge",
        small_models["judge"],
        "--out",
        str(tmp_path),
        "--sentences",
        "0,1",
        "--top-p",
        "0.3",
        *small,
    ]
    result = command(*call)
    assert result.returncode == 0, result.stderr
    assert "0 sentences, top-p 0.3, temperature 1" in result.stderr
    assert "kept per 1,000" in result.stdout or "No setting kept a pair" in result.stdout
    content = json.loads((tmp_path / "proximity.json").read_text(encoding="utf-8"))
    assert [each["setting"]["sentences"] for each in content["results"]] == [0, 1]
    assert all(each["pairs"] > 0 for each in content["results"])
    rows = list(csv.DictReader((tmp_path / "proximity.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["sentences"] for row in rows] == ["0", "1"]
    assert float(rows[0]["kept_per_1000_tokens"]) == content["results"][0]["kept_per_1000_tokens"]
    assert {path.name for path in tmp_path.iterdir()} == {"settings", *(f"proximity.{suffix}" for suffix in ("json", "csv", "svg", "png"))}

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "settings").iterdir()}
    again = command(*call)
    assert again.stdout == result.stdout
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "settings").iterdir()} == before


def test_mistakes_are_one_line() -> None:
    for arguments, message in (
        (["--sentences", "0,x"], "give numbers with commas"),
        (["--top-p", "1.5"], "top-p: 1.5 is out of range"),
        ([], "no such model folder"),
    ):
        result = command("./nowhere", "--judge", "./nowhere", "--out", "unused", *arguments)
        assert result.returncode == 2
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
        assert message in result.stderr


def test_a_teacher_without_whole_sentences_says_so(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="wrote no context of 2 well-formed sentences"):
        measure(tmp_path, settings_of([2], [0.7], [1.0]), replace(QUESTION, contexts=2, max_new_tokens=16), CountingJudge())
