"""sacrebleu and rouge-score against ours, on pairs of odd texts.

    pip install sacrebleu rouge-score
    METRIC_PAIRS=2000 python -m pytest tests/optional/test_metrics.py
"""

import os
import random

import pytest

from tinygpt.evaluation.metrics import (
    bleu,
    chrf,
    corpus_bleu,
    corpus_chrf,
    rouge_l,
    rouge_lsum,
    rouge_n,
)
from tinygpt.text import stories

sacrebleu = pytest.importorskip("sacrebleu", reason="the oracle is not installed")
rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="the oracle is missing")
PAIRS = int(os.environ.get("METRIC_PAIRS", 300))
EXACT = 1e-9
ODD = (
    "नमस्ते दुनिया Straße 3.14 1,000 -5 5-4 e.g. U.S. don't (a) [b] {c} & &amp; &quot; a/b c:d ... "
    "-- — “quoted” ¿qué? 日本語 👩‍👩‍👧 <skipped> x- \n \t  ' \" , . ! ?"
).split(" ") + ["", "  "]


def drawn(rng):
    import numpy as np

    words = [w for t in stories.generate(20_000, np.random.default_rng(0)) for w in t.split()]
    for _ in range(PAIRS):
        start, length = rng.randrange(len(words) - 40), rng.randrange(0, 30)
        one = words[start : start + length]
        other = list(one)
        for _ in range(rng.randrange(8)):
            at = rng.randrange(len(other) + 1)
            other[at : at + rng.randrange(3)] = rng.sample(ODD + words[:50], rng.randrange(3))
        yield " ".join(one), " ".join(other)


PAIRED = list(drawn(random.Random(0)))


def test_bleu_of_one_text_is_sacrebleus():
    for a, b in PAIRED:
        assert bleu(a, [b]) == pytest.approx(sacrebleu.sentence_bleu(a, [b]).score, abs=EXACT)


@pytest.mark.parametrize("words", [0, 2])
def test_chrf_of_one_text_is_sacrebleus(words):
    for a, b in PAIRED:
        wanted = sacrebleu.sentence_chrf(a, [b], word_order=words).score
        assert chrf(a, [b], words) == pytest.approx(wanted, abs=EXACT), (a, b)


def test_of_several_wanted_texts_and_of_a_corpus_too():
    written = [a for a, _ in PAIRED]
    wanted = [[b, PAIRED[i - 1][1]] for i, (_, b) in enumerate(PAIRED)]
    turned = [[one[0] for one in wanted], [one[1] for one in wanted]]
    for a, others in zip(written, wanted, strict=True):
        assert bleu(a, others) == pytest.approx(sacrebleu.sentence_bleu(a, others).score, abs=EXACT)
        assert chrf(a, others) == pytest.approx(sacrebleu.sentence_chrf(a, others).score, abs=EXACT)
    assert corpus_bleu(written, wanted) == pytest.approx(
        sacrebleu.corpus_bleu(written, turned).score, abs=EXACT)
    for words in (0, 2):
        assert corpus_chrf(written, wanted, words) == pytest.approx(
            sacrebleu.corpus_chrf(written, turned, word_order=words).score, abs=EXACT)


def test_rouge_is_rouge_scores():
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    for a, b in PAIRED:
        found = scorer.score(b, a)
        assert rouge_n(a, [b], 1, ascii_only=True) == pytest.approx(
            found["rouge1"].fmeasure, abs=EXACT)
        assert rouge_n(a, [b], 2, ascii_only=True) == pytest.approx(
            found["rouge2"].fmeasure, abs=EXACT)
        assert rouge_l(a, [b], ascii_only=True) == pytest.approx(
            found["rougeL"].fmeasure, abs=EXACT)


def test_rouge_lsum_is_rouge_scores():
    """Of texts of several lines, lines of marks alone and empty ones among them."""
    scorer, rng = rouge_scorer.RougeScorer(["rougeLsum"]), random.Random(1)

    def in_lines(text):
        return "".join(one if one != " " else rng.choice("    \n") for one in text)

    for a, b in PAIRED:
        a, b = in_lines(a), in_lines(b)
        assert rouge_lsum(a, [b], ascii_only=True) == pytest.approx(
            scorer.score(b, a)["rougeLsum"].fmeasure, abs=EXACT), (a, b)
