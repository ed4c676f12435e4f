"""The cards of a dataset and a student: what they are, where they come from, how to load them, what they are not good for.

A card is a function of plain values; nothing in it depends on when or where a run took place, so equal runs give equal cards. The YAML
front matter is what the Hugging Face hub reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from impdistill.models.loading import STARTER
from impdistill.models.student_format import PROMPTS, Kind
from impdistill.run.export import front_matter
from impdistill.run.storage import JSON
from impdistill.text.intervals import shown_interval
from impdistill.train.markdown import bullets, code, document, section, table

PAPER = (
    "[Impossible Distillation: from Low-Quality Model to High-Quality Dataset & Model for Summarization and Paraphrasing]"
    "(https://arxiv.org/abs/2305.16635) (Jung et al. 2023)"
)
TAGS = ["impossible-distillation", "paraphrase", "summarization", "synthetic"]
SEE_UPSTREAM = "see upstream"
METRICS = "Metrics"
"""Heading of the section that measured figures stand in."""

KNOWN_LICENCES: Mapping[str, str] = {
    "gpt2": "mit",
    "gpt2-medium": "mit",
    "gpt2-large": "mit",
    "gpt2-xl": "mit",
    "openai-community/gpt2": "mit",
    "openai-community/gpt2-xl": "mit",
    "microsoft/biogpt": "mit",
    "microsoft/BioGPT-Large": "mit",
    "Salesforce/ctrl": "bsd-3-clause",
    "t5-small": "apache-2.0",
    "t5-base": "apache-2.0",
    "t5-large": "apache-2.0",
    "google-t5/t5-large": "apache-2.0",
    "sentence-transformers/all-MiniLM-L6-v2": "apache-2.0",
}
"""Of models in the packaged recipes, as their authors state them."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model that took part. role: "teacher (news)", "judge", "base of the student". version: commit, or hash of local files."""

    role: str
    name: str
    version: str
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group and how many pairs of it each split holds."""

    name: str
    task: str
    instruction: str
    train: int
    validation: int


@dataclass(frozen=True, slots=True)
class FunnelFacts:
    """What became of the candidates of one process for one task: generated = kept + all dropped."""

    task: str
    process: str
    generated: int
    kept: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """One measured number, e.g. ("TurkCorpus", "student", "SARI", 38.2, 37.1, 39.3, 1).

    Attributes:
        low, high: interval; None where there is none.
        digits: decimals worth printing.
    """

    benchmark: str
    system: str
    measure: str
    value: float
    low: float | None = None
    high: float | None = None
    digits: int = 2


@dataclass(frozen=True, slots=True)
class CardFacts:
    """All that cards say. Empty parts are left out of the card.

    Attributes:
        title: of the run, e.g. the recipe's name.
        round_number: 0 is D0 and M1 (no self-distillation yet).
        impdistill_version: of the program.
        recipe_yaml: the whole recipe.
        models: teachers, judge, embedder, base of the student.
        groups: in the recipe's order.
        funnel: one row a task and process.
        left_out: kept pairs that are not in the dataset: `outside_groups`, and `capped`, those above the most that a group or an output
            may have; None where nobody counted.
        columns: of the dataset, name -> meaning.
        kind: of the student; only the model card needs it.
        training: what the training did, name -> number (steps, best held-out loss, ...).
        metrics: measured on benchmarks.
        examples: (group, x, y) to show.
        supervision: what people wrote that a student was trained on; None: nothing was.
        licence: identifier known to the hub; None where it follows from the models (`see upstream`).
        language: ISO 639-1 code.
    """

    title: str
    round_number: int
    impdistill_version: str
    recipe_yaml: str
    models: Sequence[ModelFacts]
    groups: Sequence[GroupFacts]
    funnel: Sequence[FunnelFacts] = ()
    left_out: Mapping[str, int] | None = None
    columns: Mapping[str, str] | None = None
    kind: Kind | None = None
    training: Mapping[str, int | float | str | None] | None = None
    metrics: Sequence[MetricFacts] = ()
    examples: Sequence[tuple[str, str, str]] = ()
    supervision: str | None = None
    licence: str | None = None
    language: str = "en"

    @property
    def splits(self) -> dict[str, int]:
        """Pairs of each split that has any."""
        sizes = {
            "train": sum(group.train for group in self.groups),
            "validation": sum(group.validation for group in self.groups),
        }
        return {split: pairs for split, pairs in sizes.items() if pairs}


def dataset_card(facts: CardFacts) -> str:
    """README.md of a dataset, front matter included."""
    configuration: JSON = {
        "config_name": "default",
        "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in facts.splits],
    }
    return f"{front_matter({**dataset_metadata(facts), 'configs': [configuration]})}\n{dataset_body(facts)}"


def dataset_metadata(facts: CardFacts) -> dict[str, JSON]:
    """The front matter of a dataset's card, but for the files of its splits."""
    return {
        **_licence(facts),
        "language": [facts.language],
        "pretty_name": f"{facts.title}, round {facts.round_number}",
        "task_categories": ["summarization", "text-generation"],
        "size_categories": [_size_category(sum(facts.splits.values()))],
        "tags": TAGS,
    }


def dataset_body(facts: CardFacts) -> str:
    """The Markdown of a dataset's card."""
    sizes = ", ".join(f"{pairs:,} {split}" for split, pairs in facts.splits.items())
    return document(
        f"# {facts.title}: pairs of round {facts.round_number}",
        f"Sentence pairs (x, y), y a summary or paraphrase of x: {sizes}. Made by impdistill {facts.impdistill_version} after "
        f"{PAPER}: every sentence was written by a language model, and pairs were kept by filters. No person wrote or labelled any.",
        "## Load",
        code("python", 'from datasets import load_dataset\n\npairs = load_dataset("path/to/this/folder")'),
        *section("Columns", table(("column", "meaning"), list((facts.columns or {}).items()))),
        *_groups(facts),
        *_examples(facts),
        *_funnel(facts),
        *_models(facts),
        "## Limitations",
        bullets(
            "The sentences are invented: names, numbers and findings in them are not facts.",
            "That y follows from x was decided by a language inference model, which errs; it is most lenient with vague sentences.",
            "The pairs share the style, the gaps and the prejudices of the teachers.",
            f"One language ({facts.language}), single sentences.",
        ),
        *_recipe(facts),
    )


def model_card(facts: CardFacts) -> str:
    """README.md of a student, front matter included."""
    return f"{front_matter(model_metadata(facts))}\n{model_body(facts)}"


def model_metadata(facts: CardFacts) -> dict[str, JSON]:
    """The front matter of a model's card. `base_model` only where the hub can resolve it."""
    bases = [model.name for model in facts.models if model.role.startswith("base") and _is_hub_name(model.name)]
    metadata: dict[str, JSON] = {**_licence(facts), "language": [facts.language], "library_name": "transformers"}
    if bases:
        metadata["base_model"] = bases
    if facts.kind == "causal":
        metadata["pipeline_tag"] = "text-generation"
    return {**metadata, "tags": [*TAGS, "impdistill"]}


def model_body(facts: CardFacts) -> str:
    """The Markdown of a model's card."""
    written = (
        "pairs that language models wrote and filters kept; no person labelled any" if facts.supervision is None else facts.supervision
    )
    invented = "invented " if facts.supervision is None else ""
    return document(
        f"# {facts.title}" + (f": student of round {facts.round_number}" if facts.supervision is None else ""),
        f"Rewrites a sentence as a summary or paraphrase, in the manner of {_counted(facts.groups)}. Trained by impdistill "
        f"{facts.impdistill_version} after {PAPER}, on {written}.",
        "## Use",
        code("python", _own_use(facts)),
        *([] if facts.kind is None else ["With transformers alone:", code("python", _plain_use(facts, facts.kind))]),
        *_groups(facts),
        *section("Training", table(("", "value"), [(name, _value(value)) for name, value in (facts.training or {}).items()])),
        *section(METRICS, metrics_table(facts.metrics)),
        *_examples(facts),
        *_funnel(facts),
        *_models(facts),
        "## Limitations",
        bullets(
            "It may add to or change what x says; check an output before it is relied upon.",
            f"It was trained on single {invented}sentences; whole texts, dialogue and code are beyond it.",
            "It shares the style, the gaps and the prejudices of the models it comes from.",
            f"One language ({facts.language}).",
        ),
        *_recipe(facts),
    )


def metrics_table(metrics: Sequence[MetricFacts]) -> str:
    """A row a benchmark and system, a column a measure; empty without metrics."""
    measures = list(dict.fromkeys(each.measure for each in metrics))
    found = {(each.benchmark, each.system, each.measure): _measured(each) for each in metrics}
    rows = [
        (benchmark, system, *(found.get((benchmark, system, measure), "-") for measure in measures))
        for benchmark, system in dict.fromkeys((each.benchmark, each.system) for each in metrics)
    ]
    return table(("benchmark", "system", *measures), rows)


def _measured(metric: MetricFacts) -> str:
    return shown_interval(metric.value, metric.low, metric.high, metric.digits)


def _counted(groups: Sequence[GroupFacts]) -> str:
    return f"{len(groups)} groups" if len(groups) != 1 else f"one group, {groups[0].name}"


def _own_use(facts: CardFacts) -> str:
    group = facts.groups[0].name
    return (
        "from impdistill import Student\n\n"
        'student = Student.load("path/to/this/folder")\n'
        f'print(student.rewrite(["The committee met on Tuesday to discuss the new rules."], "{group}"))'
    )


def _plain_use(facts: CardFacts, kind: Kind) -> str:
    """Writes the prompt as the student's own format does."""
    auto = "AutoModelForSeq2SeqLM" if kind == "seq2seq" else "AutoModelForCausalLM"
    instruction = facts.groups[0].instruction
    prompt = PROMPTS[kind].format(instruction=instruction, text="{text}")
    lines = [
        f"from transformers import AutoTokenizer, {auto}",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")',
        f'model = {auto}.from_pretrained("path/to/this/folder")',
        'text = "The committee met on Tuesday to discuss the new rules."',
    ]
    if kind == "seq2seq":
        written = ['prompt = tokenizer(f"' + prompt + '", return_tensors="pt")', "output = model.generate(**prompt)[0]"]
    else:
        start = '(tokenizer.bos_token or "") + f"' + prompt.rstrip().replace("\n", "\\n") + '"'
        written = [
            f'prompt = tokenizer({start}, add_special_tokens=False, return_tensors="pt")',
            "output = model.generate(**prompt)[0, prompt.input_ids.shape[1] :]",
        ]
    return "\n".join([*lines, *written, "print(tokenizer.decode(output, skip_special_tokens=True).strip())"])


def _groups(facts: CardFacts) -> list[str]:
    rows = [(group.name, group.task, f"`{group.instruction}`", f"{group.train:,}", f"{group.validation:,}") for group in facts.groups]
    return section("Groups", table(("group", "task", "instruction", "train pairs", "validation pairs"), rows))


def _examples(facts: CardFacts) -> list[str]:
    return section("Examples", table(("group", "x", "y"), facts.examples))


def _funnel(facts: CardFacts) -> list[str]:
    reasons = list(dict.fromkeys(reason for row in facts.funnel for reason in row.dropped))
    rows = [
        (row.task, row.process, f"{row.generated:,}", *(f"{row.dropped.get(reason, 0):,}" for reason in reasons), f"{row.kept:,}")
        for row in facts.funnel
    ]
    header = ("task", "process", "candidates", *(f"dropped: {reason}" for reason in reasons), "kept")
    found = section("Funnel", table(header, rows))
    if found and facts.left_out is not None:
        kept, outside, capped = sum(row.kept for row in facts.funnel), facts.left_out["outside_groups"], facts.left_out["capped"]
        found.append(
            f"Of {kept:,} kept pairs {outside:,} are in no group, and {capped:,} are above the most that a group or an output may have; "
            f"{kept - outside - capped:,} are in the dataset."
        )
    return found


def _models(facts: CardFacts) -> list[str]:
    rows = [
        (model.role, _shown_name(model.name), f"`{model.version[:12]}`", model.licence or KNOWN_LICENCES.get(model.name, SEE_UPSTREAM))
        for model in facts.models
    ]
    return section("Sources", table(("role", "model", "version", "licence"), rows))


def _recipe(facts: CardFacts) -> list[str]:
    return section("Recipe", code("yaml", facts.recipe_yaml.strip()))


def _licence(facts: CardFacts) -> dict[str, JSON]:
    if facts.licence is not None:
        return {"license": facts.licence}
    return {"license": "other", "license_name": "see-upstream"}


def _is_hub_name(name: str) -> bool:
    return not name.startswith((".", "/", "~", STARTER)) and not Path(name).exists()


def _shown_name(name: str) -> str:
    """Local paths say nothing to others and too much of us: only their last part is shown."""
    return name if _is_hub_name(name) or name.startswith(STARTER) else f"local folder `{Path(name).name}`"


def _size_category(pairs: int) -> str:
    bounds = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
    return next((name for bound, name in bounds if pairs < bound), "10M<n<100M")


def _value(value: float | int | str | None) -> str:
    if value is None:
        return "none"
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
