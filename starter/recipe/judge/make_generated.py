"""Hard cases (false) that models write: what a teacher and a student add to a person's sentence.

    python -m recipe.judge.make_generated --corpora lm/ --teacher TEACHER --student STUDENT --out hard/

A rewrite by rule knows what it changed; a model does not say. Two signs make it all but certain that something new is told: at least two
content words of the hypothesis are nowhere in the premise, and they are a third of its content or more. The kinds:

    diverged    a sentence, and its first words with another end, by the teacher; either way round
    invented    a sentence, and what the student makes of it where it brings in such words

Written are `generated-train.jsonl` and `generated-held-out.jsonl` (of other documents).
"""

import argparse
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch
from impdistill.decode.nucleus import Nucleus, sample_continuations
from impdistill.models.student import Decoding, Student
from impdistill.models.teacher import Teacher
from impdistill.text.wellformed import refusal
from torch import Tensor

from recipe.judge.hardcases.neighbours import is_new
from recipe.judge.pairs import NOT_ENTAILMENT, LabelledPair, write_pairs
from recipe.judge.sentences import documents
from recipe.lm.documents import END_OF_TEXT, PREFIXES

DIVERGED, INVENTED = "diverged", "invented"
DOMAINS = ("news", "biomedical", "reddit")
BLOCK = 96
"""Sentences that a model is given at once."""
_LEAST_NEW = 2
_LEAST_WORDS = 7
_ENDS_A_SENTENCE = 3
_STUDENT = Decoding(top_p=0.9, temperature=1.0)


def of_documents(corpora: Path, domain: str, held_out: bool, most: int) -> list[str]:
    """One sentence of each of a domain's documents, the longest, as the pipeline's sources are whole ones."""
    found = documents(corpora / f"{domain}.txt.xz", held_out, 10**9)
    longest = (max(sentences, key=len) for sentences in found)
    return list(islice((text for text in longest if len(text.split()) >= _LEAST_WORDS and refusal(text) is None), most))


def diverged(teacher: Teacher, domain: str, sentences: Sequence[str], seed: int) -> Iterator[LabelledPair]:
    """Each sentence and other ends of it, the shorter one oftener the hypothesis."""
    generator = random.Random(f"{seed}/{domain}")
    halves = []
    for sentence in sentences:
        words = sentence.split()
        halves.append(" ".join(words[: max(2, round(len(words) * generator.uniform(0.2, 0.7)))]))
    for start in range(0, len(halves), BLOCK):
        block = halves[start : start + BLOCK]
        found = sample_continuations(
            teacher,
            [f"{END_OF_TEXT}{PREFIXES[domain]} {half}" for half in block],
            keys=[(start + index, 0) for index in range(len(block))],
            samples=_ENDS_A_SENTENCE,
            sentences=[1] * len(block),
            nucleus=Nucleus(top_p=0.8, max_new_tokens=64),
            seed=seed,
            stage=f"diverged/{domain}",
        )
        for sentence, half, ends in zip(sentences[start : start + BLOCK], block, found, strict=True):
            for end in ends:
                text = half + ("" if end.text[:1] in ",.;:!?'" else " ") + end.text
                if not end.finished or refusal(text) is not None:
                    continue
                long, short = sorted((sentence, text), key=len, reverse=True)
                premise, hypothesis = (long, short) if generator.random() < 0.75 else (short, long)
                if is_new(premise, hypothesis, _LEAST_NEW):
                    yield LabelledPair(premise, hypothesis, NOT_ENTAILMENT, DIVERGED)


def invented(student: Student, sentences: Sequence[str], seed: int) -> Iterator[LabelledPair]:
    """Each sentence and what the student, sampled once for each of its groups, adds to it."""
    generator = torch.Generator().manual_seed(seed)

    def uniforms(group: str, texts: Tensor, position: int) -> Tensor:
        return torch.rand(len(texts), generator=generator, dtype=torch.float64)

    for start in range(0, len(sentences), BLOCK):
        block = sentences[start : start + BLOCK]
        outputs = student.rewrite_groups(block, decoding=_STUDENT, uniforms=uniforms)
        for index, sentence in enumerate(block):
            for text in {outputs[group][index]: None for group in student.groups}:
                if refusal(text) is None and is_new(sentence, text, _LEAST_NEW):
                    yield LabelledPair(sentence, text, NOT_ENTAILMENT, INVENTED)


def make(corpora: Path, teacher: Teacher, student: Student, held_out: bool, most_of_a_kind: int, seed: int) -> list[LabelledPair]:
    """Both kinds, at most `most_of_a_kind` of each, of all domains alike, shuffled. Corpora: folder of `news.txt.xz` and so on."""
    generator = random.Random(seed)
    share = most_of_a_kind // len(DOMAINS)
    made: list[LabelledPair] = []
    for domain in DOMAINS:
        sentences = of_documents(corpora, domain, held_out, 3 * share)
        generator.shuffle(sentences)
        made += islice(diverged(teacher, domain, sentences, seed), share)
        made += islice(invented(student, sentences[::-1], seed), share)
    generator.shuffle(made)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, required=True, help="folder of the corpora (.txt.xz)")
    parser.add_argument("--teacher", required=True, help="folder, or starter:teacher")
    parser.add_argument("--student", required=True, help="folder, or starter:student")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--most", type=int, default=6_000, help="most pairs of a kind to train on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    teacher, student = Teacher.load(options.teacher), Student.load(options.student)
    for name, held_out, most in (("train", False, options.most), ("held-out", True, 201)):
        made = make(options.corpora, teacher, student, held_out, most, options.seed)
        write_pairs(options.out / f"generated-{name}.jsonl", made)
        print(name, dict(Counter(pair.source for pair in made)), flush=True)


if __name__ == "__main__":
    main()
