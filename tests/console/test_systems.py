"""What SYSTEM means, and on which items systems are compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from impdistill.best_of import BestOf
from impdistill.console.systems import (
    Asking,
    Contender,
    Reader,
    Remembering,
    check_humans,
    check_names,
    contender,
    examples_for,
    known_groups,
    read_benchmarks,
    readable,
    readable_for,
    rivals,
    usual_name,
    why_not,
    with_baselines,
)
from impdistill.errors import BenchmarkError, ModelError
from impdistill.evaluate import Rewriting, benchmark_of
from impdistill.evaluate.prompting import Prompting
from impdistill.evaluate.systems import Copy, Human, OutputsFile
from impdistill.models.student import Student
from impdistill.models.student_format import PROMPTS, Borders, StudentFormat
from impdistill.recipe import Recipe
from impdistill.tasks import Group
from tests.models.tiny_judges import bert, save
from tests.tiny_students import GROUPS, save_base

ONE = benchmark_of("one", "one", [("A cat sat.", ["A cat."]), ("A dog ran far away.", ["A dog ran."])])
TWO = benchmark_of("two", "two", [("A cat sat.", ["A cat.", "The cat."])])


BORDERS = {
    "short": {"compression": (0.0, 0.5), "similarity": (0.0, None)},
    "paraphrase": {"compression": (0.5, None), "similarity": (0.0, 0.9)},
}


def tiny_student(folder: Path, borders: Mapping[str, Borders] = BORDERS) -> Path:
    save_base("t5", folder, spread=0.4)
    StudentFormat("seq2seq", GROUPS, PROMPTS["seq2seq"], 90, 24, "tiny", "tests", borders).write(folder)
    return folder


class Counting:
    calls = 0

    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        self.calls += 1
        return [f"{group} {text}" for text in texts]


def test_the_honest_rows_are_always_there() -> None:
    assert with_baselines(["runs/x"], [ONE]) == ["runs/x", "copy", "lead:0.79"]
    assert with_baselines(["lead:0.79", "human"], [ONE]) == ["lead:0.79", "human", "copy"]
    assert with_baselines(["copy"], [TWO]) == ["copy", "lead:0.79", "human"]
    assert with_baselines(["copy"], [TWO, ONE]) == ["copy", "lead:0.79", "human"]


def test_a_baseline_has_one_name_however_it_is_written() -> None:
    assert with_baselines(["lead:0.790", "human:0", "outputs:./a.txt", "outputs:a.txt"], [TWO]) == [
        "lead:0.79",
        "human",
        "outputs:a.txt",
        "copy",
    ]
    assert usual_name("runs/x") == "runs/x"
    with pytest.raises(BenchmarkError, match="2 rows would be called 'copy'"):
        check_names([contender("copy", Asking()), Contender("other", (Copy(),))])


def test_a_human_is_missing_only_where_references_are() -> None:
    assert why_not(Human(), TWO) is None
    assert why_not(Copy(), ONE) is None
    assert why_not(Human(), ONE) == "not every item has the references"
    humans = [contender(spec, Asking()) for spec in ("human", "copy")]
    check_humans(humans, [ONE, TWO])
    with pytest.raises(BenchmarkError, match="human on one: item 0 has 1 reference"):
        check_humans(humans, [ONE])


def test_items_too_long_for_a_student_are_left_out_for_all_and_counted() -> None:
    reader = Reader(lambda texts, group: [len(text.split()) + len(group) for text in texts], ("a", "bb"), 6)
    assert reader.reads(["one two three four", "one two three four five"]) == [True, False]
    kept = readable(ONE, [reader])
    assert kept.sources == ("A cat sat.",)
    assert kept.references == (("A cat.",),)
    assert kept.skipped == {"longer than a student reads": 1}
    assert kept.lines == {2: (0,), 1: (0,)}
    assert readable(ONE, []) is ONE
    with pytest.raises(BenchmarkError, match="longer than a student reads"):
        readable(ONE, [Reader(reader.tokens, ("a",), 1)])


def test_items_too_long_for_one_of_several_folders_are_counted_together(tmp_path: Path) -> None:
    bench = benchmark_of("b", "b", [(" ".join(["cat"] * count), ["a"]) for count in (5, 50, 150)])
    folders = []
    for limit in (30, 100):
        folders.append(tiny_student(tmp_path / str(limit)))
        spoken = StudentFormat.read(str(folders[-1]))
        replace(spoken, max_source_tokens=limit).write(folders[-1])
    (kept,) = readable_for([bench], [(str(folder), "short") for folder in folders[::-1]])
    assert len(kept) == 1 and kept.skipped == {"longer than a student reads": 2}


def test_the_first_items_only(tmp_path: Path) -> None:
    path = tmp_path / "bench.tsv"
    path.write_text("a b c\ta b\nd e f\td e\n", encoding="utf-8")
    (all_items,) = read_benchmarks([str(path)], None)
    assert len(all_items) == 2 and not all_items.skipped
    (first,) = read_benchmarks([str(path)], 1)
    assert first.sources == ("a b c",)
    assert first.skipped == {"after the first 1": 1}
    outputs = tmp_path / "outputs.txt"
    for text in ("one\ntwo\n", "one\n"):
        outputs.write_text(text, encoding="utf-8")
        assert OutputsFile(outputs).answer(first).outputs == ("one",)


def test_a_model_is_asked_once_for_scores_and_control() -> None:
    model = Counting()
    remembering = Remembering(model)
    assert remembering.rewrite(["x"], "a") == remembering.rewrite(("x",), "a") == ["a x"]
    assert model.calls == 1
    assert remembering.rewrite(["x"], "b") == ["b x"]
    assert remembering.rewrite(["y"], "a") == ["a y"]
    assert model.calls == 3


def test_a_student_has_a_row_for_each_group(tmp_path: Path) -> None:
    folder = tiny_student(tmp_path)
    found = contender(str(folder), Asking(device="cpu"))
    names = [system.name for system in found.systems]
    assert names == [f"{folder} {group.name}" for group in found.groups]
    assert len(names) > 1 and found.reader is not None
    one = contender(str(folder), Asking((found.groups[0].name,), device="cpu"))
    assert [system.name for system in one.systems] == names[:1]
    assert found.version == Student.load(str(folder), device="cpu").fingerprint
    assert isinstance(one.systems[0], Rewriting)
    assert len(one.systems[0].answer(ONE)) == 2
    with pytest.raises(BenchmarkError, match="knows no group 'sonnet'"):
        contender(str(folder), Asking(("sonnet",), device="cpu"))


def test_borders_come_from_the_folder_or_from_the_recipe_and_from_no_name() -> None:
    recipe = Recipe.load({"teachers": [{"domain": "any", "model": "any"}]})
    spoken = StudentFormat("seq2seq", {"short": "Shorten: ", "paraphrase": "Paraphrase: "}, PROMPTS["seq2seq"], 90, 24, "tiny", "tests")
    assert known_groups(spoken, None) == {}
    assert known_groups(spoken, recipe)["paraphrase"].compression == (0.8, 1.5)
    own = replace(spoken, borders=BORDERS)
    for of in (None, recipe):
        assert known_groups(own, of)["paraphrase"] == Group("paraphrase", "Paraphrase: ", (0.5, math.inf), (0.0, 0.9))


def test_the_packaged_student_has_its_recipes_borders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_base("t5", tmp_path / "student")
    groups = {"long-abstractive": "Long: ", "paraphrase": "Paraphrase: "}
    StudentFormat("seq2seq", groups, PROMPTS["seq2seq"], 90, 24, "tiny", "tests").write(tmp_path / "student")
    monkeypatch.setenv("IMPDISTILL_STARTER", str(tmp_path))
    found = contender("starter", Asking(device="cpu"))
    assert [group.compression for group in found.groups] == [(0.5, 0.8), (0.8, 1.5)]
    found = contender(str(tmp_path / "student"), Asking(device="cpu"))
    assert (found.groups, found.borderless) == ((), ("long-abstractive", "paraphrase"))


def test_a_prompted_model_says_how_it_was_asked(tmp_path: Path) -> None:
    folder = save_base("gpt2", tmp_path)
    asking = Asking(instruction="Shorten.", examples=(("A b.", "A."),), device="cpu")
    zero, few = contender(f"prompt:{folder}", asking).systems
    assert [system.name for system in (zero, few)] == [f"prompt:{folder} zero-shot", f"prompt:{folder} 1-shot"]
    assert isinstance(zero, Prompting) and isinstance(few, Prompting)
    assert zero.model is few.model
    assert few.model.prompts[few.group].text("x").startswith("Shorten.\n\nSentence: A b.\nSummary: A.\n\nSentence: x")
    assert zero.model.prompts[zero.group].examples == ()
    assert len(few.answer(TWO).outputs) == 1
    (system,) = contender(f"prompt:{folder}", Asking(instruction="Paraphrase it.", device="cpu")).systems
    assert system.name == f"prompt:{folder} zero-shot"
    assert isinstance(system, Prompting) and system.model.prompts[system.group].output_label == "Paraphrase:"
    (system,) = contender(f"prompt:{folder}", Asking(output_label="So:", device="cpu")).systems
    assert isinstance(system, Prompting) and system.model.prompts[system.group].output_label == "So:"
    long = benchmark_of("long", "long", [("word " * 200, ["word"])])
    assert why_not(system, long) == "no prompt fits the model's positions"


def test_examples_are_no_items_of_the_benchmark() -> None:
    assert examples_for(ONE, [TWO], 5) == (("A dog ran far away.", "A dog ran."),)
    assert examples_for(ONE, [], 1) == (("A cat sat.", "A cat."),)
    with pytest.raises(BenchmarkError, match="all its 1 items are items measured on"):
        examples_for(TWO, [ONE], 5)


def test_what_each_row_is_compared_with() -> None:
    def students(spec: str, *groups: str) -> Contender:
        return Contender(spec, tuple(Rewriting(f"{spec} {group}", Counting(), group) for group in groups))

    there = [students("a", "short", "long"), students("b", "short"), Contender("copy", (Copy(),))]
    assert rivals(there, "copy") == {"a short": "copy", "a long": "copy", "b short": "copy"}
    assert rivals(there, "a long") == {"a short": "a long", "b short": "a long", "copy": "a long"}
    assert rivals(there, "a") == {"b short": "a short"}
    assert rivals(there, "b") == {"a short": "b short", "a long": "b short", "copy": "b short"}


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        contender(str(tmp_path / "nowhere"), Asking())
    with pytest.raises(ModelError, match="name the model"):
        contender("prompt:", Asking())


def test_the_best_of_a_student_is_a_system(tmp_path: Path) -> None:
    judge = save(tmp_path / "judge", *bert())
    folder = tiny_student(tmp_path / "student")
    found = contender(f"best-of:3:{folder}", Asking(("short",), judge=judge, device="cpu"))
    assert found.spec == f"best-of:3:{folder}"
    assert [system.name for system in found.systems] == [f"best-of:3:{folder} short"]
    assert isinstance(found.rewriter, Remembering)
    assert isinstance(found.rewriter.rewriter, BestOf)
    assert found.rewriter.rewriter.candidates == 3
    assert found.version is None  # no student's card may take its figures for the student's own
    answers = found.systems[0].answer(ONE)
    assert len(answers.outputs) == 2
    assert answers == contender(f"best-of:3:{folder}", Asking(("short",), judge=judge, device="cpu")).systems[0].answer(ONE)


def test_without_borders_there_is_no_best(tmp_path: Path) -> None:
    folder = tiny_student(tmp_path / "student", borders={})
    with pytest.raises(ModelError, match="the borders of 'short' are not known"):
        contender(f"best-of:3:{folder}", Asking(judge="no-such-judge", device="cpu"))


@pytest.mark.parametrize("spec", ["best-of:starter", "best-of:1:starter", "best-of:x:starter", "best-of:4:"])
def test_how_many_to_choose_from_must_be_said(spec: str) -> None:
    with pytest.raises(BenchmarkError, match="write best-of:16:starter"):
        contender(spec, Asking())
