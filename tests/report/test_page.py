"""The page: complete, self-contained, and safe whatever the models wrote."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from impdistill.errors import BenchmarkError, DependencyError, RunError
from impdistill.evaluate import benchmark_of, evaluate, measure_control, write_results
from impdistill.evaluate.metrics.compression import compression
from impdistill.evaluate.metrics.fragments import fragments
from impdistill.evaluate.results import write_control
from impdistill.evaluate.systems import Copy
from impdistill.outcome import Run
from impdistill.report import write_report
from impdistill.run import RunDirectory
from impdistill.tasks import tasks_of
from impdistill.text.numbers import numbers
from tests.report.made_runs import REFUSED, made_run, small_recipe
from tests.report.test_contents import PAIRS

ATTACK = (
    "<script>document.title='taken'</script> was found in the old harbour building on Monday by two workers who were cleaning it.",
    "</script><img src=x onerror=alert(1)> was found.",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell", "microsoft-edge")
TWINS = [
    (
        f"In the old hall by the river, on a {day} in the spring, the members of the council thanked all those who had come to look.",
        f"The council thanked all of those who had come to see it on {day}.",
    )
    for day in ("Monday", "Tuesday")
]
CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--virtual-time-budget=20000", "--enable-logging=stderr", "--v=0",
]  # fmt: skip
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")

FRAMES = """<!doctype html><body>{frames}<script>
addEventListener("load", () => setTimeout(() => {{
  document.title = JSON.stringify([...document.querySelectorAll("iframe")].map((frame) => {{
    const {{ document: page, innerWidth }} = frame.contentWindow;
    const out = [...page.querySelectorAll("body *")].filter((one) =>
      !one.closest(".wide, pre, svg") && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80));
    return {{ width: innerWidth, scroll: page.documentElement.scrollWidth, charts: page.querySelectorAll(".chart svg").length, out }};
  }}));
}}, 8000));
</script></body>"""


class Shortener:
    def rewrite(self, texts: list[str], group: str) -> list[str]:
        return [" ".join(text.split()[: 4 if group.startswith("short") else 9]) for text in texts]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("made") / "run"
    made = made_run(path, [*PAIRS, ATTACK, *TWINS], drops=[ATTACK] * 3)
    items = [(x, [y]) for x, y in PAIRS[:10]]
    evaluated = evaluate(Copy(), benchmark_of("<b>bench", "here", items), [compression], resamples=20)
    groups = [group for task in tasks_of(small_recipe()) for group in task.groups]
    entailed = {group.name: np.ones(10, bool) for group in groups}
    control = measure_control(Shortener(), groups, [x for x, _ in PAIRS[:10]], entailed=entailed, resamples=20)
    write_results([evaluated], path / "evaluation")
    write_control([("student", "bench", control)], path / "evaluation")
    return made


@pytest.fixture(scope="module")
def page(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report([run], tmp_path_factory.mktemp("report"))


def test_generated_text_shows_as_text(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    for text in ATTACK:
        assert text not in content
        assert content.count(str(html.escape(text, quote=True).replace("&#x27;", "&#39;"))) >= 2  # kept, and dropped
    assert "<b>bench" not in content
    assert len(re.findall(r"<script\b", content.split("<main>")[0])) == 0
    assert len(re.findall(r"<script\b", content)) == 4 + _bundled(content)


def test_only_the_pages_own_scripts_may_run(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', content)
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    (script_policy,) = [part for part in policy.split(";") if part.strip().startswith("script-src")]
    scripts = re.findall(r"<script>(.*?)</script>", content, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert script_policy.split()[1:] == [f"'sha256-{each}'" for each in hashes]


def test_nothing_is_fetched(page: Path) -> None:
    markup = re.sub(r"<script.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', markup) == []
    assert "@import" not in markup and "url(" not in markup


def test_every_chart_has_its_figures(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    charts = re.findall(r'data-chart="([^"]*)"', content)
    (specs,) = re.findall(r'id="specs">(.*?)</script>', content, flags=re.DOTALL)
    assert sorted(charts) == sorted(json.loads(specs)) and len(set(charts)) == len(charts) > 10
    for chart in charts:
        assert (page.parent / "figures" / f"{chart}.svg").read_text(encoding="utf-8").startswith("<svg")
        assert (page.parent / "figures" / f"{chart}.png").read_bytes().startswith(b"\x89PNG")


def test_values_are_kept_as_json(page: Path) -> None:
    (run,) = json.loads((page.parent / "report.json").read_bytes())
    assert run["rounds"][0]["cost"]["kept"] == len(PAIRS) + 1 + len(TWINS)
    assert run["evaluations"][0]["system"] == "copy"
    assert run["control"][0]["sources"] == 10
    share = run["control"][0]["faithful_accuracy"]["value"]
    assert f'<td class="n">{share:.1f}<small>' in page.read_text(encoding="utf-8")


def test_the_page_says_how_many_texts_figures_rest_on(page: Path) -> None:
    (run,) = json.loads((page.parent / "report.json").read_bytes())
    content = page.read_text(encoding="utf-8")
    for one in run["quality"]["diversity"]:
        assert f'<td>{one["name"]}</td><td class="n">{one["texts"]:,}</td><td class="n">{one["tokens"]:,}</td>' in content
    of_round = run["by_round"][0]
    sample = "a sample of " if of_round["diversity"]["texts"] < of_round["pairs"] else ""
    assert f'y that both rest on</td><td class="n">{sample}{of_round["diversity"]["texts"]:,}</td>' in content


def test_flagged_rows_lie_beside_the_page(page: Path, run: Run) -> None:
    assert "<code>flagged.csv</code>" in page.read_text(encoding="utf-8")
    lines = list(csv.DictReader((page.parent / "flagged.csv").read_text(encoding="utf-8").splitlines()))
    assert lines
    splits = {split: [pair for pair in run.pairs() if pair.split == split] for split in ("train", "validation")}
    for line in lines:
        pair = splits[line["split"]][int(line["row"])]
        if line["category"] == "number":
            assert numbers(pair.y) - numbers(pair.x)


def test_results_from_a_folder_without_any(run: Run, tmp_path: Path) -> None:
    assert (run.path / "evaluation" / "results.json").is_file()
    with pytest.raises(BenchmarkError, match=r"typo: neither results\.json nor control\.json"):
        write_report([run], tmp_path / "report", results=[tmp_path / "typo"])
    assert not (tmp_path / "report").exists()


def test_results_on_fewer_items_stand_apart(run: Run, tmp_path: Path) -> None:
    few = benchmark_of("<b>bench", "here", [(x, [y]) for x, y in PAIRS[:4]])
    write_results([evaluate(Copy(), few, [compression, fragments], resamples=20)], tmp_path / "few")
    content = write_report([run], tmp_path / "report", results=[tmp_path / "few"], figures=False).read_text(encoding="utf-8")
    titles = re.findall(r"<h3>&lt;b&gt;bench: (\d+) items</h3>", content)
    assert titles == ["10", "4"]
    tables = content.split("<h3>&lt;b&gt;bench")
    assert "Coverage" not in tables[1] and "Coverage" in tables[2]


def test_intervals_are_shown(page: Path) -> None:
    (found,) = json.loads((page.parent / "report.json").read_bytes())
    content = page.read_text(encoding="utf-8")
    gap, yields = found["control"][0]["gaps"][0], found["rounds"][0]["yields"][0]
    second = found["quality"]["diversity"][0]["entropy"][1]
    for estimate, digits in ((gap["high_value"], 2), (gap["low_value"], 2), (yields["rouge_l"], 1), (second, 2)):
        value, low, high = (f"{estimate[name]:.{digits}f}" for name in ("value", "low", "high"))
        assert f"{value}<small>{low}–{high}</small>" in content


def test_refusals_and_repetition_are_shown_escaped(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    assert REFUSED not in content and html.escape(REFUSED) in content
    repeated = content.partition("Outputs that are nearly the same")[2].partition("</details>")[0]
    assert TWINS[0][1] in repeated and TWINS[1][1] in repeated


def test_two_runs_side_by_side(run: Run, tmp_path: Path) -> None:
    other = made_run(tmp_path / "other", PAIRS[:30], rounds=0)
    content = write_report([run, other], tmp_path / "report", figures=False).read_text(encoding="utf-8")
    assert 'class="runs two"' in content
    assert "self_distillation.rounds: 1 -&gt; 0" in content
    assert str(other.path) in content
    assert not (tmp_path / "report" / "figures").exists()


def test_a_run_that_has_only_begun(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "begun"
    shutil.copytree(run.path, path)
    for stage in ("dataset.0", "dataset.1", "student.0", "student.1", "filter.1.news"):
        shutil.rmtree(path / "stages" / stage)
    content = write_report([Run.open(path)], tmp_path / "report", figures=False).read_text(encoding="utf-8")
    assert "(not finished)" in content
    assert "No dataset is finished yet." in content
    empty = Run(RunDirectory.create(tmp_path / "empty", small_recipe().to_yaml()))
    with pytest.raises(RunError, match="nothing has been filtered yet"):
        write_report([empty], tmp_path / "none")


def test_mistakes(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="3 were given"):
        write_report([run, run, run], tmp_path / "report")
    (tmp_path / "results.json").write_text("[]", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="not what `impdistill evaluate` writes"):
        write_report([run], tmp_path / "report", results=[tmp_path])


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    monkeypatch.delitem(sys.modules, "impdistill.report.charts")
    with pytest.raises(DependencyError, match=re.escape("pip install 'impdistill[report]'")):
        importlib.import_module("impdistill.report.charts")


@needs_browser
def test_a_browser_draws_every_chart_without_complaint(page: Path, tmp_path: Path) -> None:
    shown = browsed(page, tmp_path)
    assert len(re.findall(r'data-chart="[^"]*"[^>]*><svg', shown.stdout)) == len(
        re.findall(r'data-chart="', page.read_text(encoding="utf-8"))
    )
    assert "<title>impdistill: made" in shown.stdout


@needs_browser
def test_nothing_sticks_out_on_a_screen_or_a_phone(page: Path, tmp_path: Path) -> None:
    for folded, content in (
        (True, page.read_text(encoding="utf-8")),
        (False, page.read_text(encoding="utf-8").replace("<details>", "<details open>")),
    ):
        frames = "".join(f'<iframe style="width:{width}px;height:800px" srcdoc="{html.escape(content)}"></iframe>' for width in (1280, 390))
        framed = tmp_path / f"framed-{folded}.html"
        framed.write_text(FRAMES.format(frames=frames), encoding="utf-8")
        (title,) = re.findall(r"<title>(.*?)</title>", browsed(framed, tmp_path / f"profile-{folded}").stdout, flags=re.DOTALL)[:1]
        for found in json.loads(html.unescape(title)):
            assert found["charts"] > 10
            assert (found["scroll"] <= found["width"], found["out"]) == (True, []), found


def browsed(page: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    """The page's elements as a browser without network makes them; what it complains of fails the test."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--window-size=1400,1000", "--dump-dom", f"file://{page}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110)
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line] == []
    return shown


def _bundled(content: str) -> int:
    """How often the word stands inside the charts' library."""
    scripts = re.findall(r"<script>(.*?)</script>", content, flags=re.DOTALL)
    return sum(len(re.findall(r"<script\b", script)) for script in scripts)
