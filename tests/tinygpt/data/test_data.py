"""Shards, batches, baselines, and prepare, which ties them together."""

import json
import math
import os
import shutil

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
from tinygpt.storage.reading import signed
from tinygpt.text import DataError
from tinygpt.tokenizer import CharTokenizer


def write(path, data):
    path.write_bytes(data)
    return path


def test_tokens_read_across_shards_like_one_array(tmp_path):
    everything = np.arange(1000, dtype=np.uint16)
    writer = ShardWriter(tmp_path, "train", np.dtype(np.uint16), shard_tokens=97)
    for part in np.array_split(everything, 13):
        writer.append(part)
    writer.close()
    manifest = {"dtype": "uint16", "vocab_size": 1000, "splits": {"train": writer.files}}
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
    manifest = {"dtype": "uint16", "vocab_size": 10, "splits": {"train": writer.files}}
    with pytest.raises(DataError, match="train-00000.bin is damaged: it has 5 bytes instead of 20"):
        open_tokens(tmp_path, manifest, "train")


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


def test_baselines_of_too_little_are_no_numbers_and_no_crash():
    for held in ([], [1]):
        found = baselines([0, 1, 0], held, 2)
        assert found.uniform == pytest.approx(math.log(2))
        assert math.isnan(found.unigram) and math.isnan(found.bigram)
    assert baselines([0], [0, 1], 2).bigram == pytest.approx(-math.log(1 / 3))
    assert baselines([0, 0], [0, 0, 0], 1) == (0.0, 0.0, 0.0)


def test_the_advice_for_a_short_text_is_a_context_that_fits():
    with pytest.raises(DataError, match="set model.context = 7 or less"):
        BatchLoader(np.arange(8), 1, 8, np.random.default_rng(0))
    BatchLoader(np.arange(8), 1, 7, np.random.default_rng(0))
    with pytest.raises(DataError, match=r"has 1 tokens.*Give more text\.$"):
        BatchLoader(np.arange(1), 1, 1, np.random.default_rng(0))


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


@pytest.fixture
def prepared(tmp_path):
    """A folder of tokens, about 1,000 to learn from."""
    path = write(tmp_path / "text.txt", b"the cat sat on the mat and saw a dog. " * 40)
    prepare(path, "char", tmp_path / "tokens", split=(0.7, 0.3, 0.0), by_position=True)
    return tmp_path / "tokens"


def resigned(folder, change):
    """Change a manifest and sign it anew, as somebody who means harm would."""
    values = json.loads((folder / MANIFEST).read_bytes())
    del values["sha256"]
    change(values)
    (folder / MANIFEST).write_text(json.dumps(signed(values)))


def without_checksums(values):
    for shards in values["splits"].values():
        for shard in shards:
            del shard["sha256"]


def test_every_altered_token_is_noticed(prepared):
    path = prepared / "train-00000.bin"
    ids = np.fromfile(path, np.uint16)
    (ids ^ 1).tofile(path)
    with pytest.raises(DataError, match="train-00000.bin is damaged: it was altered"):
        _ = open_dataset(prepared).train
    assert len(open_dataset(prepared).validation)


def test_a_manifest_cannot_be_altered_unnoticed(prepared):
    text = (prepared / MANIFEST).read_text()
    assert text.count("validation-00000.bin") == 1
    for old, new in (("validation-00000", "train-00000"), ('"seed": 0', '"seed": 1'),
                     ('"uint16"', '"uint32"')):
        (prepared / MANIFEST).write_text(text.replace(old, new))
        with pytest.raises(DataError, match="checksum is another"):
            open_dataset(prepared)


@pytest.mark.parametrize("name", ["../outside.bin", "/etc/passwd", "validation-00000.bin", ""])
def test_a_shard_is_where_it_belongs_whatever_a_signed_manifest_says(prepared, name):
    shutil.copy(prepared / "train-00000.bin", prepared.parent / "outside.bin")
    resigned(prepared, lambda values: values["splits"]["train"][0].update(file=name))
    with pytest.raises(DataError, match="cannot be shard 0 of train"):
        _ = open_dataset(prepared).train


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values["splits"]["train"][0].update(tokens=10**12), "instead of"),
        (lambda values: values["splits"]["train"][0].update(tokens=-1), "whole number"),
        (lambda values: values["splits"].update(train=3), "not a list"),
        (lambda values: values.update(dtype="object"), "'uint16' or 'uint32'"),
        (lambda values: values.update(vocab_size=3), "ids"),
        (lambda values: values["made_from"].update(text="other"), "fingerprint"),
        (lambda values: values.update(format=2), "format"),
    ],
)
def test_a_signed_manifest_that_lies_is_refused(prepared, change, words):
    resigned(prepared, change)
    with pytest.raises(DataError, match=words):
        _ = open_dataset(prepared).train


def test_tokens_of_earlier_versions_open_and_their_ids_are_bounded(prepared):
    expected = open_dataset(prepared).train[:]
    values = json.loads((prepared / MANIFEST).read_bytes())
    del values["sha256"]
    without_checksums(values)
    (prepared / MANIFEST).write_text(json.dumps(values))
    np.testing.assert_array_equal(open_dataset(prepared).train[:], expected)
    ids = np.fromfile(prepared / "train-00000.bin", np.uint16)
    ids[77] = 500
    ids.tofile(prepared / "train-00000.bin")
    with pytest.raises(DataError, match="holds the id 500"):
        _ = open_dataset(prepared).train


def test_a_shard_cut_while_it_is_read_is_an_error_in_words(prepared):
    """A mapped file would end the process with SIGBUS here."""
    loader = BatchLoader(open_dataset(prepared).train, 8, 16, np.random.default_rng(0))
    next(loader)
    os.truncate(prepared / "train-00000.bin", 0)
    with pytest.raises(DataError, match="train-00000.bin was cut while it was in use"):
        next(loader)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that share a file's position")
def test_forked_processes_read_one_shard_at_their_own_places(prepared):
    tokens = open_dataset(prepared).train
    expected = tokens[:].tobytes()

    def reads_its_own(at):
        return all(
            tokens[at : at + 100].tobytes() == expected[2 * at : 2 * at + 200] for _ in range(300)
        )

    child = os.fork()
    if child == 0:
        os._exit(0 if reads_its_own(500) else 1)
    assert reads_its_own(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_damaged_folder_is_made_again_by_prepare(prepared):
    whole = (prepared / MANIFEST).read_bytes()
    (prepared / MANIFEST).write_bytes(whole[:-30])
    again = prepare(prepared.parent / "text.txt", "char", prepared, split=(0.7, 0.3, 0.0),
                    by_position=True)
    assert len(again.train) and (prepared / MANIFEST).read_bytes() == whole
