from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from impdistill.errors import BenchmarkError
from impdistill.evaluate.benchmarks import Benchmark, benchmark_of
from impdistill.evaluate.systems import Copy, Human, Lead, OutputsFile, Rewriting, baseline

BENCHMARK = Benchmark("b", "b.tsv", ("one two three four", "five"), (("a", "b", "c"), ("d", "e")))


class Reverser:
    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        return [f"{group}: {text[::-1]}" for text in texts]


class Forgetful:
    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        return list(texts[1:])


def test_copy() -> None:
    answers = Copy().answer(BENCHMARK)
    assert (answers.outputs, answers.references) == (BENCHMARK.sources, BENCHMARK.references)


@pytest.mark.parametrize(("share", "kept"), [(0.79, 3), (0.625, 3), (0.62, 2), (0.01, 1), (1.0, 4)])
def test_lead_rounds_to_the_nearest_word_and_keeps_one(share: float, kept: int) -> None:
    assert Lead(share).answer(BENCHMARK).outputs == (" ".join(["one", "two", "three", "four"][:kept]), "five")


def test_a_reference_is_never_scored_against_itself() -> None:
    answers = Human(1).answer(BENCHMARK)
    assert answers.outputs == ("b", "e")
    assert answers.references == (("a", "c"), ("d",))
    with pytest.raises(BenchmarkError, match=r"human:2 on b: item 1 has 2 reference"):
        Human(2).answer(BENCHMARK)
    with pytest.raises(BenchmarkError, match=r"item 0 has 1 reference\(s\); 2 are needed"):
        Human().answer(Benchmark("b", "b", ("x",), (("y",),)))


def test_outputs_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "theirs.txt"
    path.write_text("first\n\n", encoding="utf-8")
    answers = OutputsFile(path).answer(BENCHMARK)
    assert answers.outputs == ("first", "")
    assert answers.empty_outputs == 1
    path.write_text("first\n", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"1 outputs for the 2 items of b$"):
        OutputsFile(path).answer(BENCHMARK)


def test_outputs_have_a_line_for_each_record_or_for_each_item(tmp_path: Path) -> None:
    path = tmp_path / "theirs.txt"
    items = [("one", ["a"]), None, ("", ["b"]), ("two", ["c"])]
    found = benchmark_of("b", "b", items, {"labelled 0 (not a pair)": 1})
    for lines, outputs in (("1 2 3 4", ("1", "4")), ("1 4", ("1", "4"))):
        path.write_text(lines.replace(" ", "\n"), encoding="utf-8")
        assert OutputsFile(path).answer(found).outputs == outputs
    path.write_text("1\n2\n3\n", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="3 outputs for the 2 items of b; 4 lines would do as well"):
        OutputsFile(path).answer(found)


def test_a_model_must_answer_every_item() -> None:
    assert Rewriting("r", Reverser(), "short").answer(BENCHMARK).outputs == ("short: ruof eerht owt eno", "short: evif")
    with pytest.raises(BenchmarkError, match="1 texts for 2 sources"):
        Rewriting("r", Forgetful(), "short").answer(BENCHMARK)


def test_names_of_baselines() -> None:
    specs = ["copy", "lead:0.79", "human", "human:3", "outputs:some/file.txt"]
    systems = [baseline(spec) for spec in specs]
    assert systems == [Copy(), Lead(0.79), Human(), Human(3), OutputsFile(Path("some/file.txt"))]
    assert [system.name for system in systems if system] == ["copy", "lead:0.79", "human", "human:3", "outputs:some/file.txt"]
    assert Lead(0.79).name != Lead(0.7900001).name
    assert [baseline(spec) for spec in ("runs/one", "gpt2", "copycat", "humanoid", "starter:student")] == [None] * 5


@pytest.mark.parametrize("spec", ["lead:0", "lead:1.5", "lead:most", "lead:", "lead", "human:-1", "human:x", "lead:nan"])
def test_baselines_out_of_range(spec: str) -> None:
    with pytest.raises(BenchmarkError):
        baseline(spec)
