"""Corpora, the split, shards, batches, baselines, and prepare, which ties them together."""

import json
import math

import numpy as np
import pytest

from tinygpt.data import (
    BatchLoader,
    Tokens,
    baselines,
    evaluation_batches,
    open_dataset,
    prepare,
)
from tinygpt.data.shards import MANIFEST, ShardWriter, open_tokens, replaced_folder
from tinygpt.text import DataError, load_corpus
from tinygpt.text import corpus as corpus_module
from tinygpt.text.split import plan_splits, split_pieces
from tinygpt.tokenizer import CharTokenizer


@pytest.fixture
def folder(tmp_path):
    """Twenty small documents in a folder, with files that are not texts between them."""
    root = tmp_path / "texts"
    (root / "deep").mkdir(parents=True)
    for number in range(20):
        name = f"deep/{number:02d}.md" if number % 2 else f"{number:02d}.txt"
        (root / name).write_text(f"document {number} says hello " * 5)
    (root / "picture.png").write_bytes(b"\x89PNG")
    return root


def write(path, data):
    path.write_bytes(data)
    return path


# -- corpora ---------------------------------------------------------------------------------------


def test_folder_is_read_in_sorted_order_texts_only(folder):
    names = [document.name for document in load_corpus(folder)]
    assert names == sorted(names) and len(names) == 20


def test_python_corpus_is_the_library_without_packages_and_tests():
    names = [document.name for document in load_corpus("python")]
    assert "argparse.py" in names and "json/decoder.py" in names
    assert not [n for n in names if "site-packages" in n or n.startswith("test/")]
    assert names == sorted(names, key=lambda name: name.split("/"))


def test_bom_and_line_ends_are_cleaned(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfone\r\ntwo\n")
    assert next(iter(load_corpus(path))).text == "one\ntwo\n"


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64])
def test_pieces_join_to_the_whole_text_whatever_their_size(tmp_path, monkeypatch, piece):
    text = "naïve café\n\u4f60\u597d\u4e16\u754c\nno end \U0001f600\U0001f600 " * 3
    monkeypatch.setattr(corpus_module, "PIECE", piece)
    assert next(iter(load_corpus(write(tmp_path / "a.txt", text.encode())))).text == text


def test_a_text_in_pieces_has_the_ids_of_the_whole(tmp_path, monkeypatch):
    text = "One line, then another.\n\n\n  indented 123\n\tand more\n" * 200
    path = write(tmp_path / "a.txt", text.encode())
    whole = prepare(path, "bpe", tmp_path / "whole", vocab_size=300)
    monkeypatch.setattr(corpus_module, "PIECE", 100)
    pieces = prepare(path, whole.tokenizer, tmp_path / "pieces")
    np.testing.assert_array_equal(whole.train[:], pieces.train[:])


@pytest.mark.parametrize("piece", [4, 1 << 20])
def test_bytes_that_are_not_utf8_name_file_and_offset(tmp_path, monkeypatch, piece):
    path = write(tmp_path / "latin.txt", b"fine\nalso fine\n" + b"caf\xe9 au lait\n")
    monkeypatch.setattr(corpus_module, "PIECE", piece)
    with pytest.raises(DataError, match=r"latin\.txt is not UTF-8: byte 0xe9 at offset 18"):
        _ = next(iter(load_corpus(path))).text
    assert "caf\ufffd au lait" in next(iter(load_corpus(path, errors="replace"))).text


def test_a_character_cut_off_at_the_end_is_an_error(tmp_path):
    path = write(tmp_path / "a.txt", "caf\u00e9".encode()[:-1])
    with pytest.raises(DataError, match="offset 3"):
        _ = next(iter(load_corpus(path))).text


def test_empty_missing_and_textless_sources_say_so(tmp_path):
    with pytest.raises(DataError, match="empty"):
        load_corpus(write(tmp_path / "empty.txt", b""))
    with pytest.raises(DataError, match="no file or folder"):
        load_corpus(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="no .txt, .md, .py files"):
        load_corpus(tmp_path / "bare")


def test_fingerprint_follows_content_not_time(folder):
    before = load_corpus(folder).fingerprint
    (folder / "00.txt").write_text((folder / "00.txt").read_text())
    assert load_corpus(folder).fingerprint == before
    (folder / "00.txt").write_text("changed")
    assert load_corpus(folder).fingerprint != before


# -- split -----------------------------------------------------------------------------------------


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
    corpus = load_corpus(write(tmp_path / "a.txt", text.encode()))
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


# -- shards ----------------------------------------------------------------------------------------


def test_tokens_read_across_shards_like_one_array(tmp_path):
    everything = np.arange(1000, dtype=np.uint16)
    writer = ShardWriter(tmp_path, "train", np.dtype(np.uint16), shard_tokens=97)
    for part in np.array_split(everything, 13):
        writer.append(part)
    writer.close()
    manifest = {"dtype": "uint16", "splits": {"train": writer.files}}
    tokens = open_tokens(tmp_path, manifest, "train")
    assert len(writer.files) == 11 and len(tokens) == 1000
    for low, high in ((0, 1000), (96, 98), (5, 5), (97, 194), (-3, None), (990, 2000)):
        np.testing.assert_array_equal(tokens[low:high], everything[low:high])
    assert tokens[-1] == 999
    with pytest.raises(IndexError):
        tokens[1000]


def test_a_truncated_shard_is_named(tmp_path):
    writer = ShardWriter(tmp_path, "train", np.dtype(np.uint16))
    writer.append(np.arange(10))
    writer.close()
    (tmp_path / "train-00000.bin").write_bytes(b"12345")
    with pytest.raises(DataError, match="train-00000.bin is damaged: 5 bytes instead of 20"):
        open_tokens(tmp_path, {"dtype": "uint16", "splits": {"train": writer.files}}, "train")


def test_a_failed_write_leaves_the_old_folder(tmp_path):
    target = tmp_path / "tokens"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(RuntimeError), replaced_folder(target) as aside:
        (aside / "new").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["tokens", "old"]


def test_an_unwritable_place_is_a_user_error(tmp_path):
    with (
        pytest.raises(DataError, match="cannot write the tokens"),
        replaced_folder(write(tmp_path / "file", b"") / "tokens"),
    ):
        pass


# -- batches ---------------------------------------------------------------------------------------


def test_batches_are_windows_and_their_shift():
    tokens = np.arange(1000, dtype=np.uint16)
    x, y = next(BatchLoader(tokens, 5, 16, np.random.default_rng(0)))
    assert x.shape == y.shape == (5, 16) and x.dtype == np.int64
    np.testing.assert_array_equal(y, x + 1)
    np.testing.assert_array_equal(x[:, 1:], x[:, :-1] + 1)


def test_every_start_is_drawn_the_last_one_too():
    loader = BatchLoader(np.arange(10), 64, 7, np.random.default_rng(0))
    starts = {int(s) for _ in range(5) for s in next(loader)[0][:, 0]}
    assert starts == {0, 1, 2}


def test_loader_goes_on_exactly_where_its_state_was_saved():
    tokens = np.arange(10_000)
    loader = BatchLoader(tokens, 4, 8, np.random.default_rng(5))
    for _ in range(7):
        next(loader)
    state = json.loads(json.dumps(loader.state_dict()))
    expected = [next(loader)[0] for _ in range(5)]
    other = BatchLoader(tokens, 4, 8, np.random.default_rng(99))
    other.load_state_dict(state)
    np.testing.assert_array_equal([next(other)[0] for _ in range(5)], expected)


@pytest.mark.parametrize("length", [9, 10, 16, 17, 18, 100, 129])
def test_evaluation_asks_for_every_token_once(length):
    tokens = np.arange(length, dtype=np.uint16)
    targets = np.concatenate([y.ravel() for _, y in evaluation_batches(tokens, 3, 8)])
    np.testing.assert_array_equal(np.sort(targets), np.arange(1, length))


def test_limited_evaluation_is_spread_over_the_split():
    tokens = np.arange(10_001)
    targets = np.concatenate([y.ravel() for _, y in evaluation_batches(tokens, 4, 10, 200)])
    assert len(targets) == 200 and targets.min() < 500 and targets.max() > 9500


def test_text_shorter_than_the_context_is_an_error():
    with pytest.raises(DataError, match="8 tokens, too few for a context of 8"):
        BatchLoader(np.arange(8), 1, 8, np.random.default_rng(0))
    with pytest.raises(DataError, match="too few"):
        next(evaluation_batches(np.arange(3), 1, 8))


# -- baselines -------------------------------------------------------------------------------------


def test_baselines_of_independent_tokens_are_their_entropy():
    rng = np.random.default_rng(0)
    p = np.array([0.5, 0.25, 0.125, 0.125])
    train, held = (rng.choice(4, n, p=p) for n in (200_000, 50_000))
    entropy = -(p * np.log(p)).sum()
    found = baselines(train, held, 4)
    assert found.uniform == pytest.approx(math.log(4))
    assert found.unigram == pytest.approx(entropy, abs=0.01)
    assert found.bigram == pytest.approx(entropy, abs=0.01)


def test_bigram_sees_a_cycle_where_unigram_sees_nothing():
    cycle = np.arange(5000) % 7
    found = baselines(cycle, cycle[:500], 7)
    assert found.unigram == pytest.approx(math.log(7), abs=0.01)
    assert found.bigram < 0.05


def test_a_token_never_seen_in_training_costs_a_finite_loss():
    found = baselines(np.zeros(100, int), np.array([0, 1, 2, 0]), 3)
    assert all(math.isfinite(value) for value in found)


# -- prepare ---------------------------------------------------------------------------------------


def test_prepared_tokens_decode_to_the_text(tmp_path):
    text = "Hello there, reader.\n" * 50
    path = write(tmp_path / "a.txt", text.encode())
    data = prepare(path, "char", tmp_path / "tokens", split=(0.9, 0.1, 0.0))
    assert data.tokenizer.decode(data.train[:]) + data.tokenizer.decode(data.validation[:]) == text
    assert data.train.dtype == np.uint16 and len(data.test) == 0
    assert data.manifest["characters"]["train"] == 945


def test_documents_are_separated(tmp_path, folder):
    chars = prepare(folder, "char", tmp_path / "c")
    assert chars.tokenizer.decode(chars.test[:]).count("\n\n") == 2
    bpe = prepare(folder, "bpe", tmp_path / "b", vocab_size=300)
    end = bpe.tokenizer.special_tokens["<|endoftext|>"]
    counts = [int((bpe.tokens(s)[:] == end).sum()) for s in ("train", "validation", "test")]
    assert counts == [16, 2, 2]


def test_prepared_folder_is_reused_until_something_changes(tmp_path, folder):
    out = tmp_path / "tokens"
    first = prepare(folder, "char", out)
    stamp = (out / MANIFEST).stat().st_mtime_ns
    again = prepare(folder, "char", out)
    assert (out / MANIFEST).stat().st_mtime_ns == stamp
    assert again.fingerprint == first.fingerprint == open_dataset(out).fingerprint
    (folder / "00.txt").write_text("other words, hello")
    assert prepare(folder, "char", out).fingerprint != first.fingerprint
    assert prepare(folder, "bpe", out, vocab_size=280).manifest["vocab_size"] <= 280
    assert prepare(folder, "bpe", out, vocab_size=280, seed=3).manifest["made_from"]["seed"] == 3


def test_same_call_same_bytes(tmp_path):
    for name in "ab":
        prepare("stories", "bpe", tmp_path / name, stories_mb=0.05, vocab_size=400)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in "ab")
    assert one == two


def test_a_given_tokenizer_and_a_saved_one_are_used(tmp_path, folder):
    tokenizer = CharTokenizer.train("abcdefghijklmnopqrstuvwxyz 0123456789\n")
    given = prepare(folder, tokenizer, tmp_path / "given")
    tokenizer.save(tmp_path / "tokenizer.json")
    saved = prepare(folder, tmp_path / "tokenizer.json", tmp_path / "saved")
    np.testing.assert_array_equal(given.train[:], saved.train[:])
    assert saved.vocab_size == 38


def test_wide_vocabularies_take_uint32(tmp_path):
    everything = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000))) + "".join(
        map(chr, range(0x20000, 0x20000 + 50_000))
    )
    path = write(tmp_path / "a.txt", everything.encode())
    data = prepare(path, "char", tmp_path / "tokens")
    assert data.train.dtype == np.uint32 and data.vocab_size == 70_000
    assert isinstance(data.train, Tokens)


def test_special_names_in_the_text_are_ordinary_characters(tmp_path):
    text = "see <|endoftext|> here\n" * 30
    data = prepare(write(tmp_path / "a.txt", text.encode()), "bpe", tmp_path / "t", vocab_size=270)
    end = data.tokenizer.special_tokens["<|endoftext|>"]
    assert (data.train[:] == end).sum() == 1  # only the end of the text


def test_a_folder_without_tokens_is_not_a_dataset(tmp_path):
    with pytest.raises(DataError, match="no prepared tokens"):
        open_dataset(tmp_path)


def test_errors_replace_is_a_setting_of_the_run(tmp_path):
    from tinygpt.config import load_config
    from tinygpt.pretraining.objective import prepare_data

    path = write(tmp_path / "a.txt", b"caf\xe9 au lait\n" * 50)
    settings = [f"data.source={path}", "tokenizer.kind=char", "data.split=0.8,0.1,0.1"]
    with pytest.raises(DataError, match="data.errors=replace"):
        prepare_data(load_config(None, settings), tmp_path / "t", None)
    config = load_config(None, [*settings, "data.errors=replace"])
    data = prepare_data(config, tmp_path / "t", None)
    assert "caf\ufffd" in data.tokenizer.decode(data.train[:20])
