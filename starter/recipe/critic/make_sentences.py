"""Sentences to tell apart: people's, a teacher's, and people's that were garbled.

    python -m recipe.critic.make_sentences --corpora lm/ --teacher TEACHER [TEACHER ...] --out sentences/ --each 15000

Written are `train.jsonl` and `held-out.jsonl` (other documents), one `{"text", "kind"}` a line. The kinds:

    person      a whole sentence of the corpora
    continued   the first half of such a sentence, ended by the teacher after the sentence before it: what is wrong with it is not
                its subject or its words, but that it does not hang together
    sampled     sentences of texts that the teacher wrote by itself
    garbled     words in another order, left out, or said twice (`recipe.judge.hardcases.garbled`)

All must pass the pipeline's own check of form, since only such sentences ever reach the critic.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from impdistill.decode.nucleus import Nucleus, sample_continuations
from impdistill.models.teacher import Teacher
from impdistill.text.sentences import split_sentences
from impdistill.text.wellformed import refusal

from recipe.judge.hardcases import garbled
from recipe.judge.hardcases.rewrite import Choice
from recipe.judge.sentences import documents
from recipe.lm.documents import END_OF_TEXT, PREFIXES

PERSON = "person"
DOMAINS = ("news", "biomedical", "reddit")
TOP_P = (0.6, 0.7, 0.8, 0.9)
BLOCK = 96
"""Prefixes that are continued at once."""
_SENTENCES_OF_A_TEXT = 5


class Sentence(NamedTuple):
    """A sentence and who wrote it, or what was done to it."""

    text: str
    kind: str


def persons(corpora: Path, domain: str, held_out: bool) -> Iterator[tuple[str, str]]:
    """(sentence before it, sentence) of a domain's documents, of each at most three."""
    for sentences in documents(corpora / f"{domain}.txt.xz", held_out, 10**9):
        pairs = [pair for pair in pairwise(sentences) if refusal(pair[1]) is None]
        yield from pairs[:3]


def continued(teacher: Teacher, domain: str, originals: Sequence[tuple[str, str]], top_p: float, seed: int) -> Iterator[str]:
    """Each original's first words, ended by the teacher; not those that came out as they were."""
    generator = random.Random(f"{seed}/{domain}/{top_p}")
    halves = []
    for before, sentence in originals:
        words = sentence.split()
        halves.append((before, " ".join(words[: max(2, round(len(words) * generator.uniform(0.15, 0.6)))]), sentence))
    for start in range(0, len(halves), BLOCK):
        block = halves[start : start + BLOCK]
        found = sample_continuations(
            teacher,
            [f"{END_OF_TEXT}{PREFIXES[domain]} {before} {half}" for before, half, _ in block],
            keys=[(start + index, 0) for index in range(len(block))],
            samples=1,
            sentences=[1] * len(block),
            nucleus=Nucleus(top_p=top_p, max_new_tokens=64),
            seed=seed,
            stage=f"continued/{domain}",
        )
        for (_, half, sentence), [continuation] in zip(block, found, strict=True):
            space = "" if continuation.text[:1] in ",.;:!?'" else " "
            text = f"{half}{space}{continuation.text}"
            if continuation.finished and text != sentence:
                yield text


def sampled(teacher: Teacher, domain: str, texts: int, top_p: float, seed: int) -> Iterator[str]:
    """Sentences of so many texts that the teacher begins by itself."""
    found = sample_continuations(
        teacher,
        [f"{END_OF_TEXT}{PREFIXES[domain]}"],
        keys=[(0, 0)],
        samples=texts,
        sentences=[_SENTENCES_OF_A_TEXT],
        nucleus=Nucleus(top_p=top_p, max_new_tokens=180),
        seed=seed,
        stage=f"sampled/{domain}/{top_p}",
    )
    for continuation in found[0]:
        sentences = split_sentences(continuation.text)
        yield from sentences if continuation.finished else sentences[:-1]


def make(corpora: Path, teachers: Sequence[Teacher], held_out: bool, each: int, seed: int) -> list[Sentence]:
    """About `each` sentences of every kind but `garbled`, of which a third as many; shuffled, well-formed, no two alike."""
    made: dict[str, Sentence] = {}

    def add(texts: Iterator[str], kind: str) -> None:
        for text in texts:
            if refusal(text) is None:
                made.setdefault(text, Sentence(text, kind))

    choice = Choice(random.Random(f"{seed}/{held_out}"), held_out)
    share = each // len(DOMAINS)
    for domain in DOMAINS:
        originals = list(islice(persons(corpora, domain, held_out), 2 * share + share // 3))
        choice.random.shuffle(originals)
        shown, halved, spoilt = originals[:share], originals[share : 2 * share], originals[2 * share :]
        add((sentence for _, sentence in shown), PERSON)
        for _, sentence in spoilt:
            worse = choice.random.choice(garbled.REWRITES).apply(sentence, choice)
            if worse is not None:
                add(iter([worse]), "garbled")
        settings = [(teacher, top_p) for teacher in teachers for top_p in TOP_P]
        for index, (teacher, top_p) in enumerate(settings):
            add(continued(teacher, domain, halved[index :: len(settings)], top_p, seed + held_out), "continued")
            texts = max(2, share // len(settings) // _SENTENCES_OF_A_TEXT)
            add(sampled(teacher, domain, texts, top_p, seed + index * 2 + held_out), "sampled")
        print(f"{domain}: {len(made)} sentences so far", flush=True)
    sentences = list(made.values())
    choice.random.shuffle(sentences)
    return sentences


def write_sentences(path: Path, sentences: Sequence[Sentence]) -> None:
    """One JSON object a line."""
    lines = (json.dumps(sentence._asdict(), ensure_ascii=False) + "\n" for sentence in sentences)
    path.write_text("".join(lines), encoding="utf-8")


def read_sentences(path: Path) -> list[Sentence]:
    """Read what `write_sentences` wrote."""
    return [Sentence(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, required=True, help="folder of <domain>.txt.xz, one document a line")
    parser.add_argument("--teacher", nargs="+", required=True, help="one or more teachers: folders, hub names or starter:teacher")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--each", type=int, default=15_000, help="sentences of each kind to train on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    teachers = [Teacher.load(name) for name in options.teacher]
    for name, held_out, each in (("held-out", True, max(30, options.each // 10)), ("train", False, options.each)):
        sentences = make(options.corpora, teachers, held_out, each, options.seed)
        write_sentences(options.out / f"{name}.jsonl", sentences)
        print(name, dict(Counter(sentence.kind for sentence in sentences)))


if __name__ == "__main__":
    main()
