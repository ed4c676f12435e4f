"""Measuring systems and datasets: metrics with intervals, benchmarks, baselines, controllability, dataset quality.

Knows nothing of recipes and runs: it reads texts and files, and models are passed in. What needs torch or a judge is imported
from its own module: `metrics.bertscore`, `metrics.bert_ibleu`, `metrics.entailment`, `prompting`.
"""

from impdistill.evaluate.answers import Answers, answers_of
from impdistill.evaluate.auditing import Audit, audit
from impdistill.evaluate.benchmarks import Benchmark, benchmark_of, read_benchmark, read_parallel
from impdistill.evaluate.bootstrap import Comparison, Estimate, compare, estimate
from impdistill.evaluate.controllability import Control, control_tables, measure_control
from impdistill.evaluate.dataset import group_counts, lexical_diversity, process_yields, strategy_map
from impdistill.evaluate.duplicates import leakage, near_duplicates
from impdistill.evaluate.evaluation import Evaluation, Score, compare_systems, evaluate
from impdistill.evaluate.fields import Fields
from impdistill.evaluate.metrics.agreement import agreement, krippendorff_alpha
from impdistill.evaluate.metrics.standard import standard_metrics
from impdistill.evaluate.pair_shape import PairShapes, pair_shapes
from impdistill.evaluate.results import as_json, as_tables, write_results
from impdistill.evaluate.statistic import Metric, Statistic, mean_of
from impdistill.evaluate.systems import Rewriter, Rewriting, System, baseline

__all__ = [
    "Answers", "Audit", "Benchmark", "Comparison", "Control", "Estimate", "Evaluation", "Fields", "Metric", "PairShapes",
    "Rewriter", "Rewriting", "Score", "Statistic", "System", "agreement", "answers_of", "as_json", "as_tables",
    "audit", "baseline", "benchmark_of", "compare", "compare_systems", "control_tables", "estimate", "evaluate",
    "group_counts", "krippendorff_alpha", "leakage", "lexical_diversity", "mean_of", "measure_control",
    "near_duplicates", "pair_shapes", "process_yields", "read_benchmark", "read_parallel", "standard_metrics",
    "strategy_map", "write_results",
]  # fmt: skip
