"""What a report says of a run adds up to what the run holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from impdistill.evaluate import benchmark_of
from impdistill.report import contents_of
from impdistill.report.contents import RunContents
from impdistill.report.cost import PROJECTED_PAIRS
from impdistill.report.provenance import licence_of
from impdistill.report.reading import EXTREMES, PER_GROUP, PER_REASON
from tests.report.made_runs import made_run

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
