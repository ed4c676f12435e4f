from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from impdistill.errors import BenchmarkError
from impdistill.evaluate.benchmarks import benchmark_of, read_benchmark, read_parallel, told_apart
from impdistill.evaluate.fields import Fields


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def objects(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "items", "references", "skipped"),
    [
        ("turkcorpus_test_truecased.jsonl", 359, {8}, {}),
        ("sentsum_google.jsonl", 1000, {1}, {}),
        ("scitldr_A_dev.jsonl", 619, {1, 2, 3, 4}, {}),
        ("mrpc_val.tsv", 346, {1}, {"labelled 0 (not a pair)": 154}),
        ("qqp_duplicates_test.tsv", 3435, {1}, {}),
        ("qqp_labelled_dev.tsv", 4230, {1}, {"labelled 0 (not a pair)": 4960}),
    ],
)
def test_real_files(shared: Path, name: str, items: int, references: set[int], skipped: dict[str, int]) -> None:
    found = read_benchmark(str(shared / "benchmarks" / name))
    assert (len(found), {len(several) for several in found.references}, found.skipped) == (items, references, skipped)
    assert all(text == text.strip() != "" for text in (*found.sources, *(one for several in found.references for one in several)))


def test_qqp_is_divided_by_length_with_the_longer_question_first(shared: Path) -> None:
    path = shared / "benchmarks/qqp_duplicates_test.tsv"
    summary, paraphrase = read_benchmark(f"qqp-summary:{path}"), read_benchmark(f"qqp-paraphrase:{path}")
    assert len(summary) + len(paraphrase) == 3435
    assert summary.skipped == {"not a qqp-summary pair, by length": len(paraphrase)}
    assert summary.origin != paraphrase.origin
    for source, (reference,) in zip(summary.sources, summary.references, strict=True):
        assert len(reference.split()) < len(source.split()) + 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("turk.jsonl", objects({"source": "x one", "references": ["y one", "z"]}, {"source": "x two", "references": "y two"})),
        ("asset.jsonl", objects({"original": "x one", "targets": ["y one"]}, {"Original": "x two", "targets": ["y two"]})),
        ("pairs.tsv", "x one\ty one\nx two\ty two\n"),
        ("headed.tsv", "id\tsource\treference\n1\tx one\ty one\n2\tx two\ty two\n"),
        ("glue.tsv", "id\tquestion1\tquestion2\tis_duplicate\n7\tx one\ty one\t1\n8\tno\tno\t0\n9\tx two\ty two\t1\n"),
        ("windows.tsv", b"\xef\xbb\xbfx one\ty one\r\nx two\ty two\r\n"),
        ("labelled.tsv", "1\tx one\ty one\n0\tno\tno\n1\tx two\ty two\n"),
        ("texts.tsv", "src_text\ttgt_text\nx one\ty one\nx two\ty two\n"),
        ("spoken.tsv", "Source Text\tTarget-Text\nx one\ty one\nx two\ty two\n"),
        ("paws.tsv", "id\tsentence1\tsentence2\tis_paraphrase\n1\tx one\ty one\t1\n2\tno\tno\t0\n3\tx two\ty two\tTrue\n"),
        ("classed.tsv", "document\tsummary\tclass\nx one\ty one\ttrue\nno\tno\tfalse\nx two\ty two\ttrue\n"),
        ("texts.jsonl", objects({"src_text": "x one", "tgt_text": "y one"}, {"Source Text": "x two", "paraphrases": ["y two"]})),
        ("labels.jsonl", objects({"text1": "x one", "text2": "y one", "label": True}, {"text1": "x", "text2": "y", "class": 0},
                                 {"text1": "x two", "text2": "y two"})),
        ("numbered.jsonl", objects({"orig": "x one", "ref_0": "y one", "ref_1": "z"}, {"orig": "x two", "ref_0": "y two"})),
    ],
)  # fmt: skip
def test_forms_that_are_recognised(tmp_path: Path, name: str, content: str | bytes) -> None:
    found = read_benchmark(write(tmp_path, name, content))
    assert found.sources == ("x one", "x two")
    assert [several[0] for several in found.references] == ["y one", "y two"]
    assert found.name == name.rpartition(".")[0]


def test_several_columns_of_references(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "source\treference_1\treference_2\nx\ty\tz\nv\tw\t \n")
    found = read_benchmark(path)
    assert found.references == (("y", "z"), ("w",))
    assert found.skipped == {"blank reference, others kept": 1}


@pytest.mark.parametrize(
    ("names", "fields", "references"),
    [
        (["source", "output", "reference"], "", ("c",)),
        (["source", "output", "reference_1", "reference_2"], "", ("c", "d")),
        (["source", "references", "ref_1", "reference"], "", ("c",)),
        (["source", "summary", "reference", "reference_2"], "", ("c", "d")),
        (["summary", "text"], "source=summary", None),
        (["summary", "text"], "references=text", None),
        (["summary", "text", "headline"], "source=summary", ("c",)),
    ],
)
def test_an_output_or_the_source_is_no_reference(tmp_path: Path, names: list[str], fields: str, references: tuple[str] | None) -> None:
    row = dict(zip(names, "abcd", strict=False))
    for name, content in (("a.jsonl", objects(row)), ("a.tsv", "\t".join(row) + "\n" + "\t".join(row.values()) + "\n")):
        path = write(tmp_path, name, content)
        told = Fields.of(fields) if fields else Fields()
        if references is None:
            with pytest.raises(BenchmarkError, match=r"for the (references|source)"):
                read_benchmark(path, told)
        else:
            assert read_benchmark(path, told).references == (references,)
    with pytest.raises(BenchmarkError, match="cannot be its own reference"):
        Fields.of("source=text,references=Text")


def test_question_pairs_in_any_form(tmp_path: Path) -> None:
    row = {"question1": "a b", "question2": "a b c d", "is_duplicate": 1}
    path = write(tmp_path, "q.jsonl", objects(row, {**row, "is_duplicate": 0}, {**row, "question2": "a c"}))
    found = read_benchmark(f"qqp-summary:{path}")
    assert (found.name, found.sources, found.references) == ("qqp-summary q", ("a b c d",), (("a b",),))
    assert found.skipped == {"labelled 0 (not a pair)": 1, "not a qqp-summary pair, by length": 1}
    folder = tmp_path / "set"
    folder.mkdir()
    Dataset.from_dict({name: [value] for name, value in row.items()}).to_parquet(folder / "test.parquet")
    found = read_benchmark(f"qqp-summary:hub:{folder}@test")
    assert (found.name, found.sources, found.origin) == ("qqp-summary set test", ("a b c d",), f"qqp-summary:hub:{folder}@test")
    path = write(tmp_path, "r.jsonl", objects({"source": "a b c d", "references": ["a", "b"]}))
    with pytest.raises(BenchmarkError, match="2 references for 'a b c d'; of question pairs every one has two questions"):
        read_benchmark(f"qqp-summary:{path}")


def test_benchmarks_of_one_name_are_called_by_their_origin() -> None:
    one, other, third = (benchmark_of(name, origin, [("x", ["y"])]) for name, origin in (("t", "a/t"), ("t", "b/t"), ("D0", "c")))
    assert [found.name for found in told_apart([one, other, third], {"D0"})] == ["a/t", "b/t", "c"]
    assert told_apart([one, one, third]) == [one, one, third]


def test_fields_of_any_name(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "Before it\tn\tshort\tshorter\tgood\na b c\t1\ta b\ta\t1\nd e f\t2\td e\td\t0\n")
    found = read_benchmark(path, Fields.of("source=before it, references=short, references=shorter, label=good"))
    assert (found.sources, found.references) == (("a b c",), (("a b", "a"),))
    assert found.skipped == {"labelled 0 (not a pair)": 1}
    path = write(tmp_path, "b.jsonl", objects({"before": "a b c", "after": ["a b", "a"], "label": "news"}))
    found = read_benchmark(path, Fields.of("source=before,references=after,label="))
    assert (found.sources, found.references) == (("a b c",), (("a b", "a"),))
    path = write(tmp_path, "c.tsv", "before\tafter\na b c\ta b\n")
    assert read_benchmark(path, Fields.of("source=2,references=1")).sources == ("after", "a b")
    path = write(tmp_path, "d.tsv", "question1\tquestion2\tlabel\na b c d e\ta b\tyes\n")
    assert len(read_benchmark(f"qqp-summary:{path}", Fields.of("label="))) == 1


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("before", "write source=NAME"),
        ("sauce=before", "write source=NAME"),
        ("source=", "write source=NAME"),
        ("source=a,source=b", "one source"),
        ("source=before", "no column has a usual name for the references"),
        ("source=gone,references=after", "no column 'gone'; the first line is before, after"),
        ("source=1", "columns by number need source and references"),
        ("source=1,references=3", "no column 3; there are 2"),
    ],
)
def test_fields_that_are_not_there(tmp_path: Path, said: str, complaint: str) -> None:
    path = write(tmp_path, "a.tsv", "before\tafter\na b c\ta b\n")
    with pytest.raises(BenchmarkError, match=complaint):
        read_benchmark(path, Fields.of(said))
    with pytest.raises(BenchmarkError, match="no field 'gone'; found before; name it 'source', or say --fields source=NAME"):
        read_benchmark(write(tmp_path, "a.jsonl", objects({"before": "a"})), Fields("gone"))


def test_lines_of_a_file_of_outputs(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "1\ta b c\td\n0\ta b\tc\n1\t \tc\n1\ta b\tc\n")
    assert read_benchmark(path).lines == {2: (0, 1), 4: (0, 3)}
    path = write(tmp_path, "q.tsv", "a b\ta b c d e\na b\tc d\na b c d e f\ta b\n")
    assert read_benchmark(f"qqp-summary:{path}").lines == {2: (0, 1), 3: (0, 2)}


def test_quotation_marks_wrap_cells_only_where_the_whole_file_says_so(tmp_path: Path) -> None:
    wrapped = write(tmp_path, "wrapped.tsv", '"He said ""no""."\tplain\n"tab\there"\t"""x"""\n')
    assert read_benchmark(wrapped).sources == ('He said "no".', "tab\there")
    assert read_benchmark(wrapped).references == (("plain",), ('"x"',))
    literal = write(tmp_path, "literal.tsv", '"Yes," he said.\t"Yes."\nan 8"" pipe\t"a\n')
    assert read_benchmark(literal).sources == ('"Yes," he said.', 'an 8"" pipe')
    spoken = write(tmp_path, "spoken.tsv", '"All of it is said."\tHe said it all.\n')
    assert read_benchmark(spoken).sources == ('"All of it is said."',)
    every = write(tmp_path, "every.tsv", '"source"\t"target"\n"a b"\t"c"\n')
    assert read_benchmark(every).sources == ("a b",)


def test_what_cannot_be_measured_is_counted(tmp_path: Path) -> None:
    rows = [{"source": "x", "references": ["y"]}, {"source": " ", "references": ["y"]}, {"source": "x", "references": ["", " "]}]
    rows += [{"source": "x", "references": []}, {"source": "x", "references": ["", "y"]}]
    found = read_benchmark(write(tmp_path, "a.jsonl", objects(*rows).replace("\n", "\n\n", 1)))
    assert len(found) == 2
    assert found.skipped == {"no source": 1, "no reference": 2, "blank reference, others kept": 1}


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.jsonl", "", "empty"),
        ("a.tsv", " \n\n", "empty"),
        ("a.tsv", b"\xef\xbb\xbf", "empty"),
        ("a.tsv", b"\xef\xbb\xbf\n \r\n", "empty"),
        ("a.jsonl", '{"source": "x", "references": ["y"], "n": ' + "1" * 5000 + "}", "a.jsonl:1: cannot be read as JSON"),
        (
            "a.jsonl",
            '{"source": "x", "references": ["y"]}\n{"source": "x"}\n',
            "a.jsonl:2: no field for the references; found source",
        ),
        ("a.jsonl", '{"references": ["x"]}\n', "a.jsonl:1: no field for the source"),
        ("a.jsonl", '{"source": "x", "references": ["y"]}\n\n{"source": \n', "a.jsonl:3: not JSON"),
        ("a.jsonl", '["x", "y"]\n', "a.jsonl:1: a JSON list; write one object a line"),
        ("a.json", '[\n {"source": "x"}\n]', "a.json:1: a JSON list"),
        ("a.jsonl", '{"source": "x", "references": ["y"]}\n["x"]\n', "a.jsonl:2: holds a list"),
        ("a.jsonl", '{"source": "x y", "references": ["y"]}\n'.encode("utf-16-le"), "a.jsonl:1: holds a NUL"),
        ("a.jsonl", '{"source": 5, "references": ["y"]}\n', "a.jsonl:1: the source is int"),
        ("a.jsonl", '{"source": "x", "references": [null]}\n', "a.jsonl:1: the references"),
        ("a.jsonl", '{"source": "x", "references": ["y"], "label": "news"}\n', "a.jsonl:1: label 'news'"),
        ("a.jsonl", '{"source": "\\ud800", "references": ["y"]}\n', "a.jsonl:1: holds half a surrogate"),
        ("a.jsonl", '{"source": "", "references": ["y"]}\n', "no item to measure on (1 no source)"),
        ("a.tsv", "x\ty\nx\ty\tz\n", "a.tsv:2: 3 cells, where line 1 has 2"),
        ("a.tsv", "only one cell\n", "a.tsv:1: one cell"),
        ("a.tsv", "source\treference\n", "no record"),
        ("a.tsv", "before\tafter\na b c\ta b\nd e f\td e\n", "a.tsv:1: before, after seems to be a header, and no column"),
        ("a.tsv", "source\tafter\na b c\ta b\n", "no column has a usual name for the references; say --fields"),
        ("a.tsv", "id\tLong text\tlabel\n7\ta b c\ta b\n", "no column has a usual name for the source"),
        ("a.tsv", "label\tsource\treference\n2\tx\ty\n", "a.tsv:2: label '2'"),
        ("a.tsv", "1\ta b\tc d\nO\ta b\tc d\n", "a.tsv:2: label 'O'"),
        ("a.tsv", "0\ta b\tc d\n", "no item to measure on (1 labelled 0"),
        ("a.tsv", "x\ty\nna\u00efve\tz\n".encode("latin-1"), "a.tsv:2: byte 0xef is not UTF-8"),
        ("a.tsv", "x\ty\n".encode("utf-16"), "UTF-16"),
        ("a.tsv", b"x\ty\nx\0\ty\n", "a.tsv:2: holds a NUL"),
    ],
)
def test_files_that_are_not_what_they_claim(tmp_path: Path, name: str, content: str | bytes, complaint: str) -> None:
    with pytest.raises(BenchmarkError) as raised:
        read_benchmark(write(tmp_path, name, content))
    assert complaint in str(raised.value)
    assert "a." in str(raised.value)


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="No such file"):
        read_benchmark(str(tmp_path / "absent.tsv"))
    with pytest.raises(BenchmarkError, match="a folder; write hub:"):
        read_benchmark(str(tmp_path))


def test_one_record_is_a_benchmark(tmp_path: Path) -> None:
    assert len(read_benchmark(write(tmp_path, "a.tsv", "a b\tc"))) == 1


def test_parallel_text_files(tmp_path: Path) -> None:
    source, first, second = (write(tmp_path, f"asset.{end}", text) for end, text in (("orig", "a\nb\n"), ("0", "c\n\n"), ("1", "d\ne")))
    found = read_parallel(source, [first, second], name="ASSET")
    assert (found.name, found.sources, found.references) == ("ASSET", ("a", "b"), (("c", "d"), ("e",)))
    with pytest.raises(BenchmarkError, match=r"3 lines, where .* has 2"):
        read_parallel(source, [first, write(tmp_path, "asset.2", "f\ng\nh\n")])
    with pytest.raises(BenchmarkError, match="no file of references"):
        read_parallel(source, [])


def test_parallel_text_files_by_name(tmp_path: Path) -> None:
    """As ASSET and Gigaword lie there."""
    source, *_ = (write(tmp_path, f"asset.test.{end}", f"a {end}\nb {end}\n") for end in ("orig", "simp.0", "simp.1"))
    one = read_benchmark(f"parallel:{source},{tmp_path}/asset.test.simp.1,{tmp_path}/asset.test.simp.0")
    assert (one.name, one.sources) == ("asset.test.orig", ("a orig", "b orig"))
    assert one.references == (("a simp.1", "a simp.0"), ("b simp.1", "b simp.0"))
    all_of_them = read_benchmark(f"parallel:{source},{tmp_path}/asset.test.simp.*")
    assert all_of_them.references[0] == ("a simp.0", "a simp.1")
    assert one.origin != all_of_them.origin
    with pytest.raises(BenchmarkError, match="no file of references was given; write parallel:SOURCES,REFERENCES"):
        read_benchmark(f"parallel:{source}")
    with pytest.raises(BenchmarkError, match=r"gone\.\*: cannot be read"):
        read_benchmark(f"parallel:{source},{tmp_path}/gone.*")


def test_datasets_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my-set"
    folder.mkdir()
    DatasetDict({"test": Dataset.from_dict({"x": ["a b", ""], "y": ["a", "b"]})})["test"].to_parquet(folder / "test.parquet")
    found = read_benchmark(f"hub:{folder}@test")
    assert (found.name, found.sources, found.skipped) == ("my-set test", ("a b",), {"no source": 1})
    assert read_benchmark(f"hub:{folder}:default@test").name == "my-set default test"
    with pytest.raises(BenchmarkError, match="cannot be loaded"):
        read_benchmark(f"hub:{folder}@validation")
    with pytest.raises(BenchmarkError, match="NAME@SPLIT"):
        read_benchmark("hub:someone/something")
    with pytest.raises(BenchmarkError, match="cannot be loaded"):
        read_benchmark("hub:someone/not-on-this-machine@test")
    (folder / "my-set.py").write_text("raise SystemExit", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"cannot be loaded .*scripts are no longer supported.*take its Parquet files"):
        read_benchmark(f"hub:{folder}@test")
