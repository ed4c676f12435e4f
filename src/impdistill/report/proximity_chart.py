"""The figure of paraphrastic proximity: what sentences have in common, by length of context and by decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from impdistill.errors import DependencyError
from impdistill.proximity import Proximity
from impdistill.report.charts import LIGHT, theme

try:
    import altair as alt
    import vl_convert
except ModuleNotFoundError as absent:
    raise DependencyError("the figure needs altair and vl-convert-python; run: pip install 'impdistill[report]'") from absent

PANEL_WIDTH, PANEL_HEIGHT = 230, 220
PNG_SCALE = 2.0
PANELS = (
    ("entailing", "share of pairs that entail", "%"),
    ("self_bleu", "Self-BLEU of entailing pairs", ".3~g"),
    ("kept", "pairs kept per 1,000 sampled tokens", ".2~f"),
)


def proximity_chart(found: Sequence[Proximity]) -> dict[str, Any]:
    """Vega-Lite, without theme: three panels over the context's sentences, a colour a top-p, a dash a temperature."""
    rows = [
        {
            "sentences": each.setting.sentences,
            "top-p": f"{each.setting.top_p:g}",
            "temperature": f"{each.setting.temperature:g}",
            "entailing": each.entailing_share,
            "self_bleu": each.self_bleu,
            "kept": each.kept_per_1000_tokens,
            "low": each.low,
            "high": each.high,
        }
        for each in found
    ]
    spec: dict[str, Any] = alt.hconcat(*(_panel(rows, *panel) for panel in PANELS)).resolve_legend(color="shared").to_dict()
    for needless in ("config", "$schema"):
        spec.pop(needless, None)
    return spec


def pictures_of(spec: dict[str, Any]) -> dict[str, bytes]:
    """A chart in light colours as `svg` and `png`."""
    whole = {**spec, "config": {**theme(LIGHT), "background": "white"}}
    return {"svg": vl_convert.vegalite_to_svg(whole).encode(), "png": vl_convert.vegalite_to_png(whole, scale=PNG_SCALE)}


def _panel(rows: list[dict[str, Any]], field: str, title: str, form: str) -> Any:
    lengths = sorted({row["sentences"] for row in rows})
    base = alt.Chart(alt.InlineData(values=[row for row in rows if row[field] is not None])).encode(
        x=alt.X("sentences:O", title="sentences of context", axis=alt.Axis(labelAngle=0), scale=alt.Scale(domain=lengths)),
        color=alt.Color("top-p:N", title="top-p"),
    )
    line = base.mark_line(point=alt.OverlayMarkDef(filled=True, size=36), strokeWidth=2).encode(
        y=alt.Y(f"{field}:Q", title=title, axis=alt.Axis(format=form, tickCount=5), scale=alt.Scale(domainMin=0))
    )
    if len({row["temperature"] for row in rows}) > 1:
        line = line.encode(strokeDash=alt.StrokeDash("temperature:N", title="temperature"))
    layers = [line]
    if field == "kept" and all(row["low"] is not None for row in rows):
        layers.append(base.mark_rule(opacity=0.35).encode(y=alt.Y("low:Q", title=title), y2="high:Q", detail="temperature:N"))
    return alt.layer(*layers).properties(width=PANEL_WIDTH, height=PANEL_HEIGHT)
