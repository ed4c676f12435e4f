"""Headlines: shorter than seven tenths of the sentence, entailed by it, and no pronoun that leaves the reader asking who."""

from impdistill import Group, PairRule, Recipe, Task, distill
from impdistill.filters import Diversity, Entailment, Length


def names_its_subject(x: str, y: str) -> bool:
    return y.split()[0].lower() not in {"he", "she", "it", "they", "this", "that", "these", "those"}


headline = Task(
    name="headline",
    filters=(Length(0.0, 0.7), PairRule("pronoun", names_its_subject), Entailment(0.75), Diversity(0.75)),
    groups=(Group("headline", "Write a headline for the given sentence: "),),
)

if __name__ == "__main__":
    run = distill(Recipe.load("starter"), "runs/headlines", tasks=[headline])
    print(run.student().rewrite(["The committee met on Tuesday to discuss the new rules for schools."], "headline"))
