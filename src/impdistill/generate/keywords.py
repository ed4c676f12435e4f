"""Keywords of sentences, and the clauses that ask for them (Jung et al. 2023, section 2.1.1: KeyBERT, at most 5 keywords of x).

A keyword may come back in any of its inflected forms. What a keyword's part of speech is, is not known, so its forms as a noun and as a
verb count, if it can be one; names count only as they are written.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from impdistill.decode.constraints import Clause, Constraints
from impdistill.models.embedder import Embedder

_WORD = r"(?<![\w'’@#/.])[^\W\d_]{3,}(?![\w@/]|['’](?!s\b)|\.\w)"
"""A word of three letters or more, not part of a contraction, a host name, an address or a code such as `p53`."""

_EMPTY_WORDS = """
    say says said saying tell tells told telling know knows knew known knowing think thinks thought thinking want wants wanted wanting need
    needs needed feel feels felt feeling look looks looked looking seem seems get gets got gotten getting goes going went gone come comes
    came coming make makes made making take takes took taken taking puts putting let lets did does doing done having being try tries tried
    trying use uses used using keep keeps kept keeping guess wondering like likes liked just really actually basically literally probably
    maybe pretty quite sure thing things lot lots bit kind sort way ways stuff guy guys new good better best bad worse worst big little
    old great nice real right able far ago yes yeah okay hey thanks thank please non sub sen sens rep reps
"""
"""Beside scikit-learn's stop words: what says nothing of a sentence's subject, though embeddings rank it high in short sentences."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword of a sentence.

    Attributes:
        text: in lower case.
        surfaces: the ways in which it is written inside the sentence, in order; in lower case if it only opens it.
        is_name: it counts only as written (`Obama`, `HIV`): it is in no dictionary, or has capitals after its first letter.
    """

    text: str
    surfaces: tuple[str, ...]
    is_name: bool

    def clause(self) -> Clause:
        """One of its forms must occur."""
        if self.is_name:
            return Clause(self.surfaces)
        forms = inflections(self.text)
        return Clause(tuple(dict.fromkeys((*self.surfaces, *forms))), opening=tuple(form[0].upper() + form[1:] for form in forms))


class KeywordExtractor:
    """KeyBERT over an embedding model: the words of a sentence whose embeddings are nearest to that of the whole sentence."""

    def __init__(self, embedder: Embedder, *, most: int = 5, words: tuple[int, int] = (1, 1)) -> None:
        """
        Args:
            embedder: any embedding model.
            most: keywords of a sentence; sentences with few content words have fewer.
            words: shortest and longest keyword, in words.
        """
        from keybert import KeyBERT  # brings sentence-transformers: seconds to import

        if most < 1 or not 1 <= words[0] <= words[1]:
            raise ValueError(f"at least one keyword of at least one word is needed: most={most}, words={words}")
        self._keybert = KeyBERT(embedder.model)
        self._most = most
        self._words = words

    def keywords(self, sentences: Sequence[str]) -> list[tuple[Keyword, ...]]:
        """Keywords of many sentences in one call, nearest first; different forms of one word count as one keyword."""
        if not sentences:
            return []
        from sklearn.feature_extraction.text import CountVectorizer

        vectorizer = CountVectorizer(ngram_range=self._words, stop_words=_stop_words(), token_pattern=_WORD)
        if not any(vectorizer.build_analyzer()(sentence) for sentence in sentences):
            return [() for _ in sentences]
        # KeyBERT gives a single sentence's keywords without the outer list
        found = self._keybert.extract_keywords(list(sentences), vectorizer=vectorizer, top_n=3 * self._most)
        each = [found] if len(sentences) == 1 else found
        return [self._distinct(sentence, [text for text, _ in ranked]) for sentence, ranked in zip(sentences, each, strict=True)]

    def _distinct(self, sentence: str, ranked: Sequence[str]) -> tuple[Keyword, ...]:
        chosen: list[Keyword] = []
        taken: set[str] = set()
        for text in ranked:
            forms = {form for word in text.split() for form in inflections(word)}
            if not forms & taken and len(chosen) < self._most and (keyword := _in_sentence(text, sentence)):
                chosen.append(keyword)
                taken |= forms
        return tuple(chosen)


def constraints_of(keywords: Sequence[Keyword], forbidden: Sequence[str] = ()) -> Constraints:
    """One clause a keyword, and one that forbids words and phrases."""
    clauses = tuple(keyword.clause() for keyword in keywords)
    return Constraints((*clauses, Clause(forbidden_forms(forbidden), negative=True)) if forbidden else clauses)


def forbidden_forms(phrases: Sequence[str]) -> tuple[str, ...]:
    """Phrases as they are written and with a capital."""
    return tuple(dict.fromkeys(form for phrase in phrases for form in (phrase, phrase[0].upper() + phrase[1:])))


@functools.lru_cache(maxsize=1 << 16)
def inflections(phrase: str) -> tuple[str, ...]:
    """A lower-case phrase and the forms of its last word as a noun and as a verb, the phrase itself first.

    "studies" gives "studies", "study", "studied", "studying"; "left" also gives "leave" and its forms. A word outside the dictionary
    has one form.
    """
    import lemminflect

    head, _, last = phrase.rpartition(" ")
    before = f"{head} " if head else ""
    forms = [last]
    for part_of_speech, lemmas in sorted(lemminflect.getAllLemmas(last).items()):
        if part_of_speech in ("NOUN", "VERB"):
            for lemma in lemmas:
                tagged = lemminflect.getAllInflections(lemma, part_of_speech)
                forms += [form for tag in sorted(tagged) for form in tagged[tag]]
    return tuple(dict.fromkeys(before + form for form in forms))


def _stop_words() -> list[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return sorted(ENGLISH_STOP_WORDS | set(_EMPTY_WORDS.split()))


def _in_sentence(text: str, sentence: str) -> Keyword | None:
    """Where and how the sentence writes a keyword; None if stop words stand between its words."""
    pattern = r"\W+".join(re.escape(word) for word in text.split())
    found = list(re.finditer(rf"(?<!\w){pattern}(?!\w)", sentence, re.IGNORECASE))
    if not found:
        return None
    written = [match.group() for match in found]
    opens = not re.search(r"\w", sentence[: found[0].start()])
    inside = written[1:] if opens and len(written) > 1 else written
    plain = all(word[1:] == word[1:].lower() for surface in inside for word in surface.split())
    is_name = not plain or not _in_dictionary(text.split()[-1])
    if opens and len(written) == 1 and not is_name:
        inside = [text]
    return Keyword(text, tuple(dict.fromkeys(inside)), is_name)


def _in_dictionary(word: str) -> bool:
    import lemminflect

    known: dict[str, Any] = lemminflect.getAllLemmas(word)
    return bool(known)
