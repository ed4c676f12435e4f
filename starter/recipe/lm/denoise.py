"""Rows that teach a causal model to read a sentence and write one: noise in, the sentence out.

    python -m recipe.lm.denoise --corpus DIR --tokenizer build/tokenizer --out build/denoise --rows 40000
    python -m recipe.lm.pretrain --packed build/packed build/denoise ...

The student M0 starts from the teacher's weights. A language model of this size that has only ever continued text does not yet copy
names and numbers out of what it reads; undoing noise teaches it that without any labels (Lewis et al. 2020; words put in, as
Fevry and Phang 2018 do it, also teach it to leave out). A row's pieces have the form in which a causal student is spoken to: the
noisy sentence, a line's end, an instruction, and, to be learnt, the sentence and its end.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from recipe.lm.documents import corpus_files, problem_of, read_documents, sentences_of, split_of
from recipe.lm.pack import Piece, fill_rows, mix, write_row

INSTRUCTION = "\nRestore the given sentence:"
_LEAST_WORDS, _MOST_WORDS = 6, 40


def noisy(words: Sequence[str], other: Sequence[str], generator: random.Random) -> list[str]:
    """The words of a sentence with one or two kinds of noise; `other` is a sentence that gives words to put in."""
    kinds = generator.sample(("leave out", "mix", "put in", "put in", "hide"), generator.choice((1, 1, 2)))
    changed = list(words)
    if "put in" in kinds:  # stretches of another sentence, up to the length of this one
        room = max(2, round(len(words) * generator.uniform(0.2, 1.0)))
        while room > 0 and len(other) > 2:
            size = min(room, generator.randint(1, 5))
            start = generator.randrange(max(1, len(other) - size))
            place = generator.randrange(len(changed) + 1)
            changed[place:place] = other[start : start + size]
            room -= size
    if "leave out" in kinds:
        share = generator.uniform(0.05, 0.25)
        changed = [word for word in changed if generator.random() >= share] or changed
    if "mix" in kinds:  # every word moves at most three places
        places = [index + generator.uniform(0, 3) for index in range(len(changed))]
        changed = [word for _, word in sorted(zip(places, changed, strict=True), key=lambda item: item[0])]
    if "hide" in kinds:
        start = generator.randrange(len(changed))
        changed[start : start + generator.randint(1, 4)] = ["_"]
    return changed


def sentences(path: Path) -> Iterator[str]:
    """Sentences of the documents that the teacher learns from."""
    for document in read_documents(path):
        if split_of(document) == "train" and problem_of(document) is None:
            for sentence in sentences_of(document):
                if _LEAST_WORDS <= len(sentence.split()) <= _MOST_WORDS:
                    yield sentence


def noisy_sentences(path: Path, seed: int) -> Iterator[tuple[str, str]]:
    """(noisy sentence, sentence) for each sentence of a corpus; the sentence before it gives the words that are put in."""
    generator = random.Random(f"{seed}/{path.name}")
    before: list[str] = []
    for sentence in sentences(path):
        words = sentence.split()
        changed = noisy(words, before, generator)
        before = words
        if changed != words:
            yield " ".join(changed), sentence


def pieces(path: Path, tokenizer: PreTrainedTokenizerBase, row_tokens: int, seed: int) -> Iterator[Piece]:
    """A piece for each sentence of a corpus."""
    own = tokenizer(INSTRUCTION)["input_ids"]
    for changed, sentence in noisy_sentences(path, seed):
        prompt = [int(tokenizer.bos_token_id), *tokenizer(changed)["input_ids"], *own]
        target = tokenizer(f" {sentence}")["input_ids"]
        if len(prompt) + len(target) < row_tokens:
            yield Piece(prompt + target, len(prompt), ends_document=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of <domain>.txt[.xz], one document a line")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder written by recipe.lm.tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="folder for the rows")
    parser.add_argument("--rows", type=int, default=40_000, help="(default: %(default)s)")
    parser.add_argument("--row-tokens", type=int, default=256, help="tokens a row, as of recipe.lm.pack (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    streams = {domain: pieces(path, tokenizer, options.row_tokens, options.seed) for domain, path in corpus_files(options.corpus).items()}
    tokens = np.zeros((options.rows, options.row_tokens), dtype=np.uint16)
    learn = np.zeros((options.rows, options.row_tokens), dtype=bool)
    written = 0
    mixed = mix(streams, dict.fromkeys(streams, 1.0), np.random.default_rng(options.seed))
    for row in islice(fill_rows(mixed, options.row_tokens), options.rows):
        write_row(row, tokens[written], learn[written])
        written += 1
        if written % 5000 == 0:
            print(f"{written} rows", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    np.save(options.out / "tokens.npy", tokens[:written])
    np.save(options.out / "learn.npy", learn[:written])
    summary = {"rows": written, "row_tokens": options.row_tokens, "target_share": round(float(learn[:written].mean()), 4)}
    (options.out / "denoise.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
