"""Noise in, the sentence out: rows that teach a causal model to copy."""

import random
from pathlib import Path

from impdistill.models.student_format import PROMPTS, StudentFormat
from transformers import AutoTokenizer

import impdistill_starter
from recipe.lm.denoise import INSTRUCTION, noisy, pieces


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
    (tmp_path / "news.txt").write_text("".join(f"{document}\n" for document in documents))
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
