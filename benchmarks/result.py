"""What every benchmark's last line holds, so that one page can show them all: bar, measured, ratio, ceiling, share, met or not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Part = Literal["decoding", "judging", "loop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the page. All numbers are medians; None: not measured.

    Attributes:
        name: what is measured; the same in every run.
        conditions: of this run, e.g. "1,000 sentences".
        measured: in `unit`.
        ratio: how it stands `beside` another program, both in the same turn.
        ceiling: in `unit`, what the hardware allows: `ceiling_of` says how it was found.
        share: of the ceiling that was reached.
        bar: what `bar_on` must be, at least or at most.
    """

    name: str
    bar: float
    bar_on: Literal["measured", "ratio", "share"]
    at_least: bool = True
    conditions: str = ""
    unit: str = ""
    measured: float | None = None
    ratio: float | None = None
    beside: str = ""
    ceiling: float | None = None
    ceiling_of: str = ""
    share: float | None = None

    @property
    def met(self) -> bool | None:
        """None: not measured."""
        value: float | None = getattr(self, self.bar_on)
        return None if value is None else value >= self.bar if self.at_least else value <= self.bar


def print_result(
    benchmark: str, part: Part, rows: Sequence[Row], arguments: argparse.Namespace, *, device: str, dtype: str, **more: Any
) -> None:
    """The last line. Times of a smoke run mean nothing, so its rows hold no numbers.

    Args:
        more: whatever else is worth keeping.
    """
    unmeasured = dict.fromkeys(("measured", "ratio", "ceiling", "share", "met")) | {"conditions": ""}
    written = [asdict(row) | (unmeasured if arguments.smoke else {"met": row.met}) for row in rows]
    settings = {key: value if isinstance(value, int | float | bool) else str(value) for key, value in vars(arguments).items()}
    record = {"benchmark": benchmark, "part": part, "device": device, "dtype": dtype.removeprefix("torch."), "smoke": arguments.smoke}
    print(json.dumps({**record, "rows": written, **more, "settings": settings}))
