from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from impdistill.errors import BenchmarkError
from impdistill.evaluate.controllability import control_tables, measure_control
from impdistill.tasks import Group

GROUPS = (
    Group("short-abstractive", "", (0.0, 0.5), (0.0, 0.6)),
    Group("short-extractive", "", (0.0, 0.5), (0.6, math.inf)),
    Group("long-abstractive", "", (0.5, 0.8), (0.0, 0.6)),
    Group("long-extractive", "", (0.5, 0.8), (0.6, math.inf)),
    Group("paraphrase", "", (0.8, 1.5), (0.0, 0.6)),
)
SOURCES = tuple(f"a{n} b c d e f g h i j" for n in range(30))


class Obedient:
    """Knows exactly what every group means: keeps, or writes anew, as many words as asked for."""

    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        length = {"short": 4, "long": 7}.get(group.split("-")[0], 10)
        if group.endswith("extractive"):
            return [" ".join(text.split()[:length]) for text in texts]
        return [" ".join(["new"] * length) for _ in texts]


class Deaf:
    """Copies whatever is asked, and now and then writes nothing."""

    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        return [text if number % 10 else "" for number, text in enumerate(texts)]


class Short:
    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        return list(texts[:-1])


def test_full_control() -> None:
    control = measure_control(Obedient(), GROUPS, SOURCES, resamples=50)
    assert control.accuracy.value == 100
    for index, group in enumerate(control.groups):
        assert list(group.got.values()) == [30 * (index == column) for column in range(6)]
        assert group.accuracy.value == 100
    length, wording = control.gaps
    assert (length.measure, length.high, length.low) == ("compression", "long", "short")
    assert (length.high_value.value, length.low_value.value) == pytest.approx((0.7, 0.4))
    assert length.difference.difference == pytest.approx(0.3)
    # extractive: (2 * 4 / 14 + 2 * 7 / 17) / 2; abstractive shares nothing
    assert wording.difference.difference == pytest.approx(100 * (8 / 14 + 14 / 17) / 2)
    assert wording.low_value.value == 0
    assert control.faithful_accuracy is None and control.groups[0].faithful_accuracy is None


def test_no_control() -> None:
    control = measure_control(Deaf(), GROUPS, SOURCES, resamples=50)
    assert control.accuracy.value == 0
    assert [gap.difference.difference for gap in control.gaps] == [0, 0]
    for group in control.groups:
        assert group.empty_outputs == 3
        assert group.got["no group"] == 30  # nothing is no short summary
        assert group.compression.value == pytest.approx(0.9)


def test_tables() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    for table in control_tables(measure_control(Obedient(), GROUPS, SOURCES, resamples=50)):
        console.print(table)
    text = console.export_text()
    assert "long 0.70 (0.70–0.70)" in text
    assert "Outputs in the group asked for: 100.0 (100.0–100.0)%" in text
    assert "no group" in text


def test_outputs_count_as_faithful_and_in_group_only_where_both_hold() -> None:
    """A judge that believes a third of what was asked for first, and nothing else."""
    said = {group.name: np.array([group is GROUPS[0] and row % 3 == 0 for row in range(30)]) for group in GROUPS}
    control = measure_control(Obedient(), GROUPS, SOURCES, entailed=said, resamples=50)
    faithful = [group.faithful_accuracy for group in control.groups]
    assert [one.value for one in faithful if one is not None] == pytest.approx([100 / 3, 0, 0, 0, 0])
    assert control.faithful_accuracy is not None and control.faithful_accuracy.value == pytest.approx(100 / 15)
    deaf = measure_control(Deaf(), GROUPS, SOURCES, entailed={name: np.ones(30, bool) for name in said}, resamples=50)
    assert deaf.faithful_accuracy is not None and deaf.faithful_accuracy.value == 0  # entailed, and in no group
    console = Console(width=200, record=True, file=io.StringIO())
    for table in control_tables(control):
        console.print(table)
    text = console.export_text()
    assert "faithful and in group: 6.7" in text and "faithful and in group, %" in text and "33.3" in text
    with pytest.raises(BenchmarkError, match="group short-extractive is needed for each of 30 sources"):
        measure_control(Obedient(), GROUPS, SOURCES, entailed={GROUPS[0].name: said[GROUPS[0].name]})


def test_an_interval_below_zero_has_no_dash() -> None:
    class Contrary:
        def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
            return Obedient().rewrite(texts, {"long": "short", "short": "long"}[group.split("-")[0]] + "-extractive")

    console = Console(width=200, record=True, file=io.StringIO())
    for table in control_tables(measure_control(Contrary(), GROUPS[:4], SOURCES, resamples=50)):
        console.print(table)
    assert "-0.30 (-0.30 to -0.30)" in console.export_text()


def test_groups_without_an_opposite_have_no_gap() -> None:
    control = measure_control(Obedient(), GROUPS[4:], SOURCES[:1], resamples=50)
    assert control.gaps == ()
    assert control.accuracy.low is None
    assert len(control_tables(control)) == 1


def test_one_source_has_outputs_but_no_gap() -> None:
    control = measure_control(Obedient(), GROUPS, SOURCES[:1], resamples=50)
    assert control.gaps == ()
    assert (control.accuracy.value, control.accuracy.low, len(control.groups)) == (100, None, 5)
    assert len(control_tables(control)) == 1


def test_what_cannot_be_measured() -> None:
    with pytest.raises(BenchmarkError, match="0 and 30"):
        measure_control(Obedient(), (), SOURCES)
    with pytest.raises(BenchmarkError, match="29 texts were returned for 30 sources of group short-abstractive"):
        measure_control(Short(), GROUPS, SOURCES)
