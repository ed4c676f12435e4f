"""Labelled sentence pairs, and the NLI corpus read into training and held-out sets that share no premise."""

import hashlib
import json
import lzma
import random
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from recipe.judge.errors import RecipeError
from recipe.judge.licences import source

#: Class indices of the judge. ``not_entailment`` is a target, not a class: its loss is on 1 - P(entailment).
LABELS = ("contradiction", "entailment", "neutral")
NOT_ENTAILMENT = "not_entailment"
TARGETS = (*LABELS, NOT_ENTAILMENT)

#: Held-out sets: source -> splits (None: all of them).
HELD_OUT: dict[str, tuple[str, ...] | None] = {
    "mnli_dev_both": None,
    "snli": ("test",),
    "fool_me_twice": None,
    "breaking_nli": None,
}


#: Premises of the MNLI development sets are split into this many folds; fold 0 is never trained on, by no stage.
MNLI_FOLDS = 5


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A premise, a hypothesis, one of ``TARGETS``, and where the pair comes from (a source or a hard-case kind)."""

    premise: str
    hypothesis: str
    label: str
    source: str


def premise_key(text: str) -> str:
    """Key under which two premises count as the same: lower case, letters and digits only."""
    return "".join(character for character in text.lower() if character.isalnum())


def fold(text: str, folds: int) -> int:
    """Stable fold of a text, 0 to ``folds`` - 1, from its premise key (not from the order of a file)."""
    return int.from_bytes(hashlib.blake2b(premise_key(text).encode(), digest_size=8).digest()) % folds


def read_nli(path: Path) -> Iterator[tuple[LabelledPair, str]]:
    """Yield (pair, split) for each line of the NLI corpus (``.jsonl`` or ``.jsonl.xz``).

    Raises:
        RecipeError: a line whose label is not one of ``TARGETS``.
    """
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            row = json.loads(line)
            if row["label"] not in TARGETS:
                raise RecipeError(f"{path}:{number}: label {row['label']!r}; expected one of {TARGETS}")
            yield LabelledPair(row["premise"].strip(), row["hypothesis"].strip(), row["label"], row["source"]), row["split"]


@dataclass(frozen=True, slots=True)
class NliCorpus:
    """Training pairs by source, and held-out pairs by source; no premise of the second occurs in the first."""

    train: dict[str, list[LabelledPair]]
    held_out: dict[str, list[LabelledPair]]


def load_nli(path: Path, own_use: bool = False) -> NliCorpus:
    """Read the corpus, keep the sources whose licence permits release, and set the held-out sets apart.

    Args:
        path: the corpus.
        own_use: keep the other sources too, for weights that are not handed on.
    """
    train: dict[str, list[LabelledPair]] = {}
    held_out: dict[str, list[LabelledPair]] = {name: [] for name in HELD_OUT}
    for pair, split in read_nli(path):
        if pair.source in HELD_OUT:
            splits = HELD_OUT[pair.source]
            if splits is None or split in splits:
                held_out[pair.source].append(pair)
        elif (source(pair.source).release or own_use) and source(pair.source).share > 0:
            train.setdefault(pair.source, []).append(pair)
    unseen = {premise_key(pair.premise) for pairs in held_out.values() for pair in pairs}
    apart = {name: [p for p in pairs if premise_key(p.premise) not in unseen] for name, pairs in train.items()}
    return NliCorpus(apart, held_out)


def unseen(corpus: NliCorpus, whole_mnli: bool) -> dict[str, list[LabelledPair]]:
    """Held-out pairs by source that no stage has read; ``whole_mnli`` where the final stage has not run yet."""
    mnli = corpus.held_out["mnli_dev_both"]
    return corpus.held_out | {"mnli_dev_both": [p for p in mnli if whole_mnli or fold(p.premise, MNLI_FOLDS) == 0]}


def epoch_of(train: dict[str, list[LabelledPair]], epoch: int, seed: int, part: float = 1.0) -> list[LabelledPair]:
    """Draw one epoch: ``part`` times the ``share`` of each source, another one each epoch. Pure in (epoch, seed)."""
    drawn: list[LabelledPair] = []
    for name, pairs in sorted(train.items()):
        share = part * source(name).share
        generator = random.Random(f"{seed}/{epoch}/{name}")
        drawn += pairs if share == 1 else generator.sample(pairs, round(share * len(pairs)))
    return drawn


def write_pairs(path: Path, pairs: Iterable[LabelledPair]) -> int:
    """Write pairs as JSON lines; return their number."""
    with path.open("w", encoding="utf-8") as lines:
        return sum(bool(lines.write(json.dumps(asdict(pair), ensure_ascii=False) + "\n")) for pair in pairs)


def read_pairs(path: Path) -> list[LabelledPair]:
    """Read what ``write_pairs`` wrote.

    Raises:
        RecipeError: the file is missing.
    """
    if not path.exists():
        raise RecipeError(f"{path} does not exist: make the hard cases first (python -m recipe.judge.make_hardcases)")
    return [LabelledPair(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
