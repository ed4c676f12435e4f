"""Teachers with random weights whose few words make sentences, and sampling from them in the plainest way."""

from __future__ import annotations

import math

import torch

from impdistill.decode.nucleus import Continuation, Nucleus
from impdistill.decode.randomness import uniforms
from impdistill.models.teacher import Teacher
from impdistill.text.sentences import first_sentence_end
from tests.decode.toys import toy_model, toy_tokenizer

SENTENCE_WORDS = (
    *("<end>", "<unk>", "The", "A", "cat", "dog", "sat", "ran", "and", "then", "Dr", "U.S", "3", "it", '"'),
    *("##.", "##!", "##?", "##...", "##,", "##s", '##."', "##5", "##\n"),
)


def toy_teacher(kind: str = "llama", seed: int = 0) -> Teacher:
    tokenizer = toy_tokenizer(SENTENCE_WORDS)
    model = toy_model(kind, len(SENTENCE_WORDS), seed).requires_grad_(False)
    return Teacher(kind, model, tokenizer, torch.device("cpu"), torch.float32, 64, "toy", (0,))


@torch.no_grad()
def plain_continuation(
    teacher: Teacher, prefix: str, context: int, attempt: int, sample: int, sentences: int, nucleus: Nucleus, seed: int, stage: str
) -> Continuation:
    """One sample: the whole text through the model at every token, the vocabulary sorted, the text looked at after every token."""
    before, new = teacher.encode(prefix), []
    log_probability = 0.0
    silent = {token for token in range(len(teacher.tokenizer)) if teacher.decode([2, token]) == teacher.decode([2])} | set(
        teacher.end_token_ids
    )
    for step in range(nucleus.max_new_tokens):
        logits = teacher.model(input_ids=torch.tensor([before + new])).logits[0, -1].double()
        among_all = (logits / nucleus.temperature).softmax(0).tolist()
        probability = {token: p for token, p in enumerate(among_all) if token not in silent}
        new.append(plain_draw(probability, nucleus.top_p, seed, stage, context, (attempt << 20) + sample, step))
        log_probability += math.log(among_all[new[-1]])
        text = teacher.decode(new)
        last = step + 1 == nucleus.max_new_tokens
        end = first_sentence_end(text, sentences, final=last)
        if end is not None or last:
            cut = text[:end].strip()
            ended = end is not None and cut.rstrip('"').endswith((".", "!", "?"))
            return Continuation(cut, len(new), ended, log_probability / len(new))
    raise AssertionError("unreachable")


def plain_draw(probability: dict[int, float], top_p: float, seed: int, stage: str, context: int, sample: int, step: int) -> int:
    """A token of the nucleus, found by sorting: drawn from all until it is one, leaving out what is no likelier than a miss."""
    inside: set[int] = set()
    mass = 0.0
    for token in sorted(probability, key=lambda token: -probability[token]):
        if mass >= top_p * sum(probability.values()):
            break
        inside.add(token)
        mass += probability[token]
    left = dict(probability)
    for repetition in range(10_000):
        number = uniforms(seed, stage, torch.tensor([context]), torch.tensor([sample]), step + (repetition << 16)).item()
        target = number * sum(left.values())
        for token in sorted(left):
            target -= left[token]
            if target < 0:
                break
        if token in inside:
            return token
        left = {other: p for other, p in left.items() if p > left[token]}
    raise AssertionError("unreachable")
