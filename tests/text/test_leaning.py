"""What a sentence leans on outside itself."""

import pytest

from impdistill.text.leaning import bears, leaning


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("The bill that is before the Senate would help farmers.", set()),
        ("This bill is good, and these farmers know that.", set()),
        ("That is why farmers support the bill.", {"it"}),
        ("And that's what we do.", {"it"}),
        ("We waited, but these were late.", {"it"}),
        ("It’s late.", {"it"}),
        ("The city raised its fees.", {"it"}),
        ("They said their bill is late.", {"they"}),
        ("However, loans were up in other areas.", {"however", "other"}),
        ("In contrast, others also fell.", {"in contrast", "other", "also"}),
    ],
)
def test_what_a_sentence_leans_on(text: str, on: set[str]) -> None:
    assert leaning(text).on == on


@pytest.mark.parametrize(
    ("x", "y", "borne"),
    [
        ("Sales were flat in May.", "Sales were flat.", True),
        ("Sales were flat in May.", "Sales were also flat.", False),
        ("Sales were also flat in May.", "Sales were also flat.", True),
        ("I have been looking for a job.", "It has been looking for a job.", False),
        ("This strength was attributed to savings.", "It was attributed to savings.", True),
        ("The study that began in May will end.", "It will end.", False),
        ("How can I fix this?", "What can I do to fix it?", True),
        ("They fixed it.", "They did it.", True),
        ("It is late.", "They are late.", False),
    ],
)
def test_what_a_sentence_bears(x: str, y: str, borne: bool) -> None:
    assert bears(leaning(x), leaning(y)) is borne
