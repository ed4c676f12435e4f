"""Cards: front matter that the hub and `datasets` read, numbers that add up, and code that runs."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard, ModelCard

from impdistill.models.student import Student, one_line
from impdistill.models.student_format import PROMPTS, Kind, StudentFormat
from impdistill.run.export import write_dataset
from impdistill.train.card import (
    CardFacts,
    FunnelFacts,
    GroupFacts,
    MetricFacts,
    ModelFacts,
    dataset_body,
    dataset_card,
    dataset_metadata,
    model_card,
    model_metadata,
)
from impdistill.train.markdown import with_section
from tests.tiny_students import GROUPS, save_base

FACTS = CardFacts(
    title="trial",
    round_number=1,
    impdistill_version="0.1.0",
    recipe_yaml="name: trial\nseed: 0\n",
    models=[
        ModelFacts("teacher (news)", "gpt2-xl", "0123456789abcdef"),
        ModelFacts("judge", "alisawuffles/roberta-large-wanli", "aa", "cc-by-4.0"),
        ModelFacts("base of the student", "t5-large", "bb"),
    ],
    groups=[
        GroupFacts("short", "summary", GROUPS["short"], 1_200, 30),
        GroupFacts("paraphrase", "paraphrase", GROUPS["paraphrase"], 800, 0),
    ],
    funnel=[
        FunnelFacts("summary", "parallel", 9_900, 1_230, {"length": 5_000, "entailment": 3_670}),
        FunnelFacts("paraphrase", "parallel", 9_900, 800, {"length": 9_000, "density": 100}),
    ],
    columns={"x": "source sentence", "y": "output sentence"},
    kind="seq2seq",
    training={"steps": 1234, "held-out loss": 1.23456, "stopped early": None},
    left_out={"outside_groups": 11, "capped": 19},
    metrics=[
        MetricFacts("TurkCorpus", "student", "SARI", 38.2),
        MetricFacts("TurkCorpus", "copy", "SARI", 26.1, 25, 27, 1),
        MetricFacts("TurkCorpus", "copy", "ROUGE-L", 98.3, digits=1),
        MetricFacts("TurkCorpus", "copy", "iBLEU", -1.5, -2, 0.5, 1),
    ],
    examples=[("short", "A cat, which | sat\nthere.", "A cat sat.")],
)


def table_of(card: str, title: str) -> list[list[str]]:
    """Cells of a section's table, header first."""
    section = card.split(f"## {title}\n\n")[1].split("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines()]
    return [[cell.strip() for cell in row] for row in (rows[0], *rows[2:])]


def test_the_dataset_card_opens_with_what_the_hub_reads() -> None:
    card = DatasetCard(dataset_card(FACTS))
    found = card.data.to_dict()
    assert (found["license"], found["language"]) == ("other", ["en"])
    assert found["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "data/train-*.parquet"},
                {"split": "validation", "path": "data/validation-*.parquet"},
            ],
        }
    ]
    assert found["size_categories"] == ["1K<n<10K"]
    assert yaml.safe_load(dataset_card(replace(FACTS, licence="mit")).split("---")[1])["license"] == "mit"


def test_the_model_card_names_a_base_only_where_the_hub_has_it() -> None:
    found = ModelCard(model_card(FACTS)).data.to_dict()
    assert (found["base_model"], found["library_name"]) == (["t5-large"], "transformers")
    assert "pipeline_tag" not in found
    local = replace(FACTS, kind="causal", models=[ModelFacts("base of the student", "/home/someone/secret/tiny", "cc")])
    assert "base_model" not in model_metadata(local)
    assert model_metadata(local)["pipeline_tag"] == "text-generation"
    assert "secret" not in model_card(local)
    assert "local folder `tiny`" in model_card(local)


@pytest.mark.parametrize("card", [dataset_card(FACTS), model_card(FACTS)], ids=["dataset", "model"])
def test_tables_hold_every_number(card: str) -> None:
    header, *rows = table_of(card, "Funnel")
    assert header[2:] == ["candidates", "dropped: length", "dropped: entailment", "dropped: density", "kept"]
    for row in rows:
        generated, *dropped, kept = (int(cell.replace(",", "")) for cell in row[2:])
        assert generated == sum(dropped) + kept
    assert table_of(card, "Groups")[1] == ["short", "summary", "`Shorten the given sentence: `", "1,200", "30"]
    assert table_of(card, "Examples")[1] == ["short", "A cat, which \\| sat there.", "A cat sat."]
    assert [row[3] for row in table_of(card, "Sources")[1:]] == ["mit", "cc-by-4.0", "apache-2.0"]
    unknown = replace(FACTS, models=[ModelFacts("judge", "nobody/new", "dd")])
    assert table_of(dataset_card(unknown), "Sources")[1][3] == "see upstream"
    assert yaml.safe_load(card.split("```yaml\n")[1].split("```")[0]) == {"name": "trial", "seed": 0}


def test_what_only_a_model_card_says() -> None:
    assert table_of(model_card(FACTS), "Training")[1:] == [["steps", "1,234"], ["held-out loss", "1.235"], ["stopped early", "none"]]
    assert table_of(model_card(FACTS), "Metrics") == [
        ["benchmark", "system", "SARI", "ROUGE-L", "iBLEU"],
        ["TurkCorpus", "student", "38.20", "-", "-"],
        ["TurkCorpus", "copy", "26.1 (25.0–27.0)", "98.3", "-1.5 (-2.0 to 0.5)"],
    ]
    bare = replace(FACTS, training=None, metrics=(), examples=(), funnel=())
    assert re.findall(r"^## (.*)$", model_card(bare), re.MULTILINE) == ["Use", "Groups", "Sources", "Limitations", "Recipe"]


def test_a_section_is_put_in_or_replaced_and_the_rest_stays() -> None:
    card = model_card(replace(FACTS, metrics=()))
    measured = with_section(card, "Metrics", "first", "Examples")
    assert measured == card.replace("## Examples", "## Metrics\n\nfirst\n\n## Examples")
    assert with_section(measured, "Metrics", "second", "Examples") == measured.replace("first", "second")
    last = with_section(card, "More", "x", "Nowhere")
    assert last == card + "\n## More\n\nx\n"
    assert with_section(last, "More", "y", "Nowhere") == card + "\n## More\n\ny\n"


def test_datasets_opens_a_directory_with_the_card(tmp_path: Path) -> None:
    rows = pa.table({"x": ["A cat sat there."], "y": ["A cat sat."]})
    write_dataset(tmp_path / "pairs", {"train": rows, "validation": rows}, dataset_body(FACTS), dataset_metadata(FACTS))
    assert (tmp_path / "pairs" / "README.md").read_text(encoding="utf-8") == dataset_card(FACTS)
    found = load_dataset(str(tmp_path / "pairs"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(found[split]) for split in found} == {"train": 1, "validation": 1}


@pytest.mark.parametrize(("base", "kind"), [("t5", "seq2seq"), ("llama", "causal")])
def test_the_code_of_the_model_card_runs_and_agrees(base: str, kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_base(base, tmp_path / "student", spread=0.4)
    StudentFormat(kind, GROUPS, PROMPTS[kind], 90, 24, base, "tests").write(folder)
    Student.load(str(folder), device="cpu", dtype="float32").save(tmp_path / "saved")
    blocks = re.findall(r"```python\n(.*?)```", model_card(replace(FACTS, kind=kind)), re.DOTALL)
    assert len(blocks) == 2
    capsys.readouterr()
    printed = []
    for block in blocks:
        here = block.replace('Student.load("path/to/this/folder")', 'Student.load("path/to/this/folder", dtype="float32")')
        exec(here.replace("path/to/this/folder", str(tmp_path / "saved")), {})
        printed.append(capsys.readouterr().out)
    (own,) = ast.literal_eval(printed[0])
    assert own == one_line(printed[1])
    assert own


def test_kept_pairs_are_those_in_the_dataset_and_those_left_out() -> None:
    """1,230 + 800 kept by the filters."""
    said = "Of 2,030 kept pairs 11 are in no group, and 19 are above the most that a group or an output may have; 2,000 are in the dataset."
    assert said in dataset_body(FACTS)
    assert "kept pairs" not in dataset_body(replace(FACTS, left_out=None))
