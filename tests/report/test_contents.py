"""What a report says of a run adds up to what the run holds."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest

from impdistill.evaluate import benchmark_of
from impdistill.report import contents_of
from impdistill.report.charts import charts_of
from impdistill.report.contents import RunContents
from impdistill.report.cost import PROJECTED_PAIRS, cost_of
from impdistill.report.flagged import flagged_csv
from impdistill.report.provenance import licence_of
from impdistill.report.quality import quality_of
from impdistill.report.reading import EXTREMES, PER_GROUP, PER_REASON
from impdistill.report.refusals import refusals_of
from impdistill.run import BlockResult, Lineage, run_blocks
from impdistill.stages.sequential import SCHEMA as SEQUENTIAL
from tests.report.made_runs import REFUSED, made_run

NOUNS = ("harbour", "council", "orchard", "railway", "library", "factory", "museum", "school", "hospital", "theatre")
PAIRS = [
    (
        f"The {noun} in the north opened {number} new rooms on Monday, and the mayor thanked all who had worked on them.",
        f"The {noun} opened {number} new rooms on Monday." if number % 2 else f"{number} rooms were added at the {noun}.",
    )
    for number in range(2, 8)
    for noun in NOUNS
]
DROPS = [("The bridge was closed.", "The bridge was opened.")] * 5


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> RunContents:
    run = made_run(tmp_path_factory.mktemp("made") / "run", PAIRS, drops=DROPS)
    benchmark = benchmark_of("leaked", "here", [(PAIRS[0][0], [PAIRS[0][1]]), ("Nothing of it is there.", ["Nothing."])])
    return contents_of(run, [benchmark])


def test_every_candidate_is_accounted_for(contents: RunContents) -> None:
    assert [each.round_ for each in contents.rounds] == [0, 1]
    for each in contents.rounds:
        for funnel in each.funnels:
            assert funnel.generated == funnel.kept + sum(funnel.dropped.values())
            assert funnel.steps[0] == ("generated", funnel.generated)
            assert funnel.steps[-1][1] == funnel.kept
            left = [number for _, number in funnel.steps]
            assert left == sorted(left, reverse=True)
        assert sum(funnel.kept for funnel in each.funnels) == len(PAIRS)


def test_funnels_and_steps_follow_the_recipe(contents: RunContents) -> None:
    assert [funnel.task for funnel in contents.rounds[0].funnels] == ["summary", "paraphrase"]
    assert [step for step, _ in contents.rounds[0].funnels[0].steps] == ["generated", "well-formed", "length", "entailment", "diversity"]


def test_a_round_that_says_the_same_adds_nothing(contents: RunContents) -> None:
    first, second = contents.by_round
    assert first.new_pairs == first.pairs == second.pairs == contents.rounds[0].pairs
    assert (second.new_pairs, second.new_sources) == (0, 0)
    assert first.diversity is not None and second.diversity is not None
    assert first.diversity.entropy[1].value == second.diversity.entropy[1].value


def test_datasets_are_whole(contents: RunContents) -> None:
    for each in contents.rounds:
        assert each.pairs == sum(each.groups.values()) == sum(each.splits.values()) > 0
        assert set(each.splits) == {"train", "validation"}
        assert each.strategy is not None
        assert sum(map(sum, each.strategy.counts)) + each.strategy.outside == each.pairs
        for histogram in each.histograms:
            assert sum(histogram.shares) == pytest.approx(1)
            assert len(histogram.edges) == len(histogram.shares) + 1


def test_yields_and_cost_are_per_kept_pair(contents: RunContents) -> None:
    first = contents.rounds[0]
    assert sum(one.kept for one in first.yields) == len(PAIRS)
    assert sum(one.kept_per_context for one in first.yields) == pytest.approx(len(PAIRS) / first.contexts)
    assert first.cost.tokens == 1000
    assert first.cost.tokens_per_pair == pytest.approx(1000 / len(PAIRS))
    assert first.cost.tokens_projected == pytest.approx(1000 / len(PAIRS) * PROJECTED_PAIRS)
    assert first.cost.seconds_per_pair == pytest.approx(sum(first.cost.seconds.values()) / len(PAIRS))


def test_pairs_to_read(contents: RunContents) -> None:
    found = contents.to_read
    assert found is not None
    assert found.round_ == 1
    texts = set(PAIRS)
    for group, pairs in found.groups.items():
        assert len(pairs) == min(PER_GROUP, contents.rounds[1].groups.get(group, 0))
        assert len({(one.x, one.y) for one in pairs}) == len(pairs)
        assert all((one.x, one.y) in texts and one.group == group for one in pairs)
    lowest = [min(value for value in (one.entailment, one.reverse_entailment) if value is not None) for one in found.worst]
    highest = [min(value for value in (one.entailment, one.reverse_entailment) if value is not None) for one in found.best]
    assert len(lowest) == len(highest) == EXTREMES
    assert lowest == sorted(lowest)
    assert highest == sorted(highest, reverse=True)
    assert max(lowest) < min(highest)


def test_drops_are_counted_and_shown(contents: RunContents) -> None:
    reasons = {(task, reason): (count, examples) for task, reason, count, examples in contents.drops[0].reasons}
    count, examples = reasons["summary", "entailment"]
    assert count == len(DROPS)
    shown = [*examples, *reasons["paraphrase", "entailment"][1]]
    assert 0 < len(shown) <= PER_REASON * 2
    assert all((one.x, one.y) == DROPS[0] for one in shown)
    assert reasons["summary", "quotes"] == (20, ())


def test_quality_finds_the_leak(contents: RunContents) -> None:
    assert contents.quality is not None
    (leak,) = contents.quality.leaks
    assert (leak.exact, leak.benchmark_texts) == (2, 4)
    assert {one.name for one in contents.quality.diversity} == {"x", "y", "leaked, sources"}


def test_benchmarks_of_one_name_are_both_looked_for(tmp_path: Path) -> None:
    one, other = (benchmark_of("test", f"{folder}/test.jsonl", [(PAIRS[0][0], [text])]) for folder, text in (("a", "x"), ("b", "z")))
    quality = contents_of(made_run(tmp_path / "run", PAIRS, rounds=0), [one, other]).quality
    assert quality is not None
    assert [leak.benchmark for leak in quality.leaks] == ["a/test.jsonl", "b/test.jsonl"]
    assert {found.name for found in quality.diversity} == {"x", "y", "a/test.jsonl, sources", "b/test.jsonl, sources"}


def test_flagged_rows_are_named_by_split() -> None:
    xs = [
        "The hall was full on Monday.",
        "Ann called a friend of hers.",
        "No rain fell in the hills.",
        "It was 5 miles.",
        "Write to a@b.org.",
    ]
    table = pa.table({"x": xs, "y": [*xs[:3], "It was 7 miles.", "Write to her."]})
    found = quality_of(table, [benchmark_of("leaked", "here", [(xs[1], [xs[1]]), ("It was 7  miles.", ["nothing of the kind"])])])
    assert found is not None
    lines = list(csv.DictReader(io.StringIO(flagged_csv(found, {"train": 3, "validation": 2}).decode())))
    assert [tuple(line.values()) for line in lines] == [
        ("validation", "1", "personal", "e-mail address"),
        ("validation", "0", "unsupported", "number"),
        ("train", "1", "leak", "leaked"),
        ("validation", "0", "leak", "leaked"),
    ]


def test_leaks_and_audit_look_beyond_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impdistill.report.quality.SAMPLE", 5)
    table = pa.table({"x": [x for x, _ in PAIRS], "y": [f"{y} Write to a{number}@b.org." for number, (_, y) in enumerate(PAIRS)]})
    found = quality_of(table, [benchmark_of("leaked", "here", [(x, [x]) for x, _ in PAIRS])])
    assert found is not None
    assert (found.pairs, found.of, found.repeated.texts) == (5, len(PAIRS), 5)
    assert found.leaks[0].exact == len(PAIRS) == found.audit.pairs
    assert next(one.rows for one in found.audit.findings if one.category == "e-mail address") == tuple(range(len(PAIRS)))


def test_what_a_critic_said_is_shown(tmp_path: Path, contents: RunContents) -> None:
    found = contents_of(made_run(tmp_path / "run", PAIRS, rounds=0, fluency=0.75))
    (histogram,) = [one for one in found.rounds[0].histograms if one.measure.startswith("P(fluent)")]
    assert histogram.shares[30] == 1
    assert found.to_read is not None and {one.fluency for one in found.to_read.best} == {0.75}
    assert not any(one.measure.startswith("P(fluent)") for one in contents.rounds[0].histograms)


def test_refusals_before_the_filters(contents: RunContents) -> None:
    contexts, pools = contents.rounds[0].refusals
    assert (contexts.stage, contexts.accepted, contexts.reasons) == ("contexts", 10, (("link", 4, ()),))
    assert (pools.stage, pools.accepted, pools.reasons) == ("parallel", 1, (("quotes", 2, (REFUSED,)), ("too-long", 1, ())))
    assert [one.stage for one in contents.rounds[1].refusals] == ["contexts", "sources"]


def test_refused_sources_of_sequential_pairs(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", PAIRS, rounds=0)
    rows = pa.table([[0, 1], ["too bad", "It rained."], ["start", None], [[], []], [[], []], [[], []], [[], []]], schema=SEQUENTIAL)
    with run.directory.lock():
        store = run.directory.stage(Lineage("sequential.0.news", 1), 1)
        run_blocks(
            store, lambda: lambda block: BlockResult({"sequential": rows}, {"sources": 1, "refused/start": 1, "tokens": 5}), made_with={}
        )
    found = next(one for one in refusals_of(run, 0) if one.stage == "sequential")
    assert (found.accepted, found.reasons) == (1, (("start", 1, ("too bad",)),))


def test_a_dataset_beside(contents: RunContents, tmp_path: Path) -> None:
    other = benchmark_of(
        "other", "here", [("A cat sat on the old mat of the house.", ["A cat sat.", "A cat sat on the old mat of the house."])] * 20
    )
    found = contents_of(made_run(tmp_path / "run", PAIRS, rounds=0), beside=[other])
    (beside,) = found.beside
    assert beside.pairs == 40 and sum(beside.groups.values()) == 40 and beside.groups["no group"] == 20  # those that copy
    assert sum(map(sum, beside.strategy.counts)) == 40
    assert found.quality is not None
    small = {one.name: one.small for one in found.quality.diversity}
    assert small == {"x": False, "y": False, "other, x": True, "other, y": True}
    tokens = {one.name: one.tokens for one in found.quality.diversity}
    assert abs(tokens["x"] - tokens["y"]) < 30 < tokens["y"] - tokens["other, y"]  # equal but for the last text
    charts = charts_of(found, [], "a")
    assert [chart.title for chart in charts["strategy"]] == ["Strategies of D0", "Strategies of other"]
    assert len({chart.name for chart in charts["strategy"]}) == 2
    spec = charts["groups"][0].spec
    shares = spec["datasets"][spec["data"]["name"]]
    assert {row["dataset"] for row in shares} == {"D0", "other"}
    assert [row["share"] for row in shares if row["group"] == "no group"] == [0, 0.5]
    assert contents.beside == ()


def test_charts_of_samples_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impdistill.report.contents.WORDS_SAMPLE", 7)
    monkeypatch.setattr("impdistill.report.contents.BESIDE_SAMPLE", 5)
    other = benchmark_of("other", "here", [("A cat sat on the old mat of the house.", ["A cat sat."])] * 20)
    charts = charts_of(contents_of(made_run(tmp_path / "run", PAIRS, rounds=0), beside=[other]), [], "a")
    captions = {chart.title: chart.caption for section in charts.values() for chart in section}
    assert captions["words of x"] == "D0: of a sample of 7 pairs."
    assert captions["compression"] == ""
    assert captions["Strategies of other"].startswith("A sample of 5 of 20 pairs; spread 0.00 bits")
    assert captions["Group balance"].endswith("other: of a sample of 5 of 20 pairs.")
    assert not captions["Strategies of D0"].startswith("A sample")


def test_tokens_that_an_earlier_version_did_not_count_are_named(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", PAIRS, rounds=0)
    assert cost_of(run, 0, 1).uncounted == ()
    with run.directory.lock():
        store = run.directory.stage(Lineage("sequential.0.news", 1), 1)
        run_blocks(store, lambda: lambda block: BlockResult({}, {"sources": 3}), made_with={})
    assert cost_of(run, 0, 1).uncounted == ("sequential",)


def test_models_and_versions(contents: RunContents) -> None:
    assert [(one.role, one.name, one.licence) for one in contents.models] == [
        ("base", "t5-small", "apache-2.0"),
        ("judge", "a-judge", "see upstream"),
        ("teacher", "gpt2", "mit"),
    ]
    assert contents.versions == {"impdistill": "0.0", "device": "cpu"}
    assert contents.finished


def test_a_local_models_card_names_its_licence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert licence_of(str(tmp_path)) == "see upstream"
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\nA model.\n", encoding="utf-8")
    assert licence_of(str(tmp_path)) == "cc-by-4.0"
