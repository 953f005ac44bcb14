"""What is alike: sets and their signatures, clusters, and the splits they are dealt to."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake

NEAR = "tinygpt.curation.near"
CHAPTER = "curation.md"


def _sets(draw: Draw) -> tuple[Any, ...]:
    return tuple(
        np.unique(draw.ids((draw.integer(0, 5),), 7)).astype(np.uint64) for _ in range(2)
    )


JACCARD = Exercise(
    name="jaccard", title="How alike two sets are", kind="write", target=f"{NEAR}:jaccard",
    chapter=CHAPTER, minutes=15,
    hints=(
        "What is in both, divided by what is in either: |A & B| / |A | B|.",
        "What is in either: the two sizes less what is in both, or that would be counted twice.",
        "np.searchsorted(b, a) says where in b each of a would stand; what stands there may be "
        "past the end. Two empty sets are alike, one empty set is like no other.",
    ),
    call=_sets, inputs=120,
    holds=(Holds("it does not matter which comes first", lambda f, a, b: f(a, b) == f(b, a)),),
    mistakes=(
        mistake("what is in both is counted twice below",
                "The union is |A| + |B| - |both|.",
                "(len(a) + len(b) - both)", "(len(a) + len(b))"),
        mistake("it is the share of the smaller set",
                "That is containment: a page inside a book would be called the same as the book.",
                "(len(a) + len(b) - both)", "len(a)"),
        mistake("it is the share of the larger set",
                "Both sets count below: their union.",
                "(len(a) + len(b) - both)", "len(b)"),
        mistake("it is Dice's coefficient",
                "2 |both| / (|A| + |B|) is another measure; MinHash finds Jaccard's.",
                "both / (len(a) + len(b) - both)", "2 * both / (len(a) + len(b))"),
        mistake("two empty sets are unlike",
                "Nothing tells them apart: 1.",
                "return float(len(a) == len(b))", "return 0.0"),
        mistake("an empty set is like any other",
                "It is like an empty one only.",
                "return float(len(a) == len(b))", "return 1.0"),
        mistake("it counts places, not equals",
                "searchsorted says where a value would stand; whether it does must be looked at.",
                "(b[np.minimum(at, len(b) - 1)] == a).sum()", "(at < len(b)).sum()"),
    ),
)


def _hashed(draw: Draw) -> tuple[Any, ...]:
    def numbers(count: int) -> np.ndarray:
        return np.array([draw.integer(0, 2**62) for _ in range(count)], np.uint64)

    hashes, functions = numbers(draw.integer(0, 4)), draw.integer(1, 3)
    return hashes, numbers(functions) * np.uint64(2) + np.uint64(1), numbers(functions)


def _keys() -> Any:
    from tinygpt.curation import near

    texts = ("the cat sat on the mat and slept", "The cat sat on the mat, and slept!", "no")
    return [near.keys(near.shingles(text)) for text in texts]


MINHASH = Exercise(
    name="minhash", title="A set's signature", kind="write",
    target="kernels.numpy_ref.minhash:minhash_signature", chapter=CHAPTER, minutes=20,
    after=("jaccard",),
    hints=(
        "For each k the function is h(x) = (a_k x + b_k mod 2^64) >> 32. uint64 arrays wrap round "
        "by themselves.",
        "What is kept is the least h(x) over all x, as uint32.",
        "An empty set has no least: begin with 2^32 - 1, which nothing is above. "
        ".min(initial=...) does that.",
    ),
    call=_hashed, inputs=80, joins=_keys, joined="the keys of three texts",
    holds=(
        Holds("what comes twice counts once",
              lambda f, x, a, b: bool((f(np.concatenate([x, x]), a, b) == f(x, a, b)).all())),
    ),
    mistakes=(
        mistake("the greatest is kept",
                "It is as good a signature, and not the one that others have: the least.",
                "least.min(initial=signature[k])", "least.max(initial=0)"),
        mistake("the lower 32 bits are taken",
                "Low bits of a product depend on low bits only; the upper ones are mixed.",
                ">> np.uint64(32)", "& np.uint64(2**32 - 1)"),
        mistake("the offset is left out",
                "a x + b: without b, 0 is the least under every function.",
                "hashes * factors[k] + offsets[k]", "hashes * factors[k]"),
        mistake("one function signs everywhere",
                "K numbers of one function say no more than one number.",
                "hashes * factors[k] + offsets[k]", "hashes * factors[0] + offsets[0]"),
        mistake("the least hash is taken before the function",
                "The order under each function is another one: first h, then the least.",
                "((hashes * factors[k]", "((np.sort(hashes)[:1] * factors[k]"),
        mistake("it begins with 0",
                "A minimum that begins with 0 stays there.",
                "np.full(len(factors), 2**32 - 1, np.uint32)", "np.zeros(len(factors), np.uint32)"),
        mistake("the offset is added before the factor",
                "a (x + b) is another function: a x + b.",
                "hashes * factors[k] + offsets[k]", "(hashes + offsets[k]) * factors[k]"),
    ),
)


def _pairs(draw: Draw) -> tuple[Any, ...]:
    count = draw.integer(2, 6)
    return count, [
        (draw.integer(0, count - 1), draw.integer(0, count - 1))
        for _ in range(draw.integer(1, 6))
    ]


def _sets_joined(f: Any, count: int, pairs: list[tuple[int, int]]) -> Any:
    from tinygpt.curation.near import UnionFind

    sets = UnionFind(count)
    told = [bool(f(sets, i, j)) for i, j in pairs]
    return {"told": told, "names": [int(sets.find(i)) for i in range(count)]}


UNION = Exercise(
    name="union-find", title="Who belongs together", kind="write",
    target=f"{NEAR}:UnionFind.join", chapter=CHAPTER, minutes=10, after=("jaccard",),
    about="self.parent[i] is another number of i's set, or i itself for the one that the set is "
    "called by, its root; self.find(i) walks up to that.",
    hints=(
        "Two sets become one when the root of one gets the other root for a parent.",
        "A set is called by its least number: the larger root goes below the smaller one.",
        "What it returns was so before: two different roots are two sets.",
    ),
    call=_pairs, run=_sets_joined, shown="[{f}(UnionFind({0}), i, j) for i, j in {1}]", inputs=150,
    mistakes=(
        mistake("the roots are not looked for",
                "Only the two would be joined, and their sets torn apart.",
                "    i, j = self.find(i), self.find(j)\n", ""),
        mistake("only the first's root is looked for",
                "What was above the second is cut off.",
                "self.find(i), self.find(j)", "self.find(i), j"),
        mistake("the greatest names the set",
                "The least: then names do not change when larger numbers come.",
                "self.parent[max(i, j)] = min(i, j)", "self.parent[min(i, j)] = max(i, j)"),
        mistake("the second always goes below the first",
                "By their numbers, not by their order in the call.",
                "self.parent[max(i, j)] = min(i, j)", "self.parent[j] = i"),
        mistake("it says that they were one",
                "True means that there were two.",
                "return i != j", "return i == j"),
        mistake("it looks when they are joined already",
                "Afterwards all are one.",
                "return i != j", "return self.find(i) != self.find(j)"),
        mistake("it always says that it joined",
                "Of two that were one nothing is joined.",
                "return i != j", "return True"),
    ),
)


def _dealt(draw: Draw) -> tuple[Any, ...]:
    """place, clusters, fractions: places in eighths, on edges too, often none in one split."""
    count = draw.integer(1, 8)
    clusters = np.array([i if draw.integer(0, 3) < 3 else i // 2 for i in range(count)])
    clusters = clusters[clusters]
    fractions = draw.choice(
        ((0.25, 0.5, 0.25), (0.75, 0.125, 0.125), (0.125, 0.75, 0.125), (0.625, 0.375, 0.0))
    )
    places = np.arange(8) / 8
    without = draw.choice((1, 2, None))
    left = places[np.searchsorted(np.cumsum(fractions)[:-1], places, side="right") != without]
    return draw.array((count,), np.float64, left.tolist())[clusters], clusters, fractions


DEAL = Exercise(
    name="deal", title="Whole clusters go to a split", kind="write",
    target="tinygpt.curation.split:deal", chapter=CHAPTER, minutes=45,
    after=("split", "union-find"),
    hints=(
        "First every document goes where its place lies: the fractions' running sums cut [0, 1). "
        "np.searchsorted(edges, place, side='right').",
        "Then the splits that should have something and have nothing, the smallest fraction first "
        "(of equals the first): each takes one cluster.",
        "Of those that may give, splits with more than one cluster, the document whose place is "
        "nearest to the middle of the empty split's stretch; its whole cluster goes.",
    ),
    call=_dealt, inputs=120,
    holds=(
        Holds("no cluster is torn apart",
              lambda f, place, c, s: all(len({*f(place, c, s)[c == one]}) == 1 for one in c)),
    ),
    mistakes=(
        mistake("a document moves, and not its cluster",
                "Its near-duplicates would stay behind, in another split.",
                "split[clusters == nearest] = number",
                "split[free[np.argmin(np.abs(place[free] - middle))]] = number"),
        mistake("empty splits stay empty",
                "A small folder would have nothing to be tested on.",
                "if not fractions[number] or (split == number).any():", "if True:"),
        mistake("a split without a share gets something",
                "A fraction of 0 asks for an empty one.",
                "not fractions[number] or ", ""),
        mistake("a place on an edge goes below",
                "[0, 1) is cut into stretches without their ends: side='right'.",
                'side="right"', 'side="left"'),
        mistake("the largest split is served first",
                "The smallest first: it has the fewest chances.",
                'np.argsort(fractions, kind="stable")',
                'np.argsort(-np.asarray(fractions), kind="stable")'),
        mistake("a split is emptied to fill another",
                "Only one with two clusters and more can give.",
                "> 1]", "> 0]"),
        mistake("the nearest to the beginning of the stretch moves",
                "To its middle.",
                " + fractions[number] / 2", ""),
        mistake("the fractions themselves are taken for edges",
                "Edges are running sums: .75, .875.",
                "np.cumsum(fractions)[:-1]", "np.asarray(fractions)[:-1]"),
    ),
)

EXERCISES = (JACCARD, MINHASH, UNION, DEAL)
