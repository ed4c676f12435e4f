"""Text files in, clean documents out: one document a line (`.txt`, `.txt.xz`), read in a stable order.

Knows the four domains and their control prefixes (in the manner of CTRL, Keskar et al. 2019), decides which documents are prose
worth a small budget, and which are set apart for evaluation. Knows nothing of tokens.
"""

import hashlib
import lzma
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from recipe.lm.errors import RecipeError

END_OF_TEXT = "<|endoftext|>"

PREFIXES = {"news": "News:", "biomedical": "Biomedical:", "reddit": "Reddit:", "encyclopedic": "Wiki:"}
"""Domain (the stem of its file) to the words that follow `<|endoftext|>` at the start of each of its documents."""

Split = Literal["train", "heldout"]

_HELDOUT_SHARE = 0.02

# Function words make up 40-50% of English prose and next to nothing of tables, menus, lists of names and code.
_FUNCTION_WORDS = frozenset(
    """
    the of and to a in is that for it as was with be by on not he i this are or his from at which but have an had they you were
    there one all we she their my has been if would who so no will can what when more your about its our up out them than me
    """.split()  # noqa: SIM905
)
_LINK = re.compile(r"https?:|www\.|\.com\b|\.org\b|@|\bemail\b|\bupvote|\bEDIT\b|\bTL;?DR\b", re.IGNORECASE)
_SLOPPY = re.compile(r"\bi\b|\b(?:im|ive|dont|doesnt|didnt|cant|wont|isnt|thats|whats|alot|lol|wtf|u|ur|thx|gonna|wanna)\b")
_ODD = re.compile(r"[^A-Za-z0-9\s.,;:'\"!?()$%&/—–‘’“”-]")
_LIST = re.compile(r"(?:^|\s)(?:[*•·|>#=_~+]|--+|[-–]\s[A-Z]|\(?\d{1,2}[.)]\s|\(?[ivx]{1,4}\)\s)")
_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?")
_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"'”’)]))\s+(?=[\"'“‘(]?[A-Z0-9])")


def corpus_files(folder: Path) -> dict[str, Path]:
    """Domain to file for every `<domain>.txt` or `<domain>.txt.xz` in `folder`, in the order of `PREFIXES`."""
    found = {domain: path for domain in PREFIXES for path in (folder / f"{domain}.txt.xz", folder / f"{domain}.txt") if path.exists()}
    if not found:
        raise RecipeError(f"{folder}: no text; expected one document a line in {', '.join(f'{d}.txt[.xz]' for d in PREFIXES)}")
    return found


def read_documents(path: Path) -> Iterator[str]:
    """Yield the non-empty lines of `path` with white space folded; `.xz` is unpacked on the way."""
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            if document := " ".join(line.split()):
                yield document


def split_of(document: str) -> Split:
    """Held out or not, by a hash of the text: independent of order, of the filter and of the other documents."""
    digest = hashlib.blake2b(document.encode(), digest_size=8).digest()
    return "heldout" if int.from_bytes(digest) < _HELDOUT_SHARE * 2**64 else "train"


def sentences_of(document: str) -> list[str]:
    """Split at sentence-final punctuation before a capital or a digit; rough, and enough to cut a text between sentences."""
    return [sentence for sentence in _SENTENCE_END.split(document) if sentence]


def problem_of(document: str) -> str | None:
    """Why a document is not worth a small budget of tokens, or None when it is clean prose.

    The thresholds are shares of characters or words, chosen by reading what they keep and drop.
    """
    words = document.split()
    characters = len(document)
    if len(words) < 40:
        return "short"
    if not (document[0].isupper() or document[0] in "\"'“‘"):
        return "starts inside a sentence"
    if document[-1] not in ".!?\"'”’)":
        return "ends inside a sentence"
    if _LINK.search(document):
        return "link or forum furniture"
    if len(_SLOPPY.findall(document)) > 1:
        return "sloppy spelling"
    if len(_ODD.findall(document)) > 0.004 * characters:
        return "odd characters"
    if len(_LIST.findall(document)) > 1:
        return "list"
    if sum(map(str.isdigit, document)) > 0.03 * characters:
        return "digits"
    if document.count("(") > 0.025 * len(words):
        return "brackets"
    if sum(map(str.isupper, document)) > 0.07 * characters:
        return "capitals"
    if sum(word.lower() in _FUNCTION_WORDS for word in words) < 0.3 * len(words):
        return "few function words"
    if not 9 <= len(words) / len(sentences_of(document)) <= 40:
        return "sentence length"
    if len(set(map(str.lower, words))) < 0.4 * min(len(words), 150):
        return "repetitive"
    return None


def plainest(documents: Sequence[str], share: float, common_words: int = 5000) -> list[str]:
    """The `share` of documents with the fewest rare words a sentence, in their order.

    Rare is a word that is not among the `common_words` most frequent ones of all these documents. Of little text a small model
    learns to write the more sentences without a fault, the fewer words they need (Eldan and Li 2023).
    """
    words = [_WORD.findall(document.lower()) for document in documents]
    common = {word for word, _ in Counter(word for found in words for word in found).most_common(common_words)}
    rare = [
        sum(word not in common for word in found) / len(sentences_of(document)) for document, found in zip(documents, words, strict=True)
    ]
    ranked = sorted(range(len(documents)), key=rare.__getitem__)
    return [documents[index] for index in sorted(ranked[: round(share * len(documents))])]
