"""Licences, folds, and held-out premises kept out of training."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recipe.judge.errors import RecipeError
from recipe.judge.licences import SOURCES, source
from recipe.judge.mixture import load_mixture
from recipe.judge.pairs import LabelledPair, epoch_of, fold, load_nli, read_pairs, unseen, write_pairs


def _line(premise: str, name: str, label: str = "entailment", split: str = "train") -> str:
    return json.dumps({"premise": premise, "hypothesis": "It is so.", "label": label, "source": name, "split": split, "licence": "x"})


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "nli.jsonl"
    lines = [
        _line("A dog sleeps.", "cad_nli"),
        _line("Seen in both.", "cad_nli"),
        _line("seen in both", "snli", split="test"),
        _line("Only in dev.", "snli", split="dev"),
        _line("Closed.", "anli", split="dev_r1"),
        _line("Two ways.", "scitail", label="not_entailment", split="dev"),
        _line("Unstated.", "dnc_recast_puns"),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_held_out_premises_and_closed_licences_stay_out(corpus: Path) -> None:
    read = load_nli(corpus)
    assert {name: [pair.premise for pair in pairs] for name, pairs in read.train.items()} == {
        "cad_nli": ["A dog sleeps."],
        "scitail": ["Two ways."],
    }
    assert [pair.premise for pair in read.held_out["snli"]] == ["seen in both"]


def test_own_use_adds_closed_licences_and_keeps_held_out_premises_out(corpus: Path) -> None:
    assert {pair.premise for pairs in load_nli(corpus, own_use=True).train.values() for pair in pairs} == {
        "A dog sleeps.",
        "Two ways.",
        "Closed.",
    }


def test_the_final_stage_reads_the_part_it_is_told_and_closed_licences_only_for_own_use(tmp_path: Path) -> None:
    path = tmp_path / "nli.jsonl"
    path.write_text("".join(_line(f"Premise {n}.", name) + "\n" for n in range(40) for name in ("cad_nli", "anli")), encoding="utf-8")

    def read(**options: Any) -> Counter[str]:
        return Counter(pair.source for pair in load_mixture(path, [], final=True, **options).epoch(0, seed=0))

    assert read() == {"cad_nli": 10}
    assert read(nli_part=0.5) == {"cad_nli": 20}
    assert read(nli_part=1.0, own_use=True) == {"cad_nli": 40, "anli": 40}


def test_no_source_is_released_without_a_permissive_licence() -> None:
    for name, row in SOURCES.items():
        assert not (row.release and any(word in row.licence for word in ("-NC", "research", "unstated", "LDC"))), name


def test_an_unknown_source_and_an_unknown_label_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="brand_new"):
        source("brand_new")
    path = tmp_path / "nli.jsonl"
    path.write_text(_line("A.", "snli", label="maybe") + "\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"nli\.jsonl:1: label 'maybe'"):
        load_nli(path)


def test_fold_ignores_case_and_punctuation() -> None:
    assert fold("The dog, it sleeps.", 5) == fold("the dog it sleeps", 5)
    assert {fold(f"sentence {number}", 5) for number in range(60)} == set(range(5))


def test_an_epoch_draws_each_share_and_is_repeatable() -> None:
    train = {"cad_nli": [LabelledPair(f"p{n}", "h", "neutral", "cad_nli") for n in range(10)]}
    train["qnli"] = [LabelledPair(f"q{n}", "h", "neutral", "qnli") for n in range(100)]
    first = epoch_of(train, 0, seed=3)
    assert sum(pair.source == "cad_nli" for pair in first) == 10
    assert sum(pair.source == "qnli" for pair in first) == 50
    assert first == epoch_of(train, 0, seed=3)
    assert first != epoch_of(train, 1, seed=3)


def test_pairs_survive_a_file(tmp_path: Path) -> None:
    pairs = [LabelledPair("Zoë “said” so.", "So.", "entailment", "split")]
    assert write_pairs(tmp_path / "pairs.jsonl", pairs) == 1
    assert read_pairs(tmp_path / "pairs.jsonl") == pairs
    with pytest.raises(RecipeError, match="absent"):
        read_pairs(tmp_path / "absent.jsonl")


def test_the_final_stage_never_reads_what_it_is_measured_on(tmp_path: Path) -> None:
    path = tmp_path / "nli.jsonl"
    path.write_text("".join(_line(f"Premise {number}.", "mnli_dev_both", split="dev") + "\n" for number in range(50)), encoding="utf-8")
    corpus = load_nli(path)
    read = {pair.premise for pair in load_mixture(path, [], final=True).epoch(0, seed=0)}
    measured = {pair.premise for pair in unseen(corpus, whole_mnli=False)["mnli_dev_both"]}
    assert read
    assert measured
    assert read.isdisjoint(measured)
    assert len(read | measured) == len(unseen(corpus, whole_mnli=True)["mnli_dev_both"]) == 50
    assert load_mixture(path, [], final=False).epoch(0, seed=0) == []
