"""The funnel of a run as text: how many candidates each filter dropped, exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table

from impdistill.run import PlannedStage, StageProgress


def short_counts(counts: Mapping[str, int]) -> str:
    """One line out of a stage's counts: what was kept, what was dropped or refused, most frequent reasons first."""
    kept: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for key, number in counts.items():
        parts = key.split("/")
        if parts[-1] == "kept":
            kept[parts[0]] += number
        elif "dropped" in parts or "refused" in parts:
            lost[parts[-1]] += number
        elif len(parts) == 1:
            kept[key] += number
    words = [f"{name} {number:,}" for name, number in kept.items()]
    words += [f"-{name} {number:,}" for name, number in lost.most_common(3)]
    return "  ".join(words)


def funnel_table(title: str, counts: Mapping[str, int], contexts: int) -> Table:
    """The funnel of filter stages: a column a task and process, a row a reason. Every column sums: generated = kept + dropped.

    Args:
        counts: keys `task/process/generated`, `task/process/kept` and `task/process/dropped/reason`.
        contexts: how many there were, for the yield of each.
    """
    reasons: Counter[str] = Counter()
    funnels: dict[tuple[str, str], Counter[str]] = {}
    for key, number in counts.items():
        parts = key.split("/")
        if len(parts) < 3 or parts[2] not in ("generated", "kept", "dropped"):
            continue
        funnels.setdefault((parts[0], parts[1]), Counter())["/".join(parts[2:])] += number
        if parts[2] == "dropped":
            reasons[parts[3]] += number
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column("")
    for task, process in funnels:
        table.add_column(f"{task}\n{process}", justify="right", overflow="fold")
    table.add_row("generated", *(f"{funnel['generated']:,}" for funnel in funnels.values()))
    for reason, _ in reasons.most_common():
        table.add_row(f"-{reason}", *(f"{funnel[f'dropped/{reason}']:,}" for funnel in funnels.values()))
    table.add_row("kept", *(f"{funnel['kept']:,}" for funnel in funnels.values()), style="bold")
    table.add_row("per context", *(f"{funnel['kept'] / contexts:.2f}" if contexts else "-" for funnel in funnels.values()))
    return table


def questions_line(counts: Mapping[str, int]) -> str:
    """What the judge was asked of all ordered pairs of sentences, and why it was spared the others.

    Args:
        counts: keys `questions/all`, `questions/asked/filter`, `questions/recorded` and `questions/spared/reason`; all = the others' sum.
    """
    every = counts.get("questions/all", 0)
    asked = _by_reason(counts, "questions/asked/")
    spared = _by_reason(counts, "questions/spared/")
    if recorded := counts.get("questions/recorded", 0):
        spared.insert(0, ("answered before", recorded))
    number = sum(count for _, count in asked)
    share = f" ({number / every:.1%})" if every else ""
    lists = [", ".join(f"{name} {count:,}" for name, count in found) or "none" for found in (asked, spared)]
    return f"Judge: asked {number:,} of {every:,} questions{share}: {lists[0]}; spared: {lists[1]}"


def sentences_line(counts: Mapping[str, int]) -> str | None:
    """How many sentences the critic read; None where no filter asks it.

    Args:
        counts: keys `sentences/all`, `sentences/read`, `sentences/recorded` and `sentences/spared`; all = the others' sum.
    """
    every = counts.get("sentences/all", 0)
    if not every:
        return None
    read, recorded, spared = (counts.get(f"sentences/{fate}", 0) for fate in ("read", "recorded", "spared"))
    share = f" ({read / every:.1%})"
    return f"Critic: read {read:,} of {every:,} sentences{share}; spared: read before {recorded:,}, in no pair by then {spared:,}"


def _by_reason(counts: Mapping[str, int], start: str) -> list[tuple[str, int]]:
    found = [(key.removeprefix(start), number) for key, number in counts.items() if key.startswith(start) and number]
    return sorted(found, key=lambda each: -each[1])


def progress_table(stages: Sequence[StageProgress]) -> Table:
    """How far each stage is."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("stage")
    table.add_column("blocks", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("counts")
    for stage in stages:
        done = stage.done_blocks >= stage.total_blocks
        style = "green" if done else "yellow" if stage.done_blocks else "dim"
        table.add_row(
            f"[{style}]{stage.stage}[/{style}]",
            f"{stage.done_blocks}/{stage.total_blocks}",
            f"{stage.seconds:.1f}",
            short_counts(stage.counts),
        )
    return table


def plan_table(stages: Sequence[PlannedStage]) -> Table:
    """What would run, and why."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("stage", "state", "blocks", "why"):
        table.add_column(name, justify="right" if name == "blocks" else "left")
    styles = {"done": "green", "partial": "yellow", "to do": "cyan"}
    for stage in stages:
        style = styles[stage.state]
        table.add_row(stage.name, f"[{style}]{stage.state}[/{style}]", f"{stage.done_blocks}/{stage.total_blocks}", stage.why)
    return table
