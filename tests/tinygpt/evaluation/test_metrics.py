"""Metrics on texts whose values can be worked out by hand; ../../optional has the oracles."""

import itertools
import math

import pytest

from tinygpt.evaluation.metrics import (
    bleu,
    chrf,
    corpus_bleu,
    corpus_chrf,
    exact_match,
    f1,
    pass_at_k,
    rouge_l,
    rouge_lsum,
    rouge_n,
)
from tinygpt.evaluation.metrics.rouge import common, matched
from tinygpt.evaluation.metrics.words import cut_13a, cut_letters, cut_marks

HINDI = "नमस्ते दुनिया"


@pytest.mark.parametrize("text", ["the cat sat on it", f"{HINDI} {HINDI}", "日本語 の 文 で す"])
def test_the_same_text_is_best(text):
    assert exact_match(text, [text]) == f1(text, [text]) == 1
    assert bleu(text, [text]) == pytest.approx(100)
    assert chrf(text, [text]) == chrf(text, [text], 2) == pytest.approx(100)
    assert rouge_n(text, [text], 1) == rouge_n(text, [text], 2) == rouge_l(text, [text]) == 1
    assert rouge_lsum(text, [text]) == 1


def test_hindi_has_words():
    assert rouge_n(HINDI, [HINDI], 1, ascii_only=True) == 0  # as rouge-score has it
    assert cut_letters(HINDI) == HINDI.split()


@pytest.mark.parametrize("text", ["", "xyz"])
def test_nothing_in_common_is_worst(text):
    for metric in (exact_match, f1, bleu, chrf, rouge_l, rouge_lsum):
        assert metric(text, ["the cat sat"]) == 0


def test_bleu_by_hand():
    """1-grams 5/6, 2-grams 3/5, 3-grams 2/4, 4-grams 1/3; then brevity; then none in common."""
    found = bleu("the cat sat on a mat", ["the cat sat on the mat"])
    assert found == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    short = bleu("the cat sat on", ["the cat sat on the mat"])
    assert short == pytest.approx(100 * math.exp(1 - 6 / 4))
    assert bleu("the the the", ["the cat"]) == pytest.approx(100 * (1 / 3 / 4 / 4) ** (1 / 3))


def test_bleu_of_a_corpus_adds_counts_first():
    texts, wanted = ["the cat sat on the mat", "no"], [["the cat sat on the mat"], ["yes sir"]]
    precisions = 6 / 7 * 5 / 5 * 4 / 4 * 3 / 3
    assert corpus_bleu(texts, wanted) == pytest.approx(
        100 * math.exp(1 - 8 / 7) * precisions**0.25)


def test_chrf_by_hand():
    """ "ab" for "abc": letters 2/2 and 2/3, pairs 1/1 and 1/2, no triple of its own."""
    precision, recall = 1.0, (2 / 3 + 1 / 2) / 2
    assert chrf("ab", ["abc"]) == pytest.approx(100 * 5 * recall / (4 * precision + recall))
    assert chrf("a b", ["ab c"]) == chrf("ab", ["abc"])  # white space is not counted
    assert chrf("a b", ["ab c"], 2) < chrf("ab", ["abc"], 2)


def test_of_several_wanted_texts_the_best_counts():
    wanted = ["a dog ran", "the cat sat"]
    assert exact_match("the cat sat.", wanted) == 1
    assert f1("the dog", wanted) == pytest.approx(2 / 3)
    assert rouge_l("the cat ran", wanted) == pytest.approx(2 / 3)
    assert corpus_chrf(["the cat sat"], [wanted]) == pytest.approx(100)


def test_rouge_by_hand():
    assert rouge_n("the cat the cat", ["the cat sat"], 1) == pytest.approx(4 / 7)
    assert rouge_n("the cat sat", ["the cat ran"], 2) == pytest.approx(1 / 2)
    assert rouge_l("the big cat sat", ["the cat then sat"]) == pytest.approx(3 / 4)


def test_rouge_of_lines_takes_from_any_line_and_no_word_twice():
    """Of "a b c d" the lines "a c x" and "b d" have all; a second wanted "a" finds none left."""
    assert rouge_l("b d\na c x", ["a b c d"]) == pytest.approx(2 * 2 / (5 + 4))
    assert rouge_lsum("b d\na c x", ["a b c d"]) == pytest.approx(2 * 4 / (5 + 4))
    assert rouge_lsum("a", ["a\n\na"]) == pytest.approx(2 * 1 / (1 + 2))
    assert rouge_lsum("a\nb", ["b\na"]) == 1


def test_the_longest_common_row_is_the_longest():
    words = "aab"
    for one in itertools.product(words, repeat=4):
        for other in itertools.product(words, repeat=3):
            best = max(
                n for n in range(4)
                if any(sub in set(itertools.combinations(one, n))
                       for sub in itertools.combinations(other, n))
            )
            assert common(one, other) == len(places := matched(one, other)) == best
            row = iter(other)
            assert all(one[i] in row for i in sorted(places))


def test_pass_at_k_is_the_share_of_ways_to_take_k():
    for right in range(6):
        marks = [i < right for i in range(5)]
        for k in range(1, 6):
            if right > 5:
                continue
            taken = list(itertools.combinations(marks, k))
            assert pass_at_k(5, min(right, 5), k) == pytest.approx(
                sum(map(any, taken)) / len(taken))
    with pytest.raises(ValueError, match="k = 6"):
        pass_at_k(5, 1, 6)


def test_words_are_cut_as_their_metrics_say():
    assert cut_13a('He said "3.5, 1,000-2".') == "He said \" 3.5 , 1,000 - 2 \" .".split()
    assert cut_marks("(a) b. c, d") == ["(a", ")", "b", ".", "c", ",", "d"]
    assert cut_letters("Don't STOP नमस्ते") == ["don", "t", "stop", "नमस्ते"]
