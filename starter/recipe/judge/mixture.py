"""What one epoch of a training stage consists of."""

import random
from dataclasses import dataclass
from pathlib import Path

from recipe.judge.pairs import MNLI_FOLDS, LabelledPair, epoch_of, fold, load_nli, read_pairs


@dataclass(frozen=True, slots=True)
class Mixture:
    """Licensed NLI sources (``nli_part`` of an epoch of them), hard cases (``hard_per_epoch`` of them), and pairs read every epoch."""

    nli: dict[str, list[LabelledPair]]
    hard: list[LabelledPair]
    always: list[LabelledPair]
    hard_per_epoch: int
    nli_part: float = 1.0

    def epoch(self, number: int, seed: int) -> list[LabelledPair]:
        """The pairs of epoch ``number``; pure in (number, seed)."""
        generator = random.Random(f"{seed}/{number}/hard")
        hard = generator.sample(self.hard, min(self.hard_per_epoch, len(self.hard)))
        return epoch_of(self.nli, number, seed, self.nli_part) + hard + self.always


def load_mixture(
    nli: Path, hard: list[Path], final: bool, hard_per_epoch: int = 20_000, nli_part: float = 0.25, own_use: bool = False
) -> Mixture:
    """Read the corpora of a stage.

    Args:
        nli: the NLI corpus.
        hard: files of hard cases.
        final: the last stage: the premises of ``mnli_dev_both`` outside fold 0 join, and of the other NLI sources a part.
        hard_per_epoch: hard cases an epoch of the last stage.
        nli_part: that part, 0 to 1.
        own_use: sources whose licence does not permit release join too.
    """
    corpus = load_nli(nli, own_use)
    cases = [pair for path in hard for pair in read_pairs(path)]
    if not final:
        return Mixture(corpus.train, cases, [], hard_per_epoch=60_000)
    mnli = [pair for pair in corpus.held_out["mnli_dev_both"] if fold(pair.premise, MNLI_FOLDS) != 0]
    return Mixture(corpus.train, cases, mnli, hard_per_epoch, nli_part)
