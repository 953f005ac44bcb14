"""The split: whole documents, or a single text cut where it stands."""


import pytest

from tinygpt.text import DataError, load_corpus
from tinygpt.text import corpus as corpus_module
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
    monkeypatch.setattr(corpus_module, "PIECE", 64)
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
