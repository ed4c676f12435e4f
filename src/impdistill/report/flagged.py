"""What the screens of a dataset caught, row by row, so that a user can drop it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from impdistill.report.quality import Quality

FIELDS = ("split", "row", "kind", "category")


def flagged_csv(quality: Quality, splits: Mapping[str, int]) -> bytes:
    """A line for each pair and finding: the split, the row in it (from 0), and what was found, as the audit names it; kind "leak": the
    category is the benchmark.

    Args:
        splits: split -> pairs, in the order in which the dataset was read.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    places = [(split, row) for split, pairs in splits.items() for row in range(pairs)]
    writer.writerows((*places[row], kind, category) for row, kind, category in _found(quality))
    return text.getvalue().encode("utf-8", errors="replace")


def _found(quality: Quality) -> Iterator[tuple[int, str, str]]:
    for finding in quality.audit.findings:
        yield from ((row, finding.kind, finding.category) for row in finding.rows)
    for leak in quality.leaks:
        rows = sorted({text % quality.of for text in leak.dataset_texts})
        yield from ((row, "leak", leak.benchmark) for row in rows)
