"""The transfer table: what a student of ours gains from human pairs, beside M0 trained on them all (Jung et al. 2023, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from impdistill.console.ablation import AblationRow, baseline_row
from impdistill.console.systems import readable_for, with_baselines
from impdistill.evaluate import Benchmark, Metric, Rewriting, evaluate
from impdistill.models.student import Student
from impdistill.recipe_student import TrainingRecipe
from impdistill.stages.step import Observer
from impdistill.transfer import Finetuned, HumanPairs, Start, finetune_student

IN_DOMAIN = "in-domain"
OURS = "ours only"


@dataclass(frozen=True, slots=True)
class Taught:
    """A row of the table to be measured. pairs: of the human ones that it was trained on; folder: of the student."""

    name: str
    folder: str
    pairs: int


def teach_all(
    start: Start,
    base: Start | None,
    shares: Sequence[float],
    pairs: HumanPairs,
    out: Path,
    *,
    group: str,
    instruction: str,
    training: TrainingRecipe,
    seed: int,
    device: str,
    observer: Observer,
) -> list[Taught]:
    """Fine-tune M0 on all pairs and the start on each share, into folders of `out`; what is done already is not done again.

    Args:
        base: M0; None leaves its row out.

    Raises:
        ImpdistillError: as `finetune_student`.
    """

    def teach(whom: Start, name: str, share: float) -> Finetuned:
        return finetune_student(
            whom, pairs, out / name, group=group, instruction=instruction, share=share, training=training, seed=seed, device=device,
            observer=observer,
        )  # fmt: skip

    for share in shares:
        pairs.share(share)  # a wrong one is named before anything is trained
    rows = []
    if base is not None:
        taught = teach(base, IN_DOMAIN, 1.0)
        rows.append(Taught(IN_DOMAIN, str(taught.folder), taught.pairs))
    if group in start.groups:
        rows.append(Taught(OURS, start.model, 0))
    for share in sorted(set(shares)):
        taught = teach(start, f"ours-and-{share:g}", share)
        rows.append(Taught(f"ours + {share:.3g}" if share < 1 else "ours + all", str(taught.folder), taught.pairs))
    return rows


def measure_taught(
    rows: Sequence[Taught], group: str, benchmarks: Sequence[Benchmark], metrics: Sequence[Metric], device: str, resamples: int
) -> list[AblationRow]:
    """Copy, lead and, where it can be had, human; then every student, on the items that all of them can read.

    Raises:
        BenchmarkError: no item is left.
    """
    items = readable_for(benchmarks, [(row.folder, group) for row in rows])
    found = [baseline_row(spec, items, metrics, resamples) for spec in with_baselines([], items)]
    for row in rows:
        system = Rewriting(row.name, Student.load(row.folder, device=device), group)
        measured = tuple(evaluate(system, one, metrics, resamples=resamples) for one in items)
        found.append(AblationRow(row.name, row.pairs, group, None, measured))
    return found
