"""Hard cases that the shipped teacher and student write, from a few sentences made up here."""

import lzma
from pathlib import Path

import pytest
from impdistill.models.student import Student
from impdistill.models.teacher import Teacher

from impdistill_starter import UnknownModelError, path
from recipe.judge.hardcases.neighbours import is_new
from recipe.judge.make_generated import DIVERGED, DOMAINS, INVENTED, make, of_documents
from recipe.judge.make_hardcases import TRUE_KINDS

WHO = ("The committee", "A local company", "The new school", "An old teacher", "The city council")
WHAT = ("approved the new budget for", "asked many questions about", "wants to pay for", "has a long report on")
WHERE = ("the river and its bridges.", "health care in small towns.", "a study of young patients.")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    lines = [f"It was late. {who} {what} {where}" for who in WHO for what in WHAT for where in WHERE]
    for domain in DOMAINS:
        with lzma.open(folder / f"{domain}.txt.xz", "wt", encoding="utf-8") as file:
            file.write("\n".join(lines))
    return folder


def test_sources_are_the_longest_sentences_and_the_parts_share_none(corpora: Path) -> None:
    trained, held_out = (of_documents(corpora, "news", part, 100) for part in (False, True))
    assert trained and held_out and not set(trained) & set(held_out)
    assert len(trained) + len(held_out) == len(WHO) * len(WHAT) * len(WHERE)
    assert not any("late" in sentence for sentence in trained)


def test_what_models_write_is_false_only_where_it_says_something_new(corpora: Path) -> None:
    try:
        teacher, student = Teacher.load(str(path("teacher")), device="cpu"), Student.load(str(path("student")), device="cpu")
    except UnknownModelError:
        pytest.skip("no teacher or no student in this distribution: build them with recipe.lm and the pipeline")
    made = make(corpora, teacher, student, held_out=False, most_of_a_kind=12, seed=0)
    assert made == make(corpora, teacher, student, held_out=False, most_of_a_kind=12, seed=0)
    assert sum(pair.source == DIVERGED for pair in made) == 12
    assert 0 < sum(pair.source == INVENTED for pair in made) <= 12
    assert all(is_new(pair.premise, pair.hypothesis, 2) and pair.label == "not_entailment" for pair in made)
    sources = {sentence for domain in DOMAINS for sentence in of_documents(corpora, domain, False, 100)}
    assert all(pair.premise in sources for pair in made if pair.source == INVENTED)
    assert not TRUE_KINDS & {DIVERGED, INVENTED}
