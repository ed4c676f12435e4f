"""Hard cases in balance for the last stage: as many true pairs as false ones, rare kinds several times, hard kinds oftener.

python -m recipe.judge.rebalance --hard hard/train.jsonl hard/generated-train.jsonl --out hard/rebalanced.jsonl
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from recipe.judge.make_hardcases import TRUE_KINDS
from recipe.judge.pairs import LabelledPair, read_pairs, write_pairs

MOST = {
    "compressed": 8_000, "synonym": 8_000, "number form": 6_000, "reordered": 6_000, "blunted": 3_000, "copy": 6_000,
    "garbled": 6_000, "from garbled": 6_000, "swapped": 6_000, "qualifier": 6_000, "modality": 4_500, "invented": 6_000,
    "neighbours": 2_500, "similar stranger": 2_500, "date": 6_000, "unit": 6_000, "number": 6_000,
}  # fmt: skip
MOST_FALSE = 2_000
TIMES = {"passive": 12, "hypernym": 4, "lower bound": 2, "swapped": 2, "copy": 2}


def rebalanced(pairs: Sequence[LabelledPair], seed: int) -> list[LabelledPair]:
    """The chosen pairs, shuffled."""
    generator = random.Random(seed)
    kinds: dict[str, list[LabelledPair]] = defaultdict(list)
    for pair in pairs:
        kinds[pair.source].append(pair)
    chosen: list[LabelledPair] = []
    for kind, members in kinds.items():
        most = MOST.get(kind, len(members) if kind in TRUE_KINDS else MOST_FALSE)
        chosen += generator.sample(members, min(most, len(members))) * TIMES.get(kind, 1)
    generator.shuffle(chosen)
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hard", type=Path, nargs="+", required=True, help="train.jsonl, generated-train.jsonl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = rebalanced([pair for file in options.hard for pair in read_pairs(file)], options.seed)
    write_pairs(options.out, chosen)
    print(f"{len(chosen)} pairs, {sum(pair.source in TRUE_KINDS for pair in chosen) / len(chosen):.0%} true")


if __name__ == "__main__":
    main()
