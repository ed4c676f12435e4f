"""The charts of a report, as Vega-Lite. Colours that depend on light or dark come from `theme`, everything else is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from impdistill.errors import DependencyError
from impdistill.evaluate.dataset import StrategyMap
from impdistill.report.contents import Histogram, RoundContents, RunContents, StudentContents

try:
    import altair as alt
except ModuleNotFoundError as absent:
    raise DependencyError("a report needs altair, vl-convert-python and jinja2; run: pip install 'impdistill[report]'") from absent

Rows = list[dict[str, Any]]
LIGHT, DARK = "light", "dark"
NO_GROUP = "no group"


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture.

    Attributes:
        name: of its files; unique in a report.
        title, caption: for the page.
        spec: Vega-Lite, without theme.
    """

    name: str
    title: str
    caption: str
    spec: Mapping[str, Any]


def theme(scheme: str) -> dict[str, Any]:
    """Vega-Lite configuration for "light" or "dark"."""
    dark = scheme == DARK
    text, line = ("#d7dce2", "#3a424c") if dark else ("#2b323a", "#d9dde2")
    series = ["#6cb2ff", "#ffb454", "#6fd39a", "#f08fb0", "#c3a6ff"] if dark else ["#1f6fb8", "#c8690a", "#2a8a57", "#b83262", "#7249b8"]
    ramp = ["#2c5478", "#3a74aa", "#cfe8ff"] if dark else ["#a9cbea", "#5b9bd1", "#0b3561"]  # few to many; few must be seen too
    return {
        "background": "transparent",
        "font": "system-ui, sans-serif",
        "view": {"stroke": line},
        "axis": {
            "labelFlush": False,
            "labelColor": text,
            "titleColor": text,
            "gridColor": line,
            "domainColor": line,
            "tickColor": line,
            "titleFontWeight": 500,
        },
        "legend": {"labelColor": text, "titleColor": text, "orient": "top", "titleFontWeight": 500},
        "title": {"color": text},
        "text": {"color": text},
        "rule": {"color": text},
        "style": {"on-strong": {"color": "#10161c" if dark else "#ffffff"}},  # color, not fill: the text's own colour wins over that
        "bar": {"color": series[0]},
        "range": {
            "category": series,
            "heatmap": ramp,
            "ramp": ramp,
        },
    }


def charts_of(run: RunContents, control: Sequence[Mapping[str, Any]], key: str) -> dict[str, list[Chart]]:
    """Section of the page -> its charts.

    Args:
        control: records of `control.json`.
        key: start of the charts' names, different for each run.
    """
    finished = [each for each in run.rounds if each.pairs]
    found: dict[str, list[Chart]] = {
        "funnel": [_funnel(each, task, key) for each in run.rounds for task in dict.fromkeys(one.task for one in each.funnels)],
        "groups": [_groups(run, finished, key)] if finished else [],
        "strategy": [
            *(
                _strategy(run, each.strategy, dataset_name(each.round_), f"{key}-strategy-{each.round_}")
                for each in finished
                if each.strategy
            ),
            *(
                _strategy(run, one.strategy, one.name, f"{key}-strategy-beside-{number}", of=one.pairs)
                for number, one in enumerate(run.beside)
            ),
        ],
        "histograms": _histograms(finished, key),
        "training": [_training(run.students, key)] if any(each.curve for each in run.students) else [],
        "control": [_control(record, number, key) for number, record in enumerate(control)],
        "time": [_time(run.rounds, key)] if run.rounds else [],
    }
    return found


def _chart(rows: Rows) -> Any:
    return alt.Chart(alt.InlineData(values=rows))


def _made(name: str, title: str, caption: str, chart: Any, height: int) -> Chart:
    spec = chart.properties(width="container", height=height).to_dict()
    for needless in ("config", "$schema"):
        spec.pop(needless, None)
    return Chart(name, title, caption, spec)


def _axis(field: str, title: str, **more: Any) -> dict[str, Any]:
    return {"shorthand": f"{field}:Q", "title": title, **more}


def _funnel(each: RoundContents, task: str, key: str) -> Chart:
    funnels = [one for one in each.funnels if one.task == task]
    rows = [{"step": step, "left": left, "process": one.process, "label": f"{left:,}"} for one in funnels for step, left in one.steps]
    order = [step for step, _ in funnels[0].steps]
    ticks = [0, *(10**power for power in range(1, 16) if 10**power <= max(1, *(one.generated for one in funnels)))]
    base = _chart(rows).encode(
        y=alt.Y("step:N", sort=order, title=None),
        yOffset=alt.YOffset("process:N"),
        x=alt.X(
            **_axis(
                "left",
                "candidates left (log scale)",
                scale=alt.Scale(type="symlog"),
                axis=alt.Axis(values=ticks, labelExpr="datum.value < 1000 ? datum.value : format(datum.value / 1000, ',') + 'k'"),
            )
        ),
    )
    bars = base.mark_bar().encode(color=alt.Color("process:N", title=None), tooltip=["process:N", "step:N", "left:Q"])
    labels = base.mark_text(align="left", dx=4).encode(text="label:N")
    return _made(
        f"{key}-funnel-{each.round_}-{task}",
        f"{round_title(each.round_)}: {task}",
        "What is left after each filter, in the order in which they are applied.",
        bars + labels,
        34 * len(order) * max(1, len(funnels)) // (1 if len(funnels) < 2 else 2) + 20,
    )


def _groups(run: RunContents, rounds: Sequence[RoundContents], key: str) -> Chart:
    datasets = [*((dataset_name(each.round_), each.groups) for each in rounds), *((one.name, one.groups) for one in run.beside)]
    names = [*run.groups, *([NO_GROUP] if run.beside else [])]
    rows = [
        {"group": group, "dataset": name, "pairs": groups.get(group, 0), "share": groups.get(group, 0) / sum(groups.values())}
        for name, groups in datasets
        for group in names
    ]
    sampled = [
        f"{one.name}: of a sample of {one.strategy.pairs:,} of {one.pairs:,} pairs." for one in run.beside if one.strategy.pairs < one.pairs
    ]
    chart = (
        _chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("group:N", sort=names, title=None, axis=alt.Axis(labelLimit=140)),
            yOffset=alt.YOffset("dataset:N", sort=[name for name, _ in datasets]),
            x=alt.X(**_axis("share", "share of the dataset", axis=alt.Axis(format="%", tickCount=5))),
            color=alt.Color(
                "dataset:N",
                title=None,
                sort=[name for name, _ in datasets],
                legend=alt.Legend(columns=1 if run.beside else 0, labelLimit=260),
            ),
            tooltip=["dataset:N", "group:N", "pairs:Q", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return _made(
        f"{key}-groups",
        "Group balance",
        " ".join(["Share of each control group in the dataset.", *sampled]),
        chart,
        max(40, 14 * len(datasets)) * len(names) + 20,
    )


def _strategy(run: RunContents, found: StrategyMap, title: str, name: str, of: int | None = None) -> Chart:
    rows = [
        {
            "x1": found.compression_edges[i],
            "x2": found.compression_edges[i + 1],
            "y1": found.rouge_l_edges[j],
            "y2": found.rouge_l_edges[j + 1],
            "pairs": count,
        }
        for i, column in enumerate(found.counts)
        for j, count in enumerate(column)
        if count
    ]
    most = max(map(max, found.counts))
    whole: dict[str, Any] = {"values": list(range(1, most + 1))} if most <= 5 else {}  # of few pairs there are no halves
    horizontal = alt.X(
        "x1:Q", title="compression: words of y / words of x", scale=alt.Scale(domain=[0, found.compression_edges[-1]], nice=False)
    )
    cells = (
        _chart(rows)
        .mark_rect()
        .encode(
            x=horizontal,
            x2="x2:Q",
            y=alt.Y("y1:Q", title="ROUGE-L of y and x", scale=alt.Scale(domain=[0, 1])),
            y2="y2:Q",
            color=alt.Color("pairs:Q", scale=alt.Scale(type="symlog"), legend=alt.Legend(title="pairs", format="d", **whole)),
            tooltip=["x1:Q", "y1:Q", "pairs:Q"],
        )
    )
    layers = [cells]
    for measure, channel in (("compression", "x"), ("similarity", "y")):
        lines = [{"at": bound} for bound in run.borders[measure] if bound < (1.5 if channel == "x" else 1)]
        if lines:
            layers.append(_chart(lines).mark_rule(strokeDash=[4, 3], opacity=0.6).encode(**{channel: "at:Q"}))
    outside = f" {found.outside:,} pairs with longer outputs are not shown." if found.outside else ""
    pairs = f"{found.pairs:,} pairs" if of is None or of == found.pairs else f"A sample of {found.pairs:,} of {of:,} pairs"
    return _made(
        name,
        f"Strategies of {title}",
        f"{pairs}; spread {found.spread:.2f} bits. Dashed: where groups meet (by ROUGE-L or Density).{outside}",
        alt.layer(*layers),
        280,
    )


def _histograms(rounds: Sequence[RoundContents], key: str) -> list[Chart]:
    measures = dict.fromkeys(found.measure for each in rounds for found in each.histograms)
    return [_histogram(measure, rounds, key, number) for number, measure in enumerate(measures)]


def _histogram(measure: str, rounds: Sequence[RoundContents], key: str, number: int) -> Chart:
    rows, sampled = [], []
    for each in rounds:
        for found in each.histograms:
            if found.measure == measure:
                rows += _steps(found, dataset_name(each.round_))
                if found.sample is not None:
                    sampled.append(f"{dataset_name(each.round_)}: of a sample of {found.sample:,} pairs.")
    chart = (
        _chart(rows)
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X(**_axis("from", measure, axis=alt.Axis(tickCount=5), scale=alt.Scale(nice=False))),
            y=alt.Y(**_axis("share", "share of pairs", axis=alt.Axis(format="%", tickCount=4))),
            color=alt.Color("round:N", title=None),
            tooltip=["round:N", alt.Tooltip("from:Q", format=".3"), alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return _made(f"{key}-histogram-{number}", measure, " ".join(sampled), chart, 150)


def _steps(found: Histogram, name: str) -> Rows:
    shares = [*found.shares, found.shares[-1]]
    return [{"round": name, "from": round(edge, 4), "share": share} for edge, share in zip(found.edges, shares, strict=True)]


def _training(students: Sequence[StudentContents], key: str) -> Chart:
    rows = [
        {"step": point["step"], "loss": point[loss], "curve": f"{student_name(each.round_)}, {title}"}
        for each in students
        for point in each.curve
        for loss, title in (("train_loss", "training"), ("validation_loss", "held out"))
        if point[loss] is not None
    ]
    chart = (
        _chart(rows)
        .mark_line(point=True)
        .encode(
            x=alt.X(**_axis("step", "step", axis=alt.Axis(tickMinStep=1, tickCount=8))),
            y=alt.Y(**_axis("loss", "loss per token of y (nats)", scale=alt.Scale(zero=False))),
            color=alt.Color("curve:N", title=None, legend=alt.Legend(columns=2)),
            tooltip=["curve:N", "step:Q", alt.Tooltip("loss:Q", format=".3f")],
        )
    )
    return _made(f"{key}-training", "Training curves", "Natural logarithm.", chart, 240)


def _control(record: Mapping[str, Any], number: int, key: str) -> Chart:
    rows = [
        {"asked": asked["group"], "got": got, "share": count / record["sources"], "label": f"{100 * count / record['sources']:.0f}"}
        for asked in record["groups"]
        for got, count in asked["got"].items()
    ]
    order = list(record["groups"][0]["got"])
    base = _chart(rows).encode(
        x=alt.X("got:N", sort=order, title="got", axis=alt.Axis(labelAngle=-40)), y=alt.Y("asked:N", sort=order, title="asked for")
    )
    cells = base.mark_rect().encode(
        color=alt.Color("share:Q", legend=None, scale=alt.Scale(domain=[0, 1])), tooltip=["asked:N", "got:N", "label:N"]
    )
    # the ramp runs towards the text's own colour in either scheme, so text on strong cells has a style of its own
    plain = base.transform_filter("datum.share <= 0.5").mark_text().encode(text="label:N")
    strong = base.transform_filter("datum.share > 0.5").mark_text(style="on-strong").encode(text="label:N")
    accuracy = record["accuracy"]["value"]
    return _made(
        f"{key}-control-{number}",
        f"{record['system']} on {record['benchmark']}",
        f"Per cent of {record['sources']:,} outputs; {accuracy:.1f}% lie in the group asked for.",
        cells + plain + strong,
        46 * len(record["groups"]),
    )


def _time(rounds: Sequence[RoundContents], key: str) -> Chart:
    rows = [
        {"stage": stage, "seconds": seconds, "round": dataset_name(each.round_)}
        for each in rounds
        for stage, seconds in each.cost.seconds.items()
    ]
    stages = list(dict.fromkeys(stage for each in rounds for stage in each.cost.seconds))
    chart = (
        _chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("stage:N", sort=stages, title=None),
            yOffset=alt.YOffset("round:N"),
            x=alt.X(**_axis("seconds", "seconds of computing, all workers", axis=alt.Axis(tickCount=5))),
            color=alt.Color("round:N", title=None),
            tooltip=["round:N", "stage:N", alt.Tooltip("seconds:Q", format=",.1f")],
        )
    )
    return _made(f"{key}-time", "Where the time went", "Training is listed with the students.", chart, 36 * max(1, len(stages)) + 20)


def round_title(round_: int) -> str:
    """e.g. "From the teachers"."""
    return "From the teachers" if round_ == 0 else f"Self-distillation, round {round_}"


def dataset_name(round_: int) -> str:
    """e.g. "D0"."""
    return f"D{round_}"


def student_name(round_: int) -> str:
    """The student trained on D0 is M1."""
    return f"M{round_ + 1}"
