"""A run's dataset and model as directories that stand on their own, with what was measured of them in their cards; their upload.

Cards take their figures from what `evaluate` and `report` wrote into the run, `RUN/evaluation` and `RUN/report`: nothing is
measured here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from impdistill.errors import BenchmarkError, ModelError, RecipeError
from impdistill.evaluate.results import RESULTS_FOLDER, read_results
from impdistill.models.loading import fingerprint
from impdistill.outcome import Run
from impdistill.recipe import Recipe
from impdistill.run import export_directories, write_durably
from impdistill.train.card import METRICS, MetricFacts, metrics_table
from impdistill.train.markdown import table, with_section

REPORT_FILE = "report/report.json"
CARD = "README.md"
MEASURES = ("ROUGE", "BERTScore", "SARI", "iBLEU", "BERT-iBLEU", "Self-BLEU", "Compression", "Source entails")
"""How the names of the scores that cards show begin."""
BASELINES = ("copy", "lead:", "human")
QUALITY = "Quality"
STUDENT_METRICS = "Metrics of a student trained on it"


def export_run(run: Run, out: Path, round_: int | None = None) -> dict[str, Path]:
    """Copy the dataset to `out/dataset` and the model to `out/model`; returns what was written.

    The cards get the figures of `RUN/evaluation` that were measured on this very model, beside the baselines', and of
    `RUN/report` as far as they are of this dataset.

    Args:
        run: where they come from; its round's dataset and student must be finished.
        out: a new or empty directory.
        round_: 0 is D0 and M1; None the last that is done.

    Raises:
        RunError: not finished.
        BenchmarkError: a file of figures is not what `evaluate` or `report` writes.
        StorageError: `out` exists and is not empty, the disk is full, or it may not be written.
    """
    # 1. what there is, before anything is written
    student = run.student_folder(round_)
    trained_on = run.dataset(int(student.stage.rpartition(".")[2]))  # a later one may be finished, and have no student yet
    parts = {"dataset": trained_on.path, "model": student.path}
    results = read_results([run.path / RESULTS_FOLDER])
    measured = metrics_table(measured_of(results, fingerprint(str(parts["model"])))) if results["evaluations"] else ""
    quality = quality_table(run.path / REPORT_FILE, run.recipe, int(trained_on.stage.rpartition(".")[2]))

    # 2. copies, and their cards
    export_directories(out, parts)
    for name, title, content in (
        ("model", METRICS, measured),
        ("dataset", STUDENT_METRICS, measured),
        ("dataset", QUALITY, quality),
    ):
        if content:
            card = out / name / CARD
            text = with_section(card.read_text(encoding="utf-8"), title, content, before="Limitations")
            write_durably(card, text.encode())
    return {name: out / name for name in parts}


def measured_of(results: Mapping[str, Sequence[Mapping[str, Any]]], version: str) -> list[MetricFacts]:
    """Of `evaluate`'s results, those of the student with this fingerprint, and of the baselines on the same benchmarks.

    Args:
        results: as `read_results` gives them.

    Raises:
        BenchmarkError: a record lacks what `evaluate` writes.
    """
    try:
        ours = [one for one in results["evaluations"] if one.get("version") == version]
        origins = {one["origin"] for one in ours}
        baselines = [one for one in results["evaluations"] if one["origin"] in origins and one["system"].startswith(BASELINES)]
        found = []
        for one in [*ours, *baselines]:
            name = "student, " + one["system"].rpartition(" ")[2] if one in ours else one["system"]
            where = f"{one['benchmark']} ({one['items']:,} items)"
            scores = [score for score in one["scores"] if score["name"].startswith(MEASURES)]
            found += [
                MetricFacts(where, name, score["name"], score["value"], score["low"], score["high"], score["digits"]) for score in scores
            ]
        for record in results["control"]:
            if record.get("version") == version:
                found += _control(record)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BenchmarkError(f"results.json: not what `impdistill evaluate` writes ({error!r}); run it again into that folder") from error
    return found


def _control(record: Mapping[str, Any]) -> list[MetricFacts]:
    where, who, accuracy = f"{record['benchmark']} ({record['sources']:,} items)", "student, all groups", record["accuracy"]
    found = [MetricFacts(where, who, "In the group asked for (%)", accuracy["value"], accuracy["low"], accuracy["high"], 1)]
    if (faithful := record.get("faithful_accuracy")) is not None:
        found.append(MetricFacts(where, who, "Faithful and in the group (%)", faithful["value"], faithful["low"], faithful["high"], 1))
    for gap in record["gaps"]:
        name, difference = f"{gap['measure']}, {gap['high']} less {gap['low']}", gap["difference"]
        digits = 2 if gap["measure"] == "compression" else 1
        found.append(MetricFacts(where, who, name, difference["difference"], difference["low"], difference["high"], digits))
    return found


def quality_table(path: Path, recipe: Recipe, round_: int) -> str:
    """What a report found out about a dataset, as a Markdown table; empty without a report of this recipe and round.

    Args:
        path: of a report.json.

    Raises:
        BenchmarkError: the file is not what `report` writes.
    """
    if not path.is_file():
        return ""
    try:
        for one in json.loads(path.read_bytes()):
            if one["quality"] is not None and _is_of(one["recipe_yaml"], recipe) and one["to_read"]["round_"] == round_:
                return table(("", "value"), _quality_rows(one["quality"]))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BenchmarkError(f"{path}: not what `impdistill report` writes ({error!r}); write it again") from error
    return ""


def _is_of(recipe_yaml: str, recipe: Recipe) -> bool:
    """Whether a recipe that was written down is this one; fields that came with a later version have their defaults."""
    try:
        return Recipe.load(yaml.safe_load(recipe_yaml)) == recipe
    except (RecipeError, yaml.YAMLError):
        return False  # of a version that knew other fields


def _quality_rows(quality: Mapping[str, Any]) -> list[tuple[str, str]]:
    looked_at, of = quality["pairs"], quality["of"]
    rows = [("pairs looked at", f"{looked_at:,}" + (f", drawn at random from {of:,}" if looked_at < of else ""))]
    for one in quality["diversity"]:
        entropies = " / ".join(f"{entropy['value']:.2f}" for entropy in one["entropy"])
        varied = "" if one["msttr"] is None else f"; MSTTR {one['msttr']['value']:.3f}"
        rows.append(
            (f"{one['name']}: entropy of 1-, 2-, 3-grams (bits), {one['tokens']:,} tokens of {one['texts']:,} texts", entropies + varied)
        )
    repeated = quality["repeated"]
    rows.append(("outputs that repeat an earlier one", f"{repeated['repeated']:,}; nearly or wholly {repeated['near_repeated']:,}"))
    rows += [
        (f"texts of {leak['benchmark']} found in it, of {leak['benchmark_texts']:,}", f"{leak['exact']:,}; nearly {leak['near']:,}")
        for leak in quality["leaks"]
    ]
    found = [finding for finding in quality["audit"]["findings"] if finding["pairs"]]
    rows += [(f"pairs with {finding['kind']}: {finding['category']}", f"{finding['pairs']:,}") for finding in found]
    return rows


def push_to_hub(exported: Path, name: str) -> list[str]:
    """Upload an exported directory as the private dataset and model repositories `name`; returns their addresses.

    Raises:
        ModelError: not logged in, no such namespace, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = HfApi()
    addresses = []
    for kind, folder in (("dataset", exported / "dataset"), ("model", exported / "model")):
        try:
            address = api.create_repo(name, repo_type=kind, private=True, exist_ok=True)
            api.upload_folder(repo_id=name, repo_type=kind, folder_path=folder)
        except (HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{name}: the {kind} could not be uploaded ({reason}); log in with `hf auth login`") from error
        addresses.append(str(address))
    return addresses
