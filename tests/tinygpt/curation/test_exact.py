"""exact.py: equal documents, and paragraphs that are furniture."""

from functools import partial

import numpy as np

from tinygpt.curation import exact


def test_the_first_of_equal_documents():
    texts = ["a", "b", "a", "c", "b", "a"]
    digests = np.frombuffer(b"".join(map(exact.digest, texts)), "<u8").reshape(-1, 2)
    assert exact.first_of_equals(digests).tolist() == [0, 1, 0, 3, 1, 0]
    assert exact.first_of_equals(digests[:0]).tolist() == []


def units_of(documents):
    rows = [
        (hashed, number, unit) for number, text in enumerate(documents)
        for hashed, unit in exact.units(text, "\n\n", 3)
    ]
    return np.array(rows, exact.UNIT)


def test_a_paragraph_of_many_documents_stays_where_it_comes_first(monkeypatch):
    documents = [f"own {i}\n\nlicence\n\nshared {i // 2}" for i in range(8)]
    parts = [units_of(documents[:4]), units_of(documents[4:])]
    found = []
    for block in (1 << 23, 5):  # in one round, in several
        monkeypatch.setattr(exact, "BLOCK", block)
        made = exact.furniture(
            [partial(lambda part: part, part) for part in parts], np.arange(8), [0, 4], (5, 9)
        )
        found.append([
            sorted((int(row["document"]), int(row["unit"])) for rows in part for row in rows)
            for part in made
        ])
    assert found[0] == found[1] == [[(1, 1), (2, 1), (3, 1)], [(0, 1), (1, 1), (2, 1), (3, 1)]]


def test_a_paragraph_twice_in_one_document_is_in_one_document():
    parts = [units_of(["same\n\nsame\n\nsame", "other"])]
    (found,) = exact.furniture([lambda: parts[0]], np.arange(2), [0], (1, 1))
    assert not sum(map(len, found))


def test_paragraphs_and_lines_go_by_their_numbers():
    text = "one\ntwo\n\nthree\nfour\n\nfive"
    assert exact.without(text, {1}, ()) == "one\ntwo\n\nfive"
    assert exact.without(text, (), {1, 3}) == "one\n\nfour\n\nfive"
    assert exact.without(text, {0}, {4, 6}) == "three"
