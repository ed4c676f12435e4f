"""Turn clean documents into rows of a fixed number of tokens, with nothing crossing a document's border.

    python -m recipe.lm.pack --corpus DIR --tokenizer build/tokenizer --out build/packed --rows 100000

A document longer than a row is cut between sentences and every piece starts again with `<|endoftext|>` and its domain's prefix,
so that the model never sees text whose domain it cannot know. Pieces share rows by first fit over a window of open rows. Written:

    tokens.npy   (rows, row_tokens) uint16; each piece starts with token 0, the tail of a row is filled with token 0
    learn.npy    (rows, row_tokens) bool; which tokens are targets: not the prefixes, not the filling, and a document's closing
                 `<|endoftext|>` only where the document really ends there and another one follows in the row
    heldout.jsonl, packing.json   held-out documents as text {"domain", "text"}; counts
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from recipe.lm.documents import END_OF_TEXT, PREFIXES, corpus_files, plainest, problem_of, read_documents, sentences_of, split_of
from recipe.lm.errors import RecipeError

OPEN_ROWS = 64
SHORTEST_PIECE_TOKENS = 24


class Piece(NamedTuple):
    """A run of whole sentences of one document, its start token and prefix in front."""

    tokens: list[int]
    prefix_tokens: int
    ends_document: bool


def pieces_of(document: str, domain: str, tokenizer: PreTrainedTokenizerBase, row_tokens: int) -> Iterator[Piece]:
    """Cut a document into pieces of at most `row_tokens`, between sentences; a sentence too long for a row ends the document."""
    prefix = tokenizer(f"{END_OF_TEXT}{PREFIXES[domain]}")["input_ids"]
    sentences = tokenizer([f" {sentence}" for sentence in sentences_of(document)])["input_ids"]
    current = list(prefix)
    for sentence in sentences:
        if len(current) + len(sentence) > row_tokens:
            if len(current) >= SHORTEST_PIECE_TOKENS:
                yield Piece(current, len(prefix), ends_document=False)
            current = list(prefix)
            if len(current) + len(sentence) > row_tokens:
                return
        current += sentence
    if len(current) >= SHORTEST_PIECE_TOKENS:
        yield Piece(current, len(prefix), ends_document=True)


def mix(streams: dict[str, Iterator[Piece]], weights: dict[str, float], random: np.random.Generator) -> Iterator[Piece]:
    """Draw pieces so that tokens, not pieces, come in the proportion of `weights`; a stream that ends leaves the others going."""
    drawn = dict.fromkeys(streams, 0)
    streams = dict(streams)
    while streams:
        # The domain furthest behind its share comes next; the jitter keeps the order from being periodic.
        behind = {domain: (drawn[domain] + 200 * random.random()) / weights[domain] for domain in streams}
        domain = min(behind, key=behind.__getitem__)
        if (piece := next(streams[domain], None)) is None:
            del streams[domain]
            continue
        drawn[domain] += len(piece.tokens)
        yield piece


def fill_rows(pieces: Iterator[Piece], row_tokens: int) -> Iterator[list[Piece]]:
    """First fit over the `OPEN_ROWS` rows still open; the fullest is closed when a piece fits nowhere."""
    open_rows: list[tuple[int, list[Piece]]] = []
    for piece in pieces:
        length = len(piece.tokens)
        for index, (used, row) in enumerate(open_rows):
            if used + length <= row_tokens:
                open_rows[index] = (used + length, [*row, piece])
                break
        else:
            if len(open_rows) == OPEN_ROWS:
                fullest = max(range(OPEN_ROWS), key=lambda index: open_rows[index][0])
                yield open_rows.pop(fullest)[1]
            open_rows.append((length, [piece]))
    yield from (row for _, row in open_rows)


def write_row(row: list[Piece], tokens: np.ndarray, learn: np.ndarray) -> None:
    """Lay the pieces of one row out in `tokens` and `learn`, both (row_tokens,) and zero before."""
    start, previous_ended = 0, False
    for piece in row:
        end = start + len(piece.tokens)
        tokens[start:end] = piece.tokens
        learn[start + piece.prefix_tokens : end] = True
        learn[start] = previous_ended
        start, previous_ended = end, piece.ends_document
    if start < len(tokens):
        learn[start] = previous_ended


def pack(
    files: dict[str, Path],
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    *,
    rows: int,
    row_tokens: int,
    weights: dict[str, float],
    share: float = 1.0,
    heldout_documents: int,
    seed: int,
) -> dict[str, Any]:
    """Write the packed rows and the held-out documents to `out`; return the counts, which packing.json holds too.

    `share`, above 0 and at most 1: of each domain's clean documents, only the `plainest` are packed.

    Raises:
        RecipeError: a file without a weight, a share that is none, or a vocabulary that 16 bits cannot number.
    """
    if missing := files.keys() - weights.keys():
        raise RecipeError(f"--weights: no share for {', '.join(sorted(missing))}; name every domain of the corpus")
    if len(tokenizer) > 2**16:
        raise RecipeError(f"the tokenizer has {len(tokenizer)} tokens; rows are stored in 16 bits: train one of at most 65,536")
    if not 0 < share <= 1:
        raise RecipeError(f"--plainest {share}: a share of the documents lies above 0 and is at most 1")
    counts: dict[str, Counter[str]] = {domain: Counter() for domain in files}
    heldout: dict[str, list[str]] = {domain: [] for domain in files}

    def clean_documents(domain: str, path: Path) -> Iterator[str]:
        for document in read_documents(path):
            if problem := problem_of(document):
                counts[domain][f"dropped: {problem}"] += 1
            elif split_of(document) == "heldout":
                if len(heldout[domain]) < heldout_documents:
                    heldout[domain].append(document)
            else:
                yield document

    def clean_pieces(domain: str, path: Path) -> Iterator[Piece]:
        documents: Iterable[str] = clean_documents(domain, path)
        for document in documents if share == 1 else plainest(list(documents), share):
            counts[domain]["documents"] += 1
            for piece in pieces_of(document, domain, tokenizer, row_tokens):
                counts[domain]["tokens"] += len(piece.tokens)
                yield piece

    tokens = np.zeros((rows, row_tokens), dtype=np.uint16)
    learn = np.zeros((rows, row_tokens), dtype=bool)
    pieces = mix({domain: clean_pieces(domain, path) for domain, path in files.items()}, weights, np.random.default_rng(seed))
    written = 0
    for row in islice(fill_rows(pieces, row_tokens), rows):
        write_row(row, tokens[written], learn[written])
        written += 1
        if written % 5000 == 0:
            print(f"{written} rows", flush=True)

    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "tokens.npy", tokens[:written])
    np.save(out / "learn.npy", learn[:written])
    with (out / "heldout.jsonl").open("w", encoding="utf-8") as lines:
        for domain, documents in heldout.items():
            lines.writelines(json.dumps({"domain": domain, "text": text}, ensure_ascii=False) + "\n" for text in documents)
    summary = {
        "rows": written,
        "row_tokens": row_tokens,
        "target_share": round(float(learn[:written].mean()), 4),
        "weights": weights,
        "plainest": share,
        "seed": seed,
        "domains": counts,
        "heldout_documents": {domain: len(documents) for domain, documents in heldout.items()},
    }
    (out / "packing.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of <domain>.txt[.xz], one document a line")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder written by recipe.lm.tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="folder for the packed rows")
    parser.add_argument("--rows", type=int, default=110_000, help="rows to write at most (default: %(default)s)")
    parser.add_argument("--row-tokens", type=int, default=256, help="tokens a row (default: %(default)s)")
    parser.add_argument(
        "--weights",
        default="news=.3,biomedical=.3,reddit=.25,encyclopedic=.15",
        help="share of tokens a domain (default: %(default)s)",
    )
    parser.add_argument(
        "--plainest",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of each domain's documents, only this share, those with the fewest rare words a sentence; holds the clean text of "
        "a domain in memory (default: all)",
    )
    parser.add_argument("--heldout-documents", type=int, default=200, help="held-out documents kept a domain (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="order of the mix (default: %(default)s)")
    arguments = parser.parse_args()
    summary = pack(
        corpus_files(arguments.corpus),
        AutoTokenizer.from_pretrained(arguments.tokenizer),
        arguments.out,
        rows=arguments.rows,
        row_tokens=arguments.row_tokens,
        weights={domain: float(share) for domain, share in (entry.split("=") for entry in arguments.weights.split(","))},
        share=arguments.plainest,
        heldout_documents=arguments.heldout_documents,
        seed=arguments.seed,
    )
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
