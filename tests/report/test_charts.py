"""What a chart looks like, in either scheme."""

from __future__ import annotations

import re

import pytest
import vl_convert

from impdistill.report.charts import DARK, LIGHT, charts_of, theme
from impdistill.report.contents import RunContents
from tests.report.test_contents import contents

__all__ = ["contents"]

MATRIX = {
    "system": "student",
    "benchmark": "bench",
    "sources": 10,
    "accuracy": {"value": 90.0},
    "groups": [{"group": "short", "got": {"short": 9, "long": 1}}, {"group": "long", "got": {"short": 1, "long": 9}}],
}


def drawn(spec: object, scheme: str) -> str:
    assert isinstance(spec, dict)
    return str(vl_convert.vegalite_to_svg({**spec, "width": 300, "config": theme(scheme)}))


def luminance(colour: str) -> float:
    """Relative, 0-1 (WCAG 2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_numbers_on_strong_and_weak_cells_can_be_read(contents: RunContents, scheme: str) -> None:
    (chart,) = charts_of(contents, [MATRIX], "a")["control"]
    colours = dict(re.findall(r'fill="(#[0-9a-f]{6})"[^>]*>(\d+)</text>', drawn(chart.spec, scheme)))
    of = {number: colour for colour, number in colours.items()}
    few, _, many = theme(scheme)["range"]["heatmap"]
    assert contrast(of["90"], many) > 7 and contrast(of["10"], few) > 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_a_single_pair_is_seen_on_its_strategy_map(scheme: str) -> None:
    card = "#1c2229" if scheme == DARK else "#f6f8fa"
    assert contrast(theme(scheme)["range"]["heatmap"][0], card) > 1.5
