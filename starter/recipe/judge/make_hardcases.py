"""Make the hard cases from corpus sentences: one file to train on, one held out, each pair with its kind and truth.

    python -m recipe.judge.make_hardcases --corpora lm/ --out hard/

A hypothesis is the sentence after one to three rewrites. A chain of true rewrites is true; a false rewrite may follow true
ones (then the pair is false, however much it shares with its premise); nothing follows a false one. The held-out file
comes from other documents, and uses only word-list entries and operations that the training file never uses.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from pathlib import Path

from recipe.judge.hardcases import (
    compress,
    conditions,
    detail,
    figures,
    garbled,
    hypernyms,
    modality,
    names,
    neighbours,
    polarity,
    reorder,
    splits,
    swaps,
    synonyms,
    voice,
)
from recipe.judge.hardcases.rewrite import Choice, Rewrite
from recipe.judge.pairs import NOT_ENTAILMENT, LabelledPair, write_pairs
from recipe.judge.sentences import documents, sentences_of

FAMILIES = (
    figures, names, polarity, modality, conditions, detail, swaps,
    hypernyms, reorder, voice, splits, compress, synonyms, garbled,
)  # fmt: skip
REWRITES: tuple[Rewrite, ...] = tuple(rewrite for family in FAMILIES for rewrite in family.REWRITES)

CORPORA = ("news", "biomedical", "reddit", "encyclopedic")

#: Kinds that are true; every other kind is false.
TRUE_KINDS = frozenset(
    {rewrite.kind for rewrite in REWRITES if rewrite.entails}
    | {rewrite.back_kind for rewrite in REWRITES if rewrite.back_kind and rewrite.back_entails}
    | {"copy"}
)


KEPT_OFTENER = {"compressed": 4} | dict.fromkeys(TRUE_KINDS - {"compressed", "copy"}, 2)
"""How many times as many pairs of a kind: there are fewer true kinds than false ones, and a judge that seldom hears yes says no."""


def _pair(premise: str, hypothesis: str, kind: str) -> LabelledPair:
    return LabelledPair(premise, hypothesis, "entailment" if kind in TRUE_KINDS else NOT_ENTAILMENT, kind)


def _changed(rewrite: Rewrite, sentence: str, choice: Choice) -> str | None:
    changed = rewrite.apply(sentence, choice)
    if changed is None:
        return None
    changed = " ".join(changed.split())
    return changed if changed != sentence and len(changed.split()) >= 3 else None


def cases(sentence: str, choice: Choice, rewrites: Sequence[Rewrite], full: Container[str] = (), most: int = 3) -> Iterator[LabelledPair]:
    """Up to ``most`` pairs of one sentence, of different kinds that are not ``full``: single rewrites, their way back, and chains."""
    kinds: set[str] = set()
    truths = [rewrite for rewrite in rewrites if rewrite.entails]
    for rewrite in choice.random.sample(rewrites, len(rewrites)):
        if rewrite.kind in full and (rewrite.back_kind is None or rewrite.back_kind in full):
            continue
        start, changed = sentence, _changed(rewrite, sentence, choice)
        if changed is None:
            continue
        if choice.random.random() < 0.5:
            for before in choice.random.sample(truths, min(6, len(truths))):
                start = _changed(before, start, choice) or start
            chained = _changed(rewrite, start, choice)
            start, changed = (sentence, changed) if chained in (None, sentence) else (start, chained)
        kind, premise, hypothesis = rewrite.kind, sentence, changed
        if rewrite.back_kind is not None and choice.random.random() < (0.3 if rewrite.kind == "compressed" else 0.5):
            kind, premise, hypothesis = rewrite.back_kind, changed, start
        if kind not in kinds and kind not in full:
            kinds.add(kind)
            yield _pair(premise, hypothesis, kind)
        if len(kinds) == most:
            return


def of_sentences(sentences: Sequence[str], choice: Choice, most_of_a_kind: int) -> list[LabelledPair]:
    """Rewrites of sentences, and a few copies; at most ``most_of_a_kind`` of each false kind (see ``KEPT_OFTENER``)."""
    # Whole operations kept for evaluation join the held-out part, where held-out word lists are used as well.
    rewrites = [rewrite for rewrite in REWRITES if choice.held_out or not rewrite.held_out]
    made: list[LabelledPair] = []
    drawn: Counter[str] = Counter()
    full: set[str] = set()
    for sentence in choice.random.sample(sentences, len(sentences)):
        found = list(cases(sentence, choice, rewrites, full))
        if choice.random.random() < 0.04 and "copy" not in full:
            found.append(_pair(sentence, sentence, "copy"))
        for pair in found:
            drawn[pair.source] += 1
            made.append(pair)
            if drawn[pair.source] >= most_of_a_kind * KEPT_OFTENER.get(pair.source, 1):
                full.add(pair.source)
    return made


def make(corpora: Path, held_out: bool, documents_each: int, most_of_a_kind: int, seed: int) -> list[LabelledPair]:
    """Hard cases of one part, at most ``most_of_a_kind`` of each kind, shuffled.

    Args:
        corpora: folder of ``news.txt.xz`` and so on.
        held_out: the part to make.
        documents_each: documents read of each corpus.
        most_of_a_kind: bound a kind.
        seed: seed of every draw.
    """
    choice = Choice(random.Random(f"{seed}/{held_out}"), held_out)
    share = most_of_a_kind // len(CORPORA)
    made: list[LabelledPair] = []
    for name in CORPORA:
        part = list(documents(corpora / f"{name}.txt.xz", held_out, documents_each))
        made += of_sentences([sentence for document in part for sentence in document], choice, share)
        made += islice(neighbours.of_one_document(part, choice.random), 3 * share)
        made += islice(neighbours.similar_strangers(part, choice.random), 3 * share)
    choice.random.shuffle(made)
    return made


def make_of_pools(pools: Path, most_of_a_kind: int, seed: int) -> list[LabelledPair]:
    """The same from the pools of a teacher (``recipe.judge.pool sample``): the text that the judge will read."""
    choice = Choice(random.Random(f"{seed}/pools"), held_out=False)
    read = [sentences_of(" ".join(dict.fromkeys(row["sentences"]))) for row in json.loads(pools.read_text(encoding="utf-8"))]
    made = of_sentences([sentence for sentences in read for sentence in sentences], choice, most_of_a_kind)
    for sentences in read:
        made += neighbours.of_one_pool(sentences, 40, choice.random)
    choice.random.shuffle(made)
    return made


def main() -> None:
    """Write ``train.jsonl`` and ``held-out.jsonl``, or ``pools.jsonl``; print the number of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, help="folder of the four corpora (.txt.xz)")
    parser.add_argument("--pools", type=Path, help="pools of a teacher, to train on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=700, help="documents read of each corpus")
    parser.add_argument("--most", type=int, default=2_400, help="most pairs of a kind to train on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts = {"pools": make_of_pools(options.pools, options.most // 8, options.seed)} if options.pools else {}
    if options.corpora:
        parts["train"] = make(options.corpora, False, options.documents, options.most, options.seed)
        parts["held-out"] = make(options.corpora, True, options.documents, 200, options.seed)
    for name, made in parts.items():
        write_pairs(options.out / f"{name}.jsonl", made)
        for kind, count in sorted(Counter(pair.source for pair in made).items()):
            print(f"{name:9} {kind:18} {'true' if kind in TRUE_KINDS else 'false':5} {count}")


if __name__ == "__main__":
    main()
