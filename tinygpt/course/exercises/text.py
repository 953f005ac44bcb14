"""Text to tokens: pairs of bytes, and pieces by their chance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake
from tinygpt.course.exercises.work import TEXT

NAIVE, UNIGRAM_MODULE = "tinygpt.tokenizer.naive", "tinygpt.tokenizer.naive_unigram"


def _words() -> list[list[int]]:
    return [list(word.encode()) for word in TEXT.split()[:40]]


def _bpe_merges() -> Any:
    from tinygpt.tokenizer import naive

    return naive.train(_words(), 20)


def _word(draw: Draw, least: int = 0, longest: int = 8) -> list[int]:
    return [97 + draw.integer(0, 2) for _ in range(draw.integer(least, longest))]


def _replacing(draw: Draw) -> tuple[Any, ...]:
    return _word(draw), (97 + draw.integer(0, 2), 97 + draw.integer(0, 2)), 256


def _spells_the_same(f: Any, word: list[int], pair: tuple[int, int], new: int) -> bool:
    return [b for t in f(list(word), pair, new) for b in (pair if t == new else (t,))] == word


REPLACE = Exercise(
    name="bpe-replace", title="Two tokens become one", kind="write",
    target=f"{NAIVE}:replace", chapter="tokens.md", minutes=15,
    hints=(
        "Walk from left to right, and build a new list.",
        "Look at the last token that you put out, and at the one that comes: are they the pair?",
        "aaa with the pair (a, a) is [new, a]: a token that was used is not used again.",
    ),
    call=_replacing, inputs=150,
    holds=(Holds("written out again it is the same word", _spells_the_same),),
    joins=_bpe_merges, joined="20 merges learned from a text",
    mistakes=(
        mistake("pairs that overlap are replaced twice",
                "In aaa the middle a belongs to the first pair; the third is left alone.",
                "for token in word:\n        if out and (out[-1], token) == pair:",
                "for before, token in zip([None, *word], word, strict=False):\n"
                "        if (before, token) == pair:"),
        mistake("only the first pair is replaced",
                "Wherever the pair stands, it is replaced.",
                "out[-1] = new", "out[-1] = new\n            pair = (-1, -1)"),
        mistake("the first token of the pair stays",
                "Two tokens become one: the first is overwritten.",
                "out[-1] = new", "out.append(new)"),
        mistake("the pair is looked for the other way round",
                "(a, b) is a followed by b.",
                "(out[-1], token) == pair", "(token, out[-1]) == pair"),
        mistake("the order of the two does not matter",
                "ab and ba are different pairs.",
                "(out[-1], token) == pair", "{out[-1], token} == set(pair)"),
        mistake("the pair goes, and nothing comes in its place",
                "The new token takes their place.",
                "out[-1] = new", "out.pop()"),
        mistake("it goes from right to left",
                "aaa is [new, a] and not [a, new]: everybody must agree, or texts have two "
                "encodings.",
                "for token in word:", "for token in word[::-1]:",
                "(out[-1], token) == pair", "(token, out[-1]) == pair",
                "return out", "return out[::-1]"),
    ),
)


def _training(draw: Draw) -> tuple[Any, ...]:
    return [_word(draw, 0, 5) for _ in range(draw.integer(1, 5))], draw.integer(0, 4)


TRAIN = Exercise(
    name="bpe-train", title="Learning byte pairs", kind="write",
    target=f"{NAIVE}:train", chapter="tokens.md", minutes=25, after=("bpe-replace",),
    hints=(
        "Count all pairs of neighbours in all words; take the most frequent; replace it "
        "everywhere; "
        "again.",
        "Ties: of pairs with the same count the smaller one. min with the key (-count, pair) says "
        "both at once.",
        "Merge number i makes the token 256 + i. Where no pair is left, stop early.",
    ),
    call=_training, inputs=120, joins=_bpe_merges, joined="20 merges learned from a text",
    mistakes=(
        mistake("ties go to the pair seen first",
                "Then the tokenizer depends on the order of the text. Of equal counts, the smaller "
                "pair.",
                "(-counts[pair], pair)", "-counts[pair]"),
        mistake("ties go to the larger pair",
                "Of equal counts, the smaller pair.",
                "(-counts[pair], pair)", "(-counts[pair], tuple(-i for i in pair))"),
        mistake("the rarest pair is merged",
                "The most frequent pair saves most.",
                "(-counts[pair], pair)", "(counts[pair], pair)"),
        mistake("the words are not rewritten",
                "The next pair is looked for among the new tokens.",
                "        words = [replace(word, best, 256 + len(merges)) for word in words]\n", ""),
        mistake("new tokens are numbered from 257",
                "Bytes are 0 to 255: the first new token is 256.",
                "256 + len(merges)", "257 + len(merges)"),
        mistake("a pair counts once a word",
                "Every place where it stands counts.",
                "for pair in zip(word, word[1:], strict=False))",
                "for pair in set(zip(word, word[1:], strict=False)))"),
        mistake("a pair may reach over two words",
                "Pairs are neighbours within a word.",
                "pair for word in words for pair in zip(word, word[1:], strict=False)",
                "pair for word in [sum(words, [])] for pair in zip(word, word[1:], strict=False)"),
        mistake("it goes on where nothing is left to merge",
                "With no pair left there is no most frequent one: stop early.",
                "        if not counts:\n            break\n", ""),
    ),
)


def _encoding(draw: Draw) -> tuple[Any, ...]:
    pairs: list[tuple[int, int]] = []
    for rank in range(draw.integer(0, 5)):
        def token(known: int = rank) -> int:
            at = draw.integer(0, 2 + known)
            return 97 + at if at < 3 else 256 + at - 3
        pair = (token(), token())
        pairs += [pair] * (pair not in pairs)
    return _word(draw), pairs


def _long_merges() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    merges = [(97 + int(a), 97 + int(b)) for a, b in rng.permutation(676)[:, None] // (26, 1) % 26]
    merges += [(256 + int(a), 97 + int(b)) for a, b in rng.integers(0, (600, 26), (400, 2))]
    return [97 + int(i) for i in rng.integers(0, 26, 12)], list(dict.fromkeys(merges))


BPE_FASTER = Exercise(
    name="bpe-faster", title="Encoding a word", kind="faster",
    target=f"{NAIVE}:encode", chapter="tokens.md", minutes=40, after=("bpe-train",),
    goal=4.0, work=_long_merges,
    hints=(
        "It is timed on a word of 12 bytes and some 1,000 merges. How many of those can stand in "
        "it?",
        "A dictionary pair -> rank answers at once which of the pairs that are there was learned "
        "first.",
        "Merge the pair with the least rank, everywhere, until no pair is in the dictionary. "
        "Merged "
        "tokens make new pairs, whose ranks are later ones.",
    ),
    call=_encoding, inputs=200,
    mistakes=(
        mistake("new tokens are numbered from 257", "Merge number i makes 256 + i.",
                "256 + rank", "257 + rank"),
        mistake("later merges come first",
                "Merges are replayed in the order in which they were learned.",
                "in enumerate(merges)", "in reversed(list(enumerate(merges)))"),
        mistake("it ends after the first merge that fits",
                "All merges that fit are made.",
                "        word = replace(word, pair, 256 + rank)\n",
                "        new = replace(word, pair, 256 + rank)\n"
                "        if new != word:\n            return new\n"),
        mistake("it ends at the first merge that does not fit",
                "A later merge may fit all the same.",
                "        word = replace(word, pair, 256 + rank)\n",
                "        new = replace(word, pair, 256 + rank)\n"
                "        if new == word:\n            break\n        word = new\n"),
        mistake("only bytes are merged, never merged tokens",
                "Most merges are of tokens that merges made.",
                "        word = replace", "        if max(pair) < 256:\n            word = "
                                          "replace"),
        mistake("the last merge is forgotten", "All merges count.",
                "enumerate(merges)", "enumerate(merges[:-1])"),
    ),
)


PIECES = ("a", "b", "c", "ab", "bc", "abc", "ca", "aa")


def _pieces(draw: Draw) -> dict[str, float]:
    weights = {p: draw.integer(1, 6) for p in PIECES if len(p) == 1 or draw.flag()}
    total = sum(weights.values())
    return {piece: math.log(weight / total) for piece, weight in weights.items()}


def _letters(draw: Draw, longest: int = 4) -> str:
    return "".join("abc"[draw.integer(0, 2)] for _ in range(draw.integer(1, longest)))


def _expecting(draw: Draw) -> tuple[Any, ...]:
    words = {_letters(draw): draw.integer(1, 3) for _ in range(draw.integer(1, 3))}
    return words, _pieces(draw)


def _unigram_scores() -> Any:
    from tinygpt.tokenizer import naive_unigram

    return naive_unigram.train({"cat": 3, "cab": 2, "abc": 2, "at": 4}, 6)


UNIGRAM = Exercise(
    name="unigram", title="How often is a piece expected?", kind="write",
    target=f"{UNIGRAM_MODULE}:expect", chapter="tokenizers.md", minutes=30, after=("bpe-train",),
    hints=(
        "A word can be written in several ways; each has the probability e^score.",
        "Divide by their sum: then the ways of one word share its count among them.",
        "A piece gets a way's share each time that it stands in it. The word adds count log(sum).",
    ),
    call=_expecting, inputs=80, joins=_unigram_scores, joined="a vocabulary of 6 pieces",
    holds=(
        Holds("expected pieces have as many letters as the words",
              lambda f, words, scores: bool(np.isclose(
                  sum(len(p) * n for p, n in f(words, scores)[0].items()),
                  sum(len(w) * n for w, n in words.items())))),
    ),
    mistakes=(
        mistake("the ways' probabilities are not divided by their sum",
                "A word that came once counts once, however it is written: shares sum to 1.",
                "count * share / total", "count * share"),
        mistake("a word counts once, however often it came",
                "Its count is a factor.", "count * share / total", "share / total"),
        mistake("the likelihood forgets the count",
                "A word that came three times adds its logarithm three times.",
                "likelihood += count * math.log(total)", "likelihood += math.log(total)"),
        mistake("all ways count the same",
                "A likelier way has a larger share.",
                "count * share / total", "count / len(probability)"),
        mistake("a piece counts once in a way",
                "If it stands there twice, it counts twice.",
                "for piece in way:", "for piece in set(way):"),
        mistake("logarithms are added as if they were probabilities",
                "score is a logarithm: its exponential is the probability.",
                "math.exp(score(way, scores))", "score(way, scores)"),
        mistake("the likelihood is that of the best way alone",
                "The word's probability is the sum over all ways.",
                "math.log(total)", "math.log(max(probability.values()))"),
        mistake("only the best way counts",
                "Every way has its share; that is what expectation means.",
                "in probability.items():",
                "in [max(probability.items(), key=lambda item: item[1])]:"),
    ),
)


def _apart_scores(draw: Draw) -> dict[str, float]:
    """Scores of which no two best ways have the same: no piece overlaps itself, as aa does."""
    return {
        piece: -math.sqrt(p) * (1 + draw.integer(0, 16) / 8)
        for piece, p in zip((*PIECES[:-1], "cab"), (7, 11, 13, 2, 3, 5, 17, 19), strict=True)
        if len(piece) == 1 or draw.flag()
    }


def _unigram_encoding(draw: Draw) -> tuple[Any, ...]:
    word = _letters(draw, 6)
    return "z" + word if draw.integer(0, 9) == 9 else word, _apart_scores(draw)


def _many_ways() -> tuple[Any, ...]:
    scores = {p: -math.sqrt(n) for p, n in zip(PIECES, (2, 3, 5, 7, 11, 13, 17, 19), strict=True)}
    return "abcaabcabcab", scores


UNIGRAM_FASTER = Exercise(
    name="unigram-faster", title="The best way among thousands", kind="faster",
    target=f"{UNIGRAM_MODULE}:encode", chapter="tokenizers.md", minutes=40, after=("unigram",),
    goal=4.0, work=_many_ways,
    hints=(
        "All ways to write 12 letters are hundreds; but the best way to write the first 5 is the "
        "same in each of them that cuts there.",
        "From left to right, for each end: the best score so far, and where its last piece began.",
        "At the end walk back from piece to piece. A word that cannot be written is a ValueError.",
    ),
    call=_unigram_encoding, inputs=120,
    mistakes=(
        mistake("the least likely way is taken", "Scores are logarithms: the largest sum.",
                "return max(", "return min("),
        mistake("the longest piece that fits is taken, from the left",
                "That is WordPiece's way; here the sum of the scores decides.",
                "score(way, scores))", "[len(piece) for piece in way])"),
        mistake("the most pieces win",
                "One likely piece may beat two unlikely ones.",
                "score(way, scores))", "(len(way), score(way, scores)))"),
        mistake("the mean score decides",
                "Probabilities of pieces are multiplied: logarithms are summed.",
                "score(way, scores))", "score(way, scores) / max(len(way), 1))"),
        mistake("probabilities are summed, not multiplied",
                "The logarithm of a product is the sum of the logarithms.",
                "score(way, scores))", "sum(math.exp(scores[piece]) for piece in way))"),
        mistake("the best single piece decides",
                "All pieces of a way count.",
                "score(way, scores))", "max(map(scores.get, way), default=0))"),
    ),
)


EXERCISES = (REPLACE, TRAIN, BPE_FASTER, UNIGRAM, UNIGRAM_FASTER)
