"""Filters: which candidate pairs are good pairs of a task, one file a filter, and the funnel that runs a task's chain.

They read scores of sentences, ask the judge where an answer can matter, and know nothing of files, decoding or groups.
"""

from impdistill.filters.abstractiveness import Abstractiveness
from impdistill.filters.candidates import PROCESSES, Candidates
from impdistill.filters.custom import PairRule
from impdistill.filters.diversity import Diversity
from impdistill.filters.echo import Echo
from impdistill.filters.entailment import Entailment
from impdistill.filters.fluency import Fluency
from impdistill.filters.funnel import ContextOutcome, Decision, EntailmentJudge, Filter, FluencyCritic, TaskOutcome, Unread, run_block
from impdistill.filters.length import Length
from impdistill.filters.mentions import Mentions, Mood
from impdistill.filters.numbers import Numbers
from impdistill.filters.scores import Judged, Pairs, Scores
from impdistill.filters.screen import Cutoff, Scorer, Screen, choose_cutoff, with_screen
from impdistill.filters.standalone import Standalone

__all__ = [
    "PROCESSES",
    "Abstractiveness",
    "Candidates",
    "ContextOutcome",
    "Cutoff",
    "Decision",
    "Diversity",
    "Echo",
    "Entailment",
    "EntailmentJudge",
    "Filter",
    "Fluency",
    "FluencyCritic",
    "Judged",
    "Length",
    "Mentions",
    "Mood",
    "Numbers",
    "PairRule",
    "Pairs",
    "Scorer",
    "Scores",
    "Screen",
    "Standalone",
    "TaskOutcome",
    "Unread",
    "choose_cutoff",
    "run_block",
    "with_screen",
]
