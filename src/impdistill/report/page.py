"""One self-contained HTML page about one run or two, with its figures as files.

What models wrote is untrusted: templates escape everything, and the page's content security policy lets nothing run but the
page's own two scripts, by their hash, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from impdistill import __version__
from impdistill.errors import DependencyError, RunError
from impdistill.evaluate import Benchmark
from impdistill.evaluate.auditing import fit_to_show
from impdistill.evaluate.results import RESULTS_FOLDER
from impdistill.outcome import Run
from impdistill.report.charts import DARK, LIGHT, Chart, charts_of, dataset_name, round_title, student_name, theme
from impdistill.report.contents import RunContents, contents_of
from impdistill.report.flagged import flagged_csv
from impdistill.report.measured import measured_in, result_tables
from impdistill.run import recipe_difference
from impdistill.run.storage import make_directory, write_durably

try:
    import vl_convert
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
except ModuleNotFoundError as absent:
    raise DependencyError("a report needs altair, vl-convert-python and jinja2; run: pip install 'impdistill[report]'") from absent

FIGURE_WIDTH = 640
PNG_SCALE = 2.0
REFUSED = {
    "contexts": "contexts, attempts",
    "parallel": "sentences of pools",
    "sequential": "x of sequential pairs",
    "sources": "x for the student",
    "rewrites": "x not given to the student",
}
ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


def write_report(
    runs: Sequence[Run],
    out: str | Path,
    *,
    results: Sequence[str | Path] = (),
    benchmarks: Sequence[Benchmark] = (),
    beside: Sequence[Benchmark] = (),
    figures: bool = True,
    seed: int = 0,
) -> Path:
    """Write `report.html`, `report.json` (its figures as values), `flagged.csv` (rows to look at; of two runs `flagged-a.csv` and
    `flagged-b.csv`) and `figures/*.svg, *.png`.

    Args:
        runs: one, or two to stand side by side; finished or not.
        results: folders that `impdistill evaluate` wrote, besides each run's own `evaluation/`; shown with the first run.
        benchmarks: to look for in the datasets.
        beside: datasets to compare them with.
        figures: also write every chart as a file.
        seed: of what is drawn at random.

    Returns:
        the page's path.

    Raises:
        RunError: not one or two runs, or nothing of a run is there yet.
        BenchmarkError: a folder of results that cannot be read.
        StorageError: `out` cannot be written.
    """
    if not 1 <= len(runs) <= 2:
        raise RunError(f"a report shows one run, or two side by side; {len(runs)} were given")
    # 1. gather
    measured = [measured_in(run.path / RESULTS_FOLDER, results if number == 0 else ()) for number, run in enumerate(runs)]
    gathered = [contents_of(run, benchmarks, beside, seed=seed) for run in runs]
    for contents in gathered:
        if not contents.rounds:
            raise RunError(f"{contents.path}: nothing has been filtered yet; see `impdistill status {contents.path}`")
    charts = [charts_of(one, found["control"], "ab"[number]) for number, (one, found) in enumerate(zip(gathered, measured, strict=True))]
    page = render(gathered, measured, charts)

    # 2. write
    folder = Path(out)
    make_directory(folder)
    write_durably(folder / "report.json", _json([{**asdict(one), **found} for one, found in zip(gathered, measured, strict=True)]))
    for name, one in zip(flagged_names(gathered), gathered, strict=True):
        if one.quality is not None:
            of = next(each for each in one.rounds if one.to_read is not None and each.round_ == one.to_read.round_)
            write_durably(folder / name, flagged_csv(one.quality, of.splits))
    if figures:
        make_directory(folder / "figures")
        for chart in (chart for of_run in charts for section in of_run.values() for chart in section):
            for suffix, content in pictures(chart).items():
                write_durably(folder / "figures" / f"{chart.name}.{suffix}", content)
    write_durably(folder / "report.html", page.encode("utf-8", errors="replace"))
    return folder / "report.html"


def render(runs: Sequence[RunContents], measured: Sequence[Mapping[str, Any]], charts: Sequence[Mapping[str, Sequence[Chart]]]) -> str:
    """The page. All text in it that did not come with this package is escaped."""
    environment = Environment(
        loader=PackageLoader("impdistill", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=_number, decimals=_decimals, share=_share, duration=_duration, fit_to_show=fit_to_show)
    scripts = [vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"), _own("report.js")]
    specs = {chart.name: chart.spec for of_run in charts for section in of_run.values() for chart in section}
    themes = {scheme: theme(scheme) for scheme in (LIGHT, DARK)}
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts)
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"
    recipes = [yaml.safe_load(one.recipe_yaml) for one in runs]
    return environment.get_template("report.html.j2").render(
        runs=runs,
        measured=measured,
        tables=[result_tables(found["evaluations"]) for found in measured],
        flagged=flagged_names(runs),
        charts=charts,
        specs=specs,
        themes=themes,
        changed=recipe_difference(*recipes) if len(recipes) == 2 else [],
        policy=Markup(policy),
        style=Markup(_own("report.css")),
        scripts=[Markup(script) for script in scripts],
        version=__version__,
        arrows=ARROWS,
        REFUSED=REFUSED,
        round_title=round_title,
        dataset_name=dataset_name,
        student_name=student_name,
    )


def flagged_names(runs: Sequence[RunContents]) -> list[str]:
    """File name of each run's flagged rows."""
    return ["flagged.csv"] if len(runs) == 1 else [f"flagged-{'ab'[number]}.csv" for number in range(len(runs))]


def pictures(chart: Chart) -> dict[str, bytes]:
    """A chart in light colours as `svg` and `png`."""
    spec = {**chart.spec, "width": FIGURE_WIDTH, "config": {**theme(LIGHT), "background": "white"}}
    return {"svg": vl_convert.vegalite_to_svg(spec).encode(), "png": vl_convert.vegalite_to_png(spec, scale=PNG_SCALE)}


def _own(name: str) -> str:
    return files("impdistill.report").joinpath(name).read_text(encoding="utf-8")


def _json(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", errors="replace")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _decimals(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.3g}%"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.3g} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:,.1f} h"
