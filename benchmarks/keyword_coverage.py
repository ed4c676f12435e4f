"""How many keywords constrained decoding brings into its outputs, beside the same beam search without them.

Contexts of the teacher's own, a sentence x after each, and its keywords, as in a run's sequential generation. Both searches have the same
beams, length penalty and number of outputs; a keyword counts where one of its forms stands in the text. With `--look-ahead` a third
search estimates some tokens ahead. Counts, not times: they do not depend on the machine.

Run: python benchmarks/keyword_coverage.py [--model starter:teacher] [--contexts 200] [--look-ahead 0] [--smoke]
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from impdistill.decode.constraints import Clause, Constraints
from impdistill.decode.neurologic import NeuroLogic, decode_constrained
from impdistill.decode.nucleus import MAX_ROWS, Nucleus
from impdistill.generate.contexts import ContextSettings, sample_contexts
from impdistill.generate.keywords import KeywordExtractor, constraints_of
from impdistill.generate.parallel import sample_pools
from impdistill.generate.prefixes import joined
from impdistill.models.embedder import Embedder
from impdistill.models.teacher import Teacher
from made_up import made_teacher
from result import Row, print_result

BAR = 95.0
"""Percent of the keywords, of the best outputs."""
DOMAINS = ("News", "Reddit", "Biomedical")
BLOCK = 8
OUTPUTS = 10


def sources_of(teacher: Teacher, domain: str, count: int) -> list[tuple[str, str]]:
    """A prompt and a sentence x after it, for as many of `count` contexts as yield one."""
    nucleus = Nucleus(top_p=0.8, max_new_tokens=64)
    rule = f"literal:<|endoftext|>{domain}:"
    settings = ContextSettings(1, 2, attempts=8, nucleus=nucleus)
    found = []
    for first in range(0, count, BLOCK):
        numbers = range(first, min(first + BLOCK, count))
        rows = sample_contexts(teacher, rule, numbers, settings, max_rows=MAX_ROWS, seed=0, stage=f"contexts {domain}")
        contexts = [(row.context, row.prefix, row.text) for row in rows if row.text]
        pools = sample_pools(teacher, contexts, samples=1, nucleus=nucleus, max_rows=MAX_ROWS, seed=0, stage=f"sources {domain}")
        for (_, prefix, context), pool in zip(contexts, pools, strict=True):
            found += [(joined(prefix, context), x) for x, reason in zip(pool.sentences, pool.refusals, strict=True) if reason is None]
    return found


def has(text: str, forms: Sequence[str]) -> bool:
    """Whether one of these forms stands in `text`."""
    return any(re.search(rf"(?<!\w){re.escape(form)}(?!\w)", text) for form in forms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:teacher")
    parser.add_argument("--embedder", default="starter:embedder")
    parser.add_argument("--contexts", type=int, default=200)
    parser.add_argument("--beam-size", type=int, default=20)
    parser.add_argument("--look-ahead", type=int, default=0, help="tokens; 0: no third search")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--smoke", action="store_true", help="made-up model, 3 prompts: keywords come, more than without clauses")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.contexts, arguments.beam_size = 3, 4
    # 1. Prompts, and a clause for each keyword of the sentence that the teacher writes there.
    if arguments.smoke:
        with tempfile.TemporaryDirectory() as work:
            teacher = Teacher.load(made_teacher(Path(work), kind="llama"), device=arguments.device, dtype="float32")
        words = [("council", "budget"), ("mayor", "water"), ("river",)]
        asked = [("The committee", Constraints(tuple(Clause((word,)) for word in each))) for each in words]
    else:
        teacher = Teacher.load(arguments.model, device=arguments.device, dtype=arguments.dtype)
        each = -(-arguments.contexts // len(DOMAINS))
        sources = [source for domain in DOMAINS for source in sources_of(teacher, domain, each)]
        keywords = KeywordExtractor(Embedder.load(arguments.embedder)).keywords([x for _, x in sources])
        asked = [(prompt, constraints_of(words)) for (prompt, _), words in zip(sources, keywords, strict=True) if words]

    # 2. The searches.
    settings = NeuroLogic(beam_size=arguments.beam_size)
    searches = {"NeuroLogic": settings, "without clauses": settings}
    if arguments.look_ahead:
        searches["with look-ahead"] = replace(settings, look_ahead=arguments.look_ahead)
    every = sum(len(clauses.clauses) for _, clauses in asked)
    shares: dict[str, dict[str, float]] = {}
    for name, search in searches.items():
        best = met = wanted = complete = outputs = 0
        for first in range(0, len(asked), BLOCK):
            block = asked[first : first + BLOCK]
            constraints = [Constraints() if name == "without clauses" else clauses for _, clauses in block]
            found = decode_constrained(teacher, [prompt for prompt, _ in block], constraints, search, returned=OUTPUTS)
            for (_, clauses), texts in zip(block, found, strict=True):
                for rank, text in enumerate(texts):
                    hits = sum(has(text.text, (*clause.phrases, *clause.opening)) for clause in clauses.clauses)
                    best += hits if rank == 0 else 0
                    met += hits
                    wanted += len(clauses.clauses)
                    complete += hits == len(clauses.clauses)
                    outputs += 1
        shares[name] = {"best output": best / every, "all outputs": met / wanted, "complete outputs": complete / outputs}
    print(f"{len(asked)} contexts, {every} keywords, {arguments.beam_size} beams, {teacher.dtype} on {teacher.device}")
    for name, share in shares.items():
        print(f"  {name:18}" + "".join(f"{what} {value:6.1%}   " for what, value in share.items()))
    if arguments.smoke:
        assert shares["NeuroLogic"]["best output"] == 1 > shares["without clauses"]["best output"], shares
    beside = {name: f"{share['best output']:.1%} {name}" for name, share in shares.items() if name != "NeuroLogic"}
    row = Row(
        name="NeuroLogic: keywords in the best output",
        conditions=f"{len(asked)} contexts, {every} keywords; {', '.join(beside.values())}",
        bar=BAR,
        bar_on="measured",
        unit="%",
        measured=100 * shares["NeuroLogic"]["best output"],
    )
    print_result("keyword_coverage", "decoding", [row], arguments, device=str(teacher.device), dtype=str(teacher.dtype), shares=shares)


if __name__ == "__main__":
    main()
