"""Each family of rewrites: what it makes of a sentence, and where it must refuse."""

import random
import re
from collections.abc import Iterator

import pytest

from recipe.judge.hardcases import (
    compress,
    conditions,
    detail,
    figures,
    hypernyms,
    modality,
    names,
    polarity,
    reorder,
    splits,
    swaps,
    synonyms,
    voice,
)
from recipe.judge.hardcases.neighbours import content_words, is_new, of_one_document, similar_strangers
from recipe.judge.hardcases.rewrite import Choice, is_held_out, lowered, upward, with_article
from recipe.judge.make_hardcases import REWRITES, TRUE_KINDS, cases
from recipe.judge.sentences import sentences_of


def outcomes(apply, sentence: str, held_out: bool | None = None) -> set[str]:
    """All that a rewrite makes of a sentence over many seeds, of either part of the word lists."""
    parts = (True, False) if held_out is None else (held_out,)
    made = (apply(sentence, Choice(random.Random(seed), part)) for seed in range(60) for part in parts)
    return {sentence for sentence in made if sentence is not None}


@pytest.mark.parametrize(
    ("apply", "sentence", "expected"),
    [
        (figures.raise_bound, "They hired more than 20 people.", "They hired more than 30 people."),
        (figures.respell_number, "We saw five deer.", "We saw 5 deer."),
        (figures.respell_number, "It rose 4% in all.", "It rose 4 percent in all."),
        (figures.change_unit, "Patients wait 12 weeks for it.", "Patients wait 12 days for it."),
        (figures.change_weekday, "We met on Monday.", "We met on Friday."),
        (polarity.negate, "The plan is good.", "The plan is not good."),
        (polarity.negate, "Then he went home.", "Then he did not go home."),
        (polarity.affirm, "It was not sold.", "It was sold."),
        (polarity.antonym, "Sales increased in May.", "Sales decreased in May."),
        (modality.assert_plainly, "It may rain in May.", "It will rain in May."),
        (modality.drop_attitude, "I think the new rule is a mistake.", "The new rule is a mistake."),
        (conditions.drop_condition, "If the test fails, the patient will return.", "The patient will return."),
        (conditions.drop_condition, "He will stay if they pay him more.", "He will stay."),
        (conditions.drop_qualifier, "He almost won.", "He won."),
        (detail.sharpen, "We often see them.", "We always see them."),
        (swaps.swap_compared, "The dog is older than the cat.", "The cat is older than the dog."),
        (swaps.swap_from_to, "It flew from Boston to Denver, then on.", "It flew from Denver to Boston, then on."),
        (swaps.swap_phrases, "The board asked a panel for help.", "A panel asked the board for help."),
        (swaps.swap_people, "My brother hit his friend.", "His friend hit my brother."),
        (hypernyms.generalise, "She fed an owl in the yard.", "She fed a bird in the yard."),
        (reorder.move_opening, "In 1999, the firm moved its office.", "The firm moved its office in 1999."),
        (reorder.move_clause_last, "When he left it, the room was quiet.", "The room was quiet when he left it."),
        (reorder.swap_conjuncts, "At noon Smith and Jones were fired.", "At noon Jones and Smith were fired."),
        (voice.activate, "The book was written by Mary Shelley.", "Mary Shelley wrote the book."),
        (voice.activate_wrongly, "The book was written by Mary Shelley.", "The book wrote Mary Shelley."),
        (splits.second_clause, "The rain stopped early, and the crowd went home.", "The crowd went home."),
        (splits.relative, "Alan Hunt, who owned the mill, died in March.", "Alan Hunt owned the mill."),
        (splits.apposition, "Alan Hunt, the mayor of Leeds, was there.", "Alan Hunt was the mayor of Leeds."),
        (compress.connective, "However, the cost fell.", "The cost fell."),
        (compress.parenthesis, "The group (all men) left.", "The group left."),
        (compress.time, "The bridge opened in 1932.", "The bridge opened."),
        (compress.adjective, "She bought an old house.", "She bought a house."),
        (synonyms.contract, "I don't know.", "I do not know."),
        (synonyms.other_verb, "She began to run.", "She started to run."),
    ],
)  # fmt: skip
def test_a_rewrite_makes(apply, sentence: str, expected: str) -> None:
    assert expected in outcomes(apply, sentence)


@pytest.mark.parametrize(
    ("apply", "sentence"),
    [
        (figures.change_number, "At least 20 men came."),
        (figures.raise_bound, "No more than 20 people came."),
        (polarity.negate, "It is not so."),
        (conditions.drop_condition, "I was wondering if the shop is open."),
        (compress.time, "He did not come yesterday."),
        (compress.time, "It was the first bridge in 1932."),
        (compress.place, "He lives in Paris."),
        (compress.last_conjunct, "The gap between rich people and poor people."),
        (hypernyms.generalise, "He never saw a dog in town."),
        (hypernyms.generalise, "All owners of a dog must pay."),
        (splits.first_clause, "He said that it rained, and the crowd went home."),
        (swaps.swap_names, "Then Smith and Jones left."),
        (swaps.swap_phrases, "The board was asked with the panel."),
        (swaps.swap_phrases, "The winner was the captain."),
        (swaps.swap_phrases, "The board asked the advisory panel for help."),
        (voice.activate, "It was sold by accident."),
        (detail.add_adjunct, "He did not sleep."),
    ],
)
def test_a_rewrite_refuses_what_it_cannot_be_sure_of(apply, sentence: str) -> None:
    assert outcomes(apply, sentence) == set()


@pytest.mark.parametrize("apply", [figures.change_number, figures.change_date, names.change_given, names.change_place, names.change_thing])
def test_a_changed_thing_is_changed(apply) -> None:
    sentence = "Mary moved 14 dogs from Boston in March 2004."
    made = outcomes(apply, sentence)
    assert made
    assert sentence not in made
    assert all(len(set(changed.split()) ^ set(sentence.split())) == 2 for changed in made)


def test_held_out_word_lists_are_never_trained_on() -> None:
    adjuncts = detail._ADJUNCTS
    used = {
        held: {a for a in adjuncts for made in outcomes(detail.add_adjunct, "The crowd went home.", held) if a in made}
        for held in (True, False)
    }
    assert used[True]
    assert used[False]
    assert all(is_held_out(adjunct) for adjunct in used[True])
    assert not any(is_held_out(adjunct) for adjunct in used[False])


def _kinds() -> Iterator[tuple[str, bool]]:
    for rewrite in REWRITES:
        yield rewrite.kind, rewrite.entails
        if rewrite.back_kind is not None:
            yield rewrite.back_kind, rewrite.back_entails


def test_a_kind_is_true_or_false_never_both() -> None:
    truths = dict(_kinds())
    assert all(truths[kind] == entails for kind, entails in _kinds())
    assert {kind for kind, entails in truths.items() if entails} | {"copy"} == TRUE_KINDS


def test_cases_are_labelled_by_their_kind_and_skip_full_ones() -> None:
    sentence = "However, the old dog was found by two boys in Boston in 1999."
    for seed in range(40):
        made = list(cases(sentence, Choice(random.Random(seed), False), REWRITES, full={"number"}))
        assert len({pair.source for pair in made}) == len(made) <= 3
        for pair in made:
            assert (pair.label == "entailment") == (pair.source in TRUE_KINDS)
            assert pair.premise != pair.hypothesis
            assert pair.source != "number"


def test_articles_capitals_and_direction() -> None:
    assert with_article("a dog", 2, "animal", 5) == "an animal"
    assert with_article("an owl", 3, "user", 6) == "a user"
    assert lowered("The dog") == "the dog"
    assert lowered("NASA says") == "NASA says"
    assert lowered("Smith says") is None
    assert upward("The dog ate a bone.")
    assert not upward("No dog ate a bone.")


def test_neighbours_and_strangers_bring_something_new() -> None:
    documents = [
        ["The bank raised rates in March.", "Shares of the lender fell sharply.", "Analysts had expected no change."],
        ["The bank cut rates in June after a weak report.", "Farmers in Ohio planted corn late.", "The harvest was poor."],
        ["The bank kept rates in June after a strong report.", "Nobody knew why it rained.", "Corn prices rose in Ohio again."],
    ]
    pairs = list(of_one_document(documents, random.Random(0)))
    assert pairs
    assert all(is_new(pair.premise, pair.hypothesis, 1) for pair in pairs)
    strangers = list(similar_strangers([document for document in documents for _ in range(2)], random.Random(0)))
    assert all(len(content_words(pair.hypothesis) - content_words(pair.premise)) >= 2 for pair in strangers)
    assert not is_new("The old dog sleeps in Ohio.", "The dog sleeps.", 1)


def test_sentences_are_whole() -> None:
    found = sentences_of('Dr. Hall met Sen. Ames on Monday. "Not this one," he said. see http://x.org for it. It cost 3.5 million dollars.')
    assert found == ["Dr. Hall met Sen. Ames on Monday.", "It cost 3.5 million dollars."]
    assert all(re.match(r"[A-Z]", sentence) for sentence in found)
