"""Evaluation of what is written: do raters agree, and does a text agree with a wanted one?"""

from __future__ import annotations

from typing import Any

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, mistake

KAPPA_OF = "tinygpt.evaluation.agreement:kappa"
BLEU_OF = "tinygpt.evaluation.metrics.bleu"
CHAPTER = "evaluation.md"


def _marks(draw: Draw) -> tuple[Any, ...]:
    return ([("abc"[draw.integer(0, 2)], "abc"[draw.integer(0, 2)])
             for _ in range(draw.integer(0, 8))],)


KAPPA_MISTAKES = (
    mistake("it is the share that they agree on",
            "Who always says the same agrees often, and knows nothing: what chance gives goes.",
            "(agreed - expected) / (1 - expected) if", "agreed if"),
    mistake("it is not divided by what there is above chance",
            "1 is to mean: always.",
            "(agreed - expected) / (1 - expected)", "(agreed - expected)"),
    mistake("chance is one in the number of marks",
            "A mark that is frequent is agreed on by chance more often.",
            "sum(first[mark] * second[mark] for mark in first) / n**2",
            "1 / len(first | second)"),
    mistake("both have the first one's habits",
            "Chance: that the first says it times that the second does.",
            "first[mark] * second[mark]", "first[mark] * first[mark]"),
    mistake("the habits are pooled",
            "That is Scott's pi. Cohen gives each rater habits of its own.",
            "sum(first[mark] * second[mark] for mark in first)",
            "sum((first[mark] + second[mark]) ** 2 / 4 for mark in first | second)"),
    mistake("counts are divided by n once",
            "Two shares are multiplied: n^2.",
            "/ n**2", "/ n"),
    mistake("where all are one mark it is 1",
            "Then nothing could have shown a disagreement: nan.",
            'if expected < 1 else float("nan")', "if expected < 1 else 1.0"),
    mistake("it agrees where they differ",
            "a == b.",
            "a == b for", "a != b for"),
)

KAPPA = Exercise(
    name="kappa", title="Agreement beyond chance", kind="write", target=KAPPA_OF, chapter=CHAPTER,
    minutes=15, after=("sure",),
    hints=(
        "Agreement is the share of pairs whose two marks are equal.",
        "By chance the two would agree on a mark with the share of the first one's marks that it "
        "is, times the second one's; summed over the marks.",
        "(agreement - expected) / (1 - expected). No pair, or expected = 1: nan.",
    ),
    call=_marks, inputs=200, mistakes=KAPPA_MISTAKES,
)

KAPPA_HUNT = Exercise(
    name="kappa-hunt", title="A test for kappa", kind="hunt", target=KAPPA_OF, chapter=CHAPTER,
    minutes=20, after=("kappa",),
    hints=(
        "Work one table out on paper, with raters whose habits differ.",
        "Two raters who are independent have 0; two who always agree, on several marks, 1.",
        "What of no pair, and of pairs that all have the same two marks?",
    ),
    begins='    assert kappa([("a", "a"), ("b", "b")]) == 1\n', mistakes=KAPPA_MISTAKES,
    equals=(
        mistake("with the factors exchanged", "A product.",
                "first[mark] * second[mark]", "second[mark] * first[mark]"),
        mistake("with n times n", "n^2.", "n**2", "(n * n)"),
        mistake("as one less what is left", "1 - (1 - a) / (1 - e), up to rounding.",
                "(agreed - expected) / (1 - expected)", "1 - (1 - agreed) / (1 - expected)"),
    ),
)


def _words(draw: Draw, least: int, most: int) -> str:
    words = [("the", "cat", "sat")[draw.integer(0, 2)] for _ in range(draw.integer(least, most))]
    return " ".join(words)


def _texts(draw: Draw) -> tuple[Any, ...]:
    return _words(draw, 0, 8), [_words(draw, 1, 8) for _ in range(draw.integer(1, 3))]


BLEU_COUNTS = Exercise(
    name="bleu-counts", title="What BLEU counts", kind="write", target=f"{BLEU_OF}:_statistics",
    chapter=CHAPTER, minutes=25,
    about="Returns [words of the text, words wanted, then for n = 1 to ORDER: n-grams in both, "
    "n-grams of the text]. cut_13a(text.rstrip()) gives words, _grams(words, n) a Counter of "
    "n-grams. Words wanted: of the wanted text whose length is nearest, of two as near the "
    "shorter.",
    hints=(
        "Counters have what it takes: a & b is the lesser count of each, a | b the greater.",
        "An n-gram counts at most as often as it stands in that wanted text that has the most of "
        "it.",
        "sum(counter.values()) counts all n-grams, repeats too.",
    ),
    call=_texts, inputs=200,
    mistakes=(
        mistake("a word that is right counts as often as it is written",
                '"the the the" would be right three times where one "the" is wanted.',
                "sum((own & most).values())",
                "sum(count for gram, count in own.items() if gram in most)"),
        mistake("the wanted texts' counts are added",
                "They are alternatives: the most of one of them.",
                "most |= _grams(one, n)", "most += _grams(one, n)"),
        mistake("only the last wanted text counts",
                "An n-gram may stand in any of them.",
                "most |= _grams(one, n)", "most = _grams(one, n)"),
        mistake("the shortest wanted text is taken for the length",
                "The nearest.",
                "min((abs(len(one) - len(words)), len(one)) for one in others)[1]",
                "min(len(one) for one in others)"),
        mistake("of two as near the longer is taken",
                "The shorter.",
                "min((abs(len(one) - len(words)), len(one)) for one in others)[1]",
                "-min((abs(len(one) - len(words)), -len(one)) for one in others)[1]"),
        mistake("each n-gram of the text counts once",
                "As often as it is written, or repeating would cost nothing.",
                "sum(own.values())", "len(own)"),
        mistake("it is divided by what is wanted",
                "That is recall. BLEU is precision: of what was written.",
                "sum(own.values())", "sum(most.values())"),
    ),
)


def _counts(draw: Draw) -> tuple[Any, ...]:
    """What a text of 0 to 7 words may have in common with a wanted one, and `effective`."""
    length = draw.integer(0, 7)
    found, before = [length, draw.integer(1, 7)], length
    for n in range(1, 5):
        before = draw.integer(0, min(before, max(length - n + 1, 0)))
        found += [before, max(length - n + 1, 0)]
    return found, draw.flag()


BLEU = Exercise(
    name="bleu", title="BLEU of its counts", kind="write", target=f"{BLEU_OF}:_score",
    chapter=CHAPTER, minutes=25, after=("bleu-counts",),
    about="statistics: [words of the text, words wanted, then for n = 1 to ORDER: n-grams in both, "
    "n-grams of the text]. The k-th precision that is 0 becomes 1 / 2^k of an n-gram. effective: "
    "stop at the first n of which the text has no n-gram; else such a text has 0. Nothing right at "
    "all is 0.",
    hints=(
        "The mean is geometric: the exponential of the mean of the logarithms of the precisions, "
        "in percent.",
        "Shorter than wanted: times exp(1 - wanted / length). Longer costs nothing here.",
        "missing doubles with each precision that is 0; it counts as 1 / missing n-grams of total.",
    ),
    call=_counts, inputs=250,
    mistakes=(
        mistake("short texts are not punished",
                "One sure word would be the best translation.",
                "math.exp(1 - wanted / length) if length < wanted else 1.0", "1.0"),
        mistake("long texts are rewarded",
                "Where it is long enough the penalty is 1.",
                " if length < wanted else 1.0", ""),
        mistake("the penalty's fraction is turned round",
                "1 - wanted / length is below 0 for a short text.",
                "1 - wanted / length", "1 - length / wanted"),
        mistake("the precisions are multiplied, and no root taken",
                "A mean of logarithms: divide by how many there are.",
                "math.exp(logs / order)", "math.exp(logs)"),
        mistake("each precision of 0 becomes a half n-gram",
                "The second is a quarter, the third an eighth.",
                "missing *= 2", "missing = 2.0"),
        mistake("a precision of 0 makes all 0",
                "That is BLEU without smoothing: useless for single sentences.",
                "            missing *= 2\n", "            return 0.0\n"),
        mistake("a short text is divided by all four orders",
                "effective: by those that it has.",
                "order = n - 1", "order = ORDER"),
        mistake("it is a share of 1",
                "0 to 100.",
                "penalty * math.exp(logs / order)", "penalty * math.exp(logs / order) / 100"),
    ),
)

EXERCISES = (KAPPA, KAPPA_HUNT, BLEU_COUNTS, BLEU)
