"""Noise in, the sentence out: rows that teach a causal model to copy."""

import random
from pathlib import Path

from impdistill.models.student import Student
from impdistill.models.student_format import PROMPTS, StudentFormat
from transformers import AutoTokenizer, T5ForConditionalGeneration

import impdistill_starter
from recipe.lm import encoder_decoder
from recipe.lm.denoise import INSTRUCTION, noisy, pieces


def write_corpus(folder: Path) -> list[str]:
    """Twenty made-up documents of the news."""
    deeds = [
        "said that the bridge was not safe",
        "had to wait in the hall",
        "read it aloud",
        "did not agree with any of this",
        "found a letter",
    ]
    generator = random.Random(1)
    ends = ["after the meeting", "because of the rain", "for about two years", "without a word", "when all the others had gone home"]
    documents = [
        " ".join(f"{who} {generator.choice(deeds)} {generator.choice(ends)}." for who in ("The mayor", "A nurse", "My brother") * 3)
        for _ in range(20)
    ]
    (folder / "news.txt").write_text("".join(f"{document}\n" for document in documents))
    return documents


def test_noise_changes_a_sentence_and_what_is_learnt_is_the_sentence() -> None:
    generator = random.Random(0)
    words, other = (
        ["The", "old", "nurse", "visited", "the", "young", "farmer", "near", "the", "river", "today."],
        ["A", "court", "heard", "of", "it", "."],
    )
    outcomes = [noisy(words, other, generator) for _ in range(200)]
    assert sum(outcome != words for outcome in outcomes) > 180
    assert any(len(outcome) > len(words) for outcome in outcomes)
    assert any(len(outcome) < len(words) for outcome in outcomes)
    assert all(set(outcome) <= {*words, *other, "_"} for outcome in outcomes)


def test_a_denoising_piece_has_the_form_in_which_a_student_is_spoken_to(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(impdistill_starter.path("teacher"))
    documents = write_corpus(tmp_path)
    made = list(pieces(tmp_path / "news.txt", tokenizer, 256, seed=0))
    assert made
    for piece in made:
        prompt, target = piece.tokens[: piece.prefix_tokens], piece.tokens[piece.prefix_tokens :]
        assert prompt[0] == tokenizer.bos_token_id and tokenizer.decode(prompt).endswith(INSTRUCTION)
        assert tokenizer.decode(target)[1:] in " ".join(documents)
        spoken = StudentFormat("causal", {"restore": INSTRUCTION.strip()}, PROMPTS["causal"], 256, 128, "base", "test")
        [asked] = spoken.prompts(tokenizer, [tokenizer.decode(prompt[1:]).removesuffix(INSTRUCTION)], "restore")
        assert asked.ids == prompt
        assert spoken.targets(tokenizer, [tokenizer.decode(target)[1:]]) == [[*target, tokenizer.eos_token_id]]


def test_an_encoder_decoder_learns_from_noisy_sentences_and_can_become_a_student(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    arguments = ["--corpus", str(tmp_path), "--teacher", str(impdistill_starter.path("teacher")), "--out", str(tmp_path / "out")]
    encoder_decoder.main([*arguments, "--pairs", "80", "--layers", "1", "--inner-width", "64", "--batch-size", "8"])
    student = Student.load(str(tmp_path / "out" / "student"))
    assert student.format.kind == "seq2seq" and student.groups == (encoder_decoder.GROUP,)
    noise, sentence = encoder_decoder.examples(tmp_path, 1, seed=0)[0].x, encoder_decoder.examples(tmp_path, 1, seed=0)[0].y
    assert noise != sentence
    [learnt] = student.log_prob([noise], [sentence], encoder_decoder.GROUP)
    blank = Student(
        "blank",
        T5ForConditionalGeneration.from_pretrained(tmp_path / "out" / "blank"),
        student.tokenizer,
        student.format,
        fingerprint="",
    )
    assert learnt > blank.log_prob([noise], [sentence], encoder_decoder.GROUP)[0]
