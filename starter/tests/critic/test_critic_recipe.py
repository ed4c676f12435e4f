"""The critic's sentences and training, on little text."""

import json
import lzma
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from impdistill.models.critic import Critic
from impdistill.models.teacher import Teacher
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from recipe.critic import train
from recipe.critic.make_sentences import PERSON, Sentence, make, read_sentences, write_sentences
from recipe.judge.train import Schedule, Trainer

NOUNS = ("nurse", "court", "river", "school", "report", "patient", "farmer", "senator")
VERBS = ("helped", "visited", "described", "questioned", "followed", "admired")


def sentence(generator: random.Random) -> str:
    one, two, place = generator.sample(NOUNS, 3)
    return f"The old {one} {generator.choice(VERBS)} the young {two} near the {place} in the early morning."


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    generator = random.Random(0)
    for domain in ("news", "biomedical", "reddit"):
        documents = [" ".join(sentence(generator) for _ in range(4)) for _ in range(120)]
        with lzma.open(tmp_path / f"{domain}.txt.xz", "wt") as lines:
            lines.writelines(f"{document}\n" for document in documents)
    return tmp_path


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(Path(__file__).parents[2] / "src" / "impdistill_starter" / "models" / "judge" / "tokenizer.json"))


def test_sentences_of_every_kind_are_made_and_read_back(corpora: Path, tmp_path: Path) -> None:
    teacher = Teacher.load("starter:teacher", device="cpu")
    made = make(corpora, [teacher], held_out=False, each=45, seed=0)
    assert {one.kind for one in made} == {PERSON, "continued", "sampled", "garbled"}
    assert len({one.text for one in made}) == len(made)
    persons = {one.text for one in made if one.kind == PERSON}
    assert persons and not persons & {one.text for one in made if one.kind != PERSON}
    write_sentences(tmp_path / "s.jsonl", made)
    assert read_sentences(tmp_path / "s.jsonl") == made


def test_a_cut_vocabulary_spells_the_same_text(tokenizer: Tokenizer) -> None:
    texts = ["The nurse visited the river.", "A senator, 41, was questioned!"]
    tokenizer.no_padding()
    kept = train.kept_pieces(tokenizer, texts, 400)
    cut = train.cut_tokenizer(tokenizer, kept)
    assert cut.get_vocab_size() == len(kept) < 400
    for text in texts:  # all pieces are there, so the text falls into the same ones
        assert cut.encode(text).tokens == tokenizer.encode(text).tokens
        assert [kept[index] for index in cut.encode(text).ids] == tokenizer.encode(text).ids
    strange = cut.encode("zebra")
    assert len(strange.tokens) > 3 and "[UNK]" not in strange.tokens  # spelt in letters


def test_persons_and_others_are_equally_many() -> None:
    sentences = [Sentence(str(n), PERSON if n < 7 else "sampled") for n in range(40)]
    both = train.balanced(sentences, random.Random(0))
    assert sum(one.kind == PERSON for one in both) == sum(one.kind != PERSON for one in both) == 33


def test_the_report_counts_by_kind() -> None:
    sentences = [Sentence("a", PERSON), Sentence("b", PERSON), Sentence("c", "sampled"), Sentence("d", "sampled")]
    table = train.report(np.array([0.9, 0.6, 0.7, 0.1]), sentences)
    assert table["sampled"] == {
        "passed at 0.3": 0.5, "passed at 0.5": 0.5, "passed at 0.7": 0.5, "passed at 0.8": 0.0, "passed at 0.9": 0.0, "area": 0.75,
    }  # fmt: skip
    assert table[PERSON]["passed at 0.7"] == 0.5  # type: ignore[index]


def test_training_learns_and_its_files_are_a_critic(tokenizer: Tokenizer, tmp_path: Path) -> None:
    generator = random.Random(1)
    good = [sentence(generator) for _ in range(60)]
    bad = [" ".join(generator.sample(text[:-1].split(), len(text.split()))) + "." for text in good]
    sentences = [Sentence(text, PERSON) for text in good] + [Sentence(text, "garbled") for text in bad]
    kept = train.kept_pieces(tokenizer, good, 400)
    cut = train.cut_tokenizer(tokenizer, kept)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(kept), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, id2label=train.LABELS
    )
    model = BertForSequenceClassification(config).train()
    trainer = Trainer(model, Schedule(4_000, 3e-3, warmup_pairs=10, max_batch_tokens=512), train.critic_loss)
    rows = train.encode(cut, sentences)
    first = last = 0.0
    for epoch in range(12):
        losses = [trainer.step(batch) for batch in train.shuffled_batches(rows, 512, str(epoch))]
        last = sum(losses) / len(losses)
        first = first or last
    assert last < 0.6 * first
    train.save(trainer, cut, tmp_path / "critic")
    assert json.loads((tmp_path / "critic" / "config.json").read_text())["id2label"]["1"] == "fluent"
    critic = Critic.load(str(tmp_path / "critic"), device="cpu", dtype="float32")
    assert AutoTokenizer.from_pretrained(tmp_path / "critic")(good[0])["input_ids"] == cut.encode(good[0]).ids
    assert critic.fluency(good).mean() > critic.fluency(bad).mean() + 0.3
