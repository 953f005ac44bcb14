"""The split: whole documents, or a single text cut where it stands."""

import numpy as np
import pytest

from tinygpt.text import DataError, load_corpus, reading
from tinygpt.text.split import plan_splits, split_pieces


def parts_by_split(corpus, plan):
    texts = {"train": [], "validation": [], "test": []}
    for document, parts in zip(corpus, plan, strict=True):
        for name, piece, _ in split_pieces(document, parts):
            texts[name].append((document.name, piece))
    return texts


def test_documents_are_whole_and_in_one_split_only(folder):
    corpus = load_corpus(folder)
    texts = parts_by_split(corpus, plan_splits(corpus, (0.8, 0.1, 0.1)))
    names = [name for part in texts.values() for name, _ in part]
    assert sorted(names) == sorted(document.name for document in corpus)
    assert [len(texts[s]) for s in ("train", "validation", "test")] == [16, 2, 2]


def test_split_depends_on_the_seed_only(folder):
    corpus = load_corpus(folder)
    plans = [plan_splits(corpus, (0.8, 0.1, 0.1), seed=seed) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]


def test_single_text_is_cut_by_position_as_nanogpt_does(tmp_path, monkeypatch):
    text = "".join(chr(97 + i % 26) for i in range(1009)) + "\n"
    monkeypatch.setattr(reading, "PIECE", 64)
    (tmp_path / "a.txt").write_bytes(text.encode())
    corpus = load_corpus(tmp_path / "a.txt")
    texts = parts_by_split(corpus, plan_splits(corpus, (0.9, 0.1, 0.0)))
    joined = {name: "".join(piece for _, piece in part) for name, part in texts.items()}
    cut = int(len(text) * 0.9)
    assert joined == {"train": text[:cut], "validation": text[cut:], "test": ""}


def test_too_few_documents_for_the_splits_is_an_error(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("text")
    corpus = load_corpus(tmp_path)
    with pytest.raises(DataError, match="2 documents for 3 splits"):
        plan_splits(corpus, (0.8, 0.1, 0.1))
    assert plan_splits(corpus, (0.8, 0.1, 0.1), by_position=True)


def test_nothing_is_lost_or_said_twice_by_position_over_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PIECE", 3)
    for name, text in (("a", "abcdefg"), ("b", "hij"), ("c", "klmnopqrst")):
        (tmp_path / f"{name}.txt").write_text(text)
    corpus = load_corpus(tmp_path)
    plan = plan_splits(corpus, (0.5, 0.25, 0.25), by_position=True)
    assert plan == [
        [("train", 0, 7)], [("train", 0, 3)], [("validation", 0, 5), ("test", 5, 10)],
    ]
    texts = parts_by_split(corpus, plan)
    joined = {name: "".join(piece for _, piece in part) for name, part in texts.items()}
    assert joined == {"train": "abcdefghij", "validation": "klmno", "test": "pqrst"}


def test_the_last_piece_of_a_part_says_so():
    class Four:
        def pieces(self):
            return iter(("abcd", "efgh", "ij"))

    parts = [("train", 0, 6), ("validation", 6, 10)]
    assert list(split_pieces(Four(), parts)) == [
        ("train", "abcd", False), ("train", "ef", True), ("validation", "gh", False),
        ("validation", "ij", True),
    ]
    assert [last for *_, last in split_pieces(Four(), [("train", 0, 8)])] == [False, True]


def test_a_split_without_a_share_gets_no_document(folder):
    corpus = load_corpus(folder)
    plan = plan_splits(corpus, (0.5, 0.0, 0.5))
    names = [name for parts in plan for name, _, _ in parts]
    assert names.count("train") == names.count("test") == 10
    assert all(first == 0 for parts in plan for _, first, _ in parts)


def test_shares_are_of_characters_not_of_documents(tmp_path):
    sizes = [900, 50, 50, 500, 300, 200]
    for i, size in enumerate(sizes):
        (tmp_path / f"{i}.txt").write_text("x" * size)
    corpus = load_corpus(tmp_path)
    for seed in range(5):
        plan = plan_splits(corpus, (0.5, 0.5, 0.0), seed=seed)
        train = sum(size for size, parts in zip(sizes, plan, strict=True) if parts[0][0] == "train")
        assert abs(2 * train - 2000) <= 900  # the halves differ by a document at most


def test_the_split_furthest_below_its_share_is_served_first(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.txt").write_text("x" * 100)
    dealt = plan_splits(load_corpus(tmp_path), (0.8, 0.2, 0.0), seed=3)
    order = np.random.default_rng(3).permutation(5)
    names = [dealt[i][0][0] for i in order]
    assert names == ["train", "validation", "train", "train", "train"]


def test_two_documents_are_enough_for_two_splits(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("text")
    corpus = load_corpus(tmp_path)
    assert plan_splits(corpus, (0.5, 0.5, 0.0)) == plan_splits(corpus, (0.5, 0.5, 0.0), seed=0)
    assert len(plan_splits(corpus, (0.5, 0.5, 0.0))) == 2


def test_no_text_at_all_is_an_error_and_one_character_is_not(tmp_path):
    class Empty(list):
        name, parts = "nothing", ()

    with pytest.raises(DataError, match="nothing has no text"):
        plan_splits(Empty(), (0.9, 0.1, 0.0))
    (tmp_path / "a.txt").write_text("x")
    assert plan_splits(load_corpus(tmp_path / "a.txt"), (0.5, 0.5, 0.0)) == [[("validation", 0, 1)]]
