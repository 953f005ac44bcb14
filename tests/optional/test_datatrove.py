"""Our rules against datatrove's filters, on documents that lie on both sides of every line.

    pip install --no-deps --target /tmp/datatrove datatrove loguru humanize     (and what it asks)
    PYTHONPATH=/tmp/datatrove python -m pytest tests/optional/test_datatrove.py

Both are given our words: datatrove asks a tokenizer of the language, and what a word is no paper
says. What is left are the differences of docs/curation.md, each written here as what it does to
datatrove's side; once that is done not one decision of 1,000 is another, and without it some are:
so each is a difference, and there is no other.
"""

import os
from collections import Counter

import numpy as np
import pytest

from tinygpt.curation.rules import RULES
from tinygpt.curation.rules.c4 import ENDS as MARKS
from tinygpt.curation.rules.gopher import BULLETS
from tinygpt.curation.rules.settings import Limits, load
from tinygpt.curation.rules.view import ENDS, View
from tinygpt.text.stories import generate

reason = "the oracle is not installed"
c4 = pytest.importorskip("datatrove.pipeline.filters.c4_filters", reason=reason)
fineweb = pytest.importorskip("datatrove.pipeline.filters.fineweb_quality_filter", reason=reason)
quality = pytest.importorskip("datatrove.pipeline.filters.gopher_quality_filter", reason=reason)
repetition = pytest.importorskip("datatrove.pipeline.filters.gopher_repetition_filter",
                                 reason=reason)
from datatrove.data import Document  # noqa: E402

DOCUMENTS = int(os.environ.get("RULE_DOCUMENTS", 1000))
BOTH = 20  # decisions of each kind that a rule has on the documents, at least
STOP_WORDS = quality.STOP_WORDS


def words_of(text, language=None):
    """Our words as texts: between white space, without the marks at their ends."""
    return [word for one in text.split() if (word := one.strip(ENDS))]


@pytest.fixture(autouse=True)
def same_words(monkeypatch):
    for module in (quality, repetition, fineweb):
        monkeypatch.setattr(module, "split_into_words", words_of)


# Documents.


def spoiled(text, rng):
    """A story with a few things done to it, each more or less."""
    lines = text.replace(". ", ".\n").strip().split("\n")
    share = rng.random()

    def some(change):
        return [change(line) if rng.random() < share else line for line in lines]

    for way in rng.choice(len(WAYS), rng.integers(0, 4), replace=False):
        lines = WAYS[way](lines, some, rng)
    return "\n".join(lines)


WAYS = (
    lambda lines, some, rng: lines[: rng.integers(1, 12)],
    lambda lines, some, rng: some(lambda line: f"{rng.choice([*BULLETS, '  -', '+'])} {line}"),
    lambda lines, some, rng: some(lambda line: line + rng.choice([" ...", "…", "... ", " …."])),
    lambda lines, some, rng: some(lambda line: line.replace(" ", " # ", rng.integers(0, 6))),
    lambda lines, some, rng: some(lambda line: line.replace(" ", " ... ", rng.integers(0, 5))),
    lambda lines, some, rng: some(lambda line: line.replace(" ", " 12 34 -- ")),
    lambda lines, some, rng: some(lambda line: "".join(line.split())),
    lambda lines, some, rng: some(lambda line: " ".join(line.replace(" ", ""))),
    lambda lines, some, rng: some(lambda line: lines[0]),
    lambda lines, some, rng: some(lambda line: f"{lines[0]} {lines[-1]} {line}"),
    lambda lines, some, rng: some(lambda line: f"\n{line} "),
    lambda lines, some, rng: [line + " " * rng.integers(0, 40) for line in lines],
    lambda lines, some, rng: some(lambda line: line.rstrip(".!?\"")),
    lambda lines, some, rng: some(lambda line: line.replace(" ", "\n")),
    lambda lines, some, rng: some(str.title),
    lambda lines, some, rng: [("\n" * rng.integers(2, 30)).join(some(lambda line: lines[0]))],
    lambda lines, some, rng: [f"{rng.choice([*BULLETS, '+'])} {line}" for line in lines],
    lambda lines, some, rng: some(lambda line: f"{line} {rng.choice(['{', 'Lorem ipsum', '}'])}"),
)


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(7)
    told = list(generate(1_500 * DOCUMENTS, np.random.default_rng(1)))
    return [spoiled(" ".join(told[i : i + 1 + i % 3]), rng) for i in range(DOCUMENTS)]


# Decisions: datatrove's filter with one rule switched on, and what makes it ours.


class Sized(str):
    """A text whose length is what it is shared by."""

    size: int

    def __len__(self):
        return self.size


def sized(text, size):
    made = Sized(text)
    made.size = max(1, size)
    return made


def tidy(text):
    """Without empty lines, and without white space at the ends of others."""
    return "\n".join(View(text).lines)


def dashed(text):
    """Every bullet of ours is one of theirs."""
    return "\n".join("-" + line[1:] if line.startswith(BULLETS) else line
                     for line in View(text).lines)


def by_lines(text):
    return sized(tidy(text), sum(map(len, View(text).lines)))


def by_paragraphs(text):
    found = View(text).paragraphs
    return sized("\n\n".join(found), sum(map(len, found)))


def by_words(text):
    return sized(text, sum(map(len, words_of(text))))


def gopher(**asked):
    names = ("min_doc_words", "max_doc_words", "min_avg_word_length", "max_avg_word_length",
             "max_symbol_word_ratio", "max_bullet_lines_ratio", "max_ellipsis_lines_ratio",
             "max_non_alpha_words_ratio", "min_stop_words")
    return quality.GopherQualityFilter(**{**dict.fromkeys(names), **asked})


def repeated(**asked):
    names = ("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac")
    none = {**dict.fromkeys(names), "top_n_grams": (), "dup_n_grams": ()}
    return repetition.GopherRepetitionFilter(**{**none, **asked})


def of_fineweb(**asked):
    none = {"line_punct_thr": -1, "short_line_thr": 2, "char_duplicates_ratio": 2,
            "new_line_ratio": 1e9}
    return fineweb.FineWebQualityFilter(**{**none, **asked})


def of_c4(**asked):
    names = ("remove_citations", "filter_no_terminal_punct", "filter_lorem_ipsum",
             "filter_javascript", "filter_curly_bracket", "filter_policy")
    none = {**dict.fromkeys(names, False), "min_num_sentences": -1, "min_words_per_line": -1,
            "max_word_length": -1}
    return c4.C4QualityFilter(**{**none, **asked})


SAME = {  # nothing has to be given
    "gopher.words": gopher(min_doc_words=50, max_doc_words=100_000),
    "gopher.word_length": gopher(min_avg_word_length=3, max_avg_word_length=10),
    "gopher.symbols": gopher(max_symbol_word_ratio=0.1),
    "c4.lorem_ipsum": of_c4(filter_lorem_ipsum=True),
    "c4.braces": of_c4(filter_curly_bracket=True),
    "fineweb.line_breaks": of_fineweb(new_line_ratio=0.3),
}
MENDED = {  # name: their filter, what it is asked besides, what is done to the text
    "gopher.bullets": (gopher, {"max_bullet_lines_ratio": 0.9}, dashed),
    "gopher.ellipsis_lines": (gopher, {"max_ellipsis_lines_ratio": 0.3}, tidy),
    "gopher.stop_words": (gopher, {"min_stop_words": 2}, str.lower),
    "repetition.lines": (repeated, {"dup_line_frac": 0.3}, tidy),
    "repetition.line_characters": (repeated, {"dup_line_char_frac": 0.2}, by_lines),
    "repetition.paragraphs": (repeated, {"dup_para_frac": 0.3}, by_paragraphs),
    "repetition.paragraph_characters": (repeated, {"dup_para_char_frac": 0.2}, by_paragraphs),
    "fineweb.line_ends": (of_fineweb, {"line_punct_thr": 0.12, "stop_chars": MARKS}, tidy),
    "fineweb.short_lines": (of_fineweb, {"short_line_thr": 0.67}, tidy),
    "fineweb.line_characters": (of_fineweb, {"char_duplicates_ratio": 0.1}, tidy),
}
THEIRS = {"fineweb.line_ends": {"stop_chars": None}}  # where the difference is what is asked
LIMITS = {**load().limits, "c4.braces": Limits(0, 0)}  # off for folders of one's own


def ours(name, text):
    names = ("gopher.hashes", "gopher.ellipses") if name == "gopher.symbols" else (name,)
    view = View(text, STOP_WORDS)
    return all(LIMITS[one].least <= RULES[one](view) <= LIMITS[one].most for one in names)


def decisions(name, documents):
    """Ours of every document; both kinds are there, else nothing would be compared."""
    found = np.array([ours(name, text) for text in documents])
    assert min(found.sum(), (~found).sum()) >= BOTH * len(documents) / 1000
    return found


def theirs(side, documents):
    return np.array([side.filter(Document(text=text, id="")) is True for text in documents])


@pytest.mark.parametrize("name", SAME)
def test_a_rule_that_is_theirs_decides_alike(name, documents):
    np.testing.assert_array_equal(decisions(name, documents), theirs(SAME[name], documents))


@pytest.mark.parametrize("name", MENDED)
def test_a_rule_differs_by_its_documented_difference_alone(name, documents):
    make, asked, given = MENDED[name]
    side = make(**asked)
    found = decisions(name, documents)
    np.testing.assert_array_equal(found, theirs(side, map(given, documents)))
    assert (found != theirs(make(**{**asked, **THEIRS.get(name, {})}), documents)).any()


def test_marks_alone_count_as_tokens_without_a_letter(documents, monkeypatch):
    side, found = gopher(max_non_alpha_words_ratio=0.8), decisions("gopher.letters", documents)
    assert (found != theirs(side, documents)).any()
    monkeypatch.setattr(quality, "split_into_words", lambda text, language: text.split())
    np.testing.assert_array_equal(found, theirs(side, documents))


def test_a_sentence_ends_in_its_mark(documents, monkeypatch):
    """They ask nltk's Punkt, which knows abbreviations of some languages."""
    monkeypatch.setattr(c4, "split_into_sentences", lambda line, language: [line] * View(
        line).sentences)
    side = of_c4(min_num_sentences=5)
    np.testing.assert_array_equal(decisions("c4.sentences", documents), theirs(side, documents))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_commonest_ngram_counts_if_it_comes_twice_and_without_spaces(n, documents, monkeypatch):
    name = f"repetition.top_{n}_gram"
    side, found = repeated(top_n_grams=((n, LIMITS[name].most),)), decisions(name, documents)
    assert (found != theirs(side, documents)).any()

    def twice(grams):
        counts = Counter(grams)
        most = max(counts.values())
        longest = max(len(one) for one, times in counts.items() if times == most)
        return most * longest if most > 1 else 0

    monkeypatch.setattr(repetition, "find_top_duplicate", twice)
    monkeypatch.setattr(repetition, "get_n_grams", lambda words, n: [
        "".join(words[i : i + n]) for i in range(len(words) - n + 1)])
    np.testing.assert_array_equal(found, theirs(side, map(by_words, documents)))


@pytest.mark.parametrize("n", [5, 6, 7, 8, 9, 10])
def test_duplicated_ngrams_count_the_first_too_so_that_ours_drops_what_theirs_does(n, documents):
    share = LIMITS[f"repetition.{n}_grams"].most
    found = decisions(f"repetition.{n}_grams", documents)
    other = theirs(repeated(dup_n_grams=((n, share),)), documents)
    assert not (found & ~other).any() and (~found & other).any()
