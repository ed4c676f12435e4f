from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from impdistill.errors import BenchmarkError
from impdistill.evaluate.benchmarks import read_benchmark, read_parallel


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


def test_datasets_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my-set"
    folder.mkdir()
    DatasetDict({"test": Dataset.from_dict({"x": ["a b", ""], "y": ["a", "b"]})})["test"].to_parquet(folder / "test.parquet")
    found = read_benchmark(f"hub:{folder}@test")
    assert (found.name, found.sources, found.skipped) == ("my-set test", ("a b",), {"no source": 1})
    with pytest.raises(BenchmarkError, match="cannot be loaded"):
        read_benchmark(f"hub:{folder}@validation")
    with pytest.raises(BenchmarkError, match="NAME@SPLIT"):
        read_benchmark("hub:someone/something")
    with pytest.raises(BenchmarkError, match="cannot be loaded"):
        read_benchmark("hub:someone/not-on-this-machine@test")
