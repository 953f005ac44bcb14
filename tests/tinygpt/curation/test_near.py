"""near.py, grouping.py: what is found as the formula says, nothing that is not alike is dropped."""

import json
from itertools import combinations

import numpy as np
import pytest

from tinygpt.curation import Account, curate, near
from tinygpt.text.curated import documents, manifest_of

RATES = [  # of bands and rows, and which keys are theirs
    (near.BANDS, near.ROWS, slice(None, near.BANDS)),
    (near.LOOSE_BANDS, near.LOOSE_ROWS, slice(near.BANDS, None)),
]


def sets(alike, rng, size=90):
    """Two sets of hashes whose Jaccard index is as near to `alike` as sizes allow, and it."""
    shared = round(2 * size * alike / (1 + alike))
    drawn = rng.integers(0, 2**64, 2 * size - shared, np.uint64, endpoint=False)
    return drawn[:size], drawn[size - shared :], shared / (2 * size - shared)


@pytest.mark.parametrize("alike", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_candidates_come_as_often_as_the_formula_says(alike):
    """Within the 99 % band of a binomial: hash functions that depend on each other would not."""
    rng, count = np.random.default_rng(int(alike * 10)), 600
    agree = np.zeros((count, near.BANDS + near.LOOSE_BANDS), bool)
    for i in range(count):
        a, b, exact = sets(alike, rng)
        agree[i] = near.keys(a) == near.keys(b)
    for bands, rows, own in RATES:
        expected = 1 - (1 - exact**rows) ** bands
        found = agree[:, own].any(axis=1).mean()
        margin = 2.576 * (expected * (1 - expected) / count) ** 0.5 + 0.5 / count
        assert abs(found - expected) <= margin, (found, expected)
        # and every band alone, together
        alone, each = agree[:, own].mean(), exact**rows
        assert abs(alone - each) <= 4 * (each * (1 - each) / (count * bands)) ** 0.5


def test_jaccard_is_of_sets():
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b = (np.unique(rng.integers(0, 30, rng.integers(0, 25)).astype(np.uint64)) for _ in "ab")
        both, any_ = len(set(a) & set(b)), len(set(a) | set(b))
        assert near.jaccard(a, b) == (both / any_ if any_ else 1.0)


def test_what_is_the_same_for_a_search():
    base = near.shingles("The year 1999, it was said: “Nobody knows!”  Yes.")
    for other in (
        "the YEAR 2024 it was said nobody knows yes",
        "The year 1999\nit was said. Nobody knows?? yes",
    ):
        assert near.jaccard(base, near.shingles(other)) == 1.0
    assert near.jaccard(near.shingles("ọ̀rọ̀ kan"), near.shingles("oro kan")) == 0.0
    assert len(near.shingles("two words")) == 1 and len(near.shingles("")) == 0
    assert len(near.shingles("春眠不觉晓处处闻啼鸟夜来风雨声")) == 7


def test_sets_join():
    sets = near.UnionFind(6)
    assert sets.join(4, 5) and sets.join(1, 4) and not sets.join(5, 1)
    assert sets.names().tolist() == [0, 1, 2, 3, 1, 1]


def text_of(rng, size=120):
    """Words of which none comes twice, in sentences."""
    drawn = rng.integers(0, 26, (size, 7)).astype(np.uint8) + ord("a")
    return [bytes(row).decode() for row in drawn]


def said(words):
    rows = [" ".join(words[i : i + 12]) + "." for i in range(0, len(words), 12)]
    return " ".join(rows)


def pair(rng, alike, size=120):
    """Two texts of about this Jaccard index: their first words are the same."""
    words, whole = text_of(rng, size), size - near.WORDS + 1
    shared = round(2 * whole * alike / (1 + alike))
    return words, words[: size - whole + shared] + text_of(rng, whole - shared)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A corpus of pairs, and for each its Jaccard index and the fates of the two."""
    root, rng = tmp_path_factory.mktemp("near"), np.random.default_rng(3)
    rows, level = [], {}
    for alike in (0.5, 0.6, 0.65, 0.69, 0.72, 0.79, 0.82, 0.85, 0.9, 0.95, 1.0):
        for number in range(60):
            a, b = map(said, pair(rng, alike))
            b = b.upper() if alike == 1.0 else b
            level[f"{alike} {number}"] = near.jaccard(near.shingles(a), near.shingles(b))
            rows += [a, b]
    path = root / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
    rules = root / "rules.toml"
    rules.write_text(
        "[gopher.stop_words]\non = false\n[c4.sentences]\nleast = 1\n[exact]\nparagraphs = 0\n"
    )
    curate(path, root / "out", rules=rules)
    account = Account(root / "out")
    fates = account.rows("SELECT fate, copy_of, cluster, split, id FROM documents ORDER BY id")
    notes = account.note("leaks")
    account.close()
    pairs = [(level_, fates[2 * i], fates[2 * i + 1]) for i, level_ in enumerate(level.values())]
    return root, pairs, notes


def test_copies_are_found_and_nothing_else_is_dropped(planted):
    _, pairs, _ = planted
    found = [(alike, "near.copy" in (a["fate"], b["fate"])) for alike, a, b in pairs]
    above = [dropped for alike, dropped in found if alike >= 0.8]
    assert len(above) > 250 and np.mean(above) >= 0.98
    assert all(dropped for alike, dropped in found if alike == 1.0)
    assert not any(dropped for alike, dropped in found if alike < 0.8)
    assert all({a["fate"], b["fate"]} <= {"kept", "near.copy"} for _, a, b in pairs)
    for _, a, b in pairs:  # a copy names the one that stayed
        for one, other in ((a, b), (b, a)):
            assert (one["fate"] == "near.copy") == (one["copy_of"] == other["id"])


def test_no_document_has_one_like_it_in_another_split(planted):
    root, _, notes = planted
    kept = list(documents(root / "out", manifest_of(root / "out")))
    sets = [near.shingles(one.text) for one in kept]
    where = {}
    for number, hashes in enumerate(sets):
        for h in hashes.tolist():
            where.setdefault(h, []).append(number)
    candidates = {pair for numbers in where.values() for pair in combinations(numbers, 2)}
    across = [(i, j) for i, j in candidates if kept[i].split != kept[j].split]
    alike = np.array([near.jaccard(sets[i], sets[j]) for i, j in across])
    assert len(kept) > 800 and len(candidates) > 200
    assert not (alike >= 0.8).any()
    assert (alike >= 0.6).mean() < 0.05
    assert notes["looked_at_again"] > 0


def test_a_leak_that_the_first_search_misses_is_joined_by_the_second(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [said(words) for _ in range(40) for words in pair(rng, 0.9)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in rows))
    (tmp_path / "r.toml").write_text("[gopher.stop_words]\non = false\n[c4.sentences]\nleast = 1\n")
    monkeypatch.setattr(near, "BANDS", 0)  # the first search finds nothing
    monkeypatch.setattr(near, "FUNCTIONS", (near.FUNCTIONS[0][:0], near.FUNCTIONS[1][:0]))
    curate(tmp_path / "in.jsonl", tmp_path / "out", rules=tmp_path / "r.toml")
    account = Account(tmp_path / "out")
    notes = account.note("leaks")
    splits = [row["split"] for row in account.rows("SELECT split FROM documents ORDER BY id")]
    account.close()
    assert notes["joined"] == 40
    assert splits[::2] == splits[1::2]
