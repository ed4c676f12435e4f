"""Which NLI sources may stand behind released weights, and how much of each is used.

One row a source: its licence as stated by its publisher, whether weights meant for release may be trained on it, and the
share of its lines drawn in one epoch (of a source that does not permit release: only in training for own use). A source that is
absent from the table is an error, not a silent default.

Rule: a licence that permits commercial use and redistribution of adaptations (CC BY, CC BY-SA, Apache-2.0, MIT, public
domain, OANC) permits release. NonCommercial, "research only" and unstated licences do not, however useful the source is.
"""

from dataclasses import dataclass

from recipe.judge.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Source:
    """One NLI source. ``share`` is the fraction of its training lines drawn in an epoch, 0 to 1; 0 keeps it out."""

    licence: str
    release: bool
    share: float
    reason: str


_TEMPLATED = "templated or noisy: a little of it"
_EVALUATION = "held out for evaluation"
_UNSTATED = "no licence stated by its publisher"

SOURCES: dict[str, Source] = {
    # Used.
    "snli_devcsv": Source("CC BY-SA 4.0", True, 1.0, "human, three-way"),
    "cad_nli": Source("Apache-2.0", True, 1.0, "human minimal edits: what the judge must notice"),
    "semi_auto_nli_base_wiki": Source("CC BY-SA 3.0", True, 1.0, "human, Wikipedia premises"),
    "semi_auto_nli_sim_wiki": Source("CC BY-SA 3.0", True, 0.5, "retrieved pairs, human labels, noisy"),
    "semi_auto_nli_translate_wiki": Source("CC BY-SA 3.0", True, 1.0, "translated near-paraphrases, human labels"),
    "taxinli_mnli_train": Source("MIT (MNLI: OANC)", True, 1.0, "human, many genres"),
    "fever_symmetric": Source("CC BY-SA 3.0", True, 1.0, "licence stated in the publisher's DATA_LICENSE"),
    "scitail": Source("Apache-2.0", True, 1.0, "two-way, science"),
    "qnli": Source("CC BY-SA 4.0", True, 0.5, "two-way; hypotheses are questions"),
    "med": Source("CC BY-SA 4.0", True, 1.0, "monotonicity: hypernyms up and down"),
    "joci": Source("CC BY", True, 0.5, "ordinal plausibility mapped to three ways"),
    "conjnli": Source("MIT", True, 1.0, "human, conjunctions"),
    "commitment_bank": Source("CC BY-SA", True, 1.0, "embedded clauses"),
    "fracas": Source("free", True, 1.0, "hand-made logic"),
    "wanli_sample": Source("CC BY 4.0", True, 1.0, "human-revised"),
    "mpe": Source("CC BY-SA", True, 0.25, "four captions as one premise: " + _TEMPLATED),
    "conjnli_adv15k": Source("MIT", True, 0.1, _TEMPLATED),
    "help_and_or": Source("CC BY-SA 4.0", True, 0.15, _TEMPLATED),
    # Held out.
    "mnli_dev_both": Source("OANC", True, 0.0, _EVALUATION + "; four fifths of its premises join the final stage"),
    "snli": Source("CC BY-SA 4.0", True, 0.0, _EVALUATION),
    "fool_me_twice": Source("Apache-2.0", True, 0.0, _EVALUATION),
    "breaking_nli": Source("CC BY-SA", True, 0.0, _EVALUATION),
    "negation_nli": Source("MIT", True, 0.0, "its premises are edits of held-out ones (and of RTE)"),
    # Not for release.
    "semi_auto_nli_base_news": Source("LDC premises", False, 1.0, "premises under the LDC user agreement"),
    "semi_auto_nli_sim_news": Source("LDC premises", False, 0.5, "premises under the LDC user agreement"),
    "sick": Source("CC BY-NC-SA 3.0", False, 1.0, "non-commercial"),
    "anli": Source("CC BY-NC 4.0", False, 1.0, "non-commercial"),
    "imppres": Source("CC BY-NC 4.0", False, 0.0, "non-commercial"),
    "rte": Source("research", False, 1.0, "research only"),
    "add_one_rte": Source("research", False, 0.0, "research only"),
    "ling_in_loop": Source("unstated", False, 1.0, _UNSTATED + "; only its premises (MNLI) are open"),
    "monli": Source("unstated", False, 0.0, _UNSTATED),
    "nope": Source("unstated", False, 0.0, _UNSTATED),
    "healthver_bio": Source("unstated", False, 0.0, _UNSTATED),
    "nli4ct_bio": Source("unstated", False, 0.0, _UNSTATED),
    "control_longpremise": Source("unstated", False, 0.0, _UNSTATED),
}

#: Families whose licence is mixed or unstated for every member.
_CLOSED_FAMILIES = {"dnc_": Source("mixed/unstated", False, 0.0, _UNSTATED)}


def source(name: str) -> Source:
    """Return the row of a source.

    Raises:
        RecipeError: the source is not in the table.
    """
    if name in SOURCES:
        return SOURCES[name]
    for prefix, row in _CLOSED_FAMILIES.items():
        if name.startswith(prefix):
            return row
    raise RecipeError(f"licences.SOURCES has no row for source {name!r}: read its licence and add one")
