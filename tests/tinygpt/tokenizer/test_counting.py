"""Words counted in both engines, from texts in any parts, within a limit."""

from __future__ import annotations

import io

import pytest

from tinygpt.machine import memory
from tinygpt.tokenizer import TokenizerError, compiled, counting
from tinygpt.tokenizer.bpe import BYTE_IDS
from tinygpt.tokenizer.compiled import Counter, MergeTrainer
from tinygpt.tokenizer.counting import WordCounts

MB = 1 << 20
needs_c = pytest.mark.skipif(not compiled.available(), reason="needs the C extension")
TEXT = b"one two  two 3\n\xff two one"
COUNTS = {b"one": 1, b" two": 3, b" ": 1, b" 3": 1, b"\n": 1, b"\xff": 1, b" one": 1}


@pytest.fixture(params=[pytest.param("c", marks=needs_c), "python"])
def engine(request, monkeypatch):
    monkeypatch.setenv("TINYGPT_TOKENIZER", request.param)
    return request.param


def test_words_are_counted(engine):
    with WordCounts("gpt2") as words:
        assert not words and len(words) == 0 and not words.spilled
        words.add(TEXT)
        assert words and len(words) == 7 and dict(words.items()) == COUNTS
        words.add("one")
        words.add("")
        assert dict(words.items()) == COUNTS | {b"one": 2}


@pytest.mark.parametrize("pattern", ["gpt2", r"(?<!z)\w+|\W"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_a_stream_counts_as_the_whole_text(engine, monkeypatch, pattern, chunk):
    monkeypatch.setattr(counting, "_CHUNK", chunk)
    with WordCounts(pattern) as whole, WordCounts(pattern) as parts:
        whole.add(TEXT)
        parts.add_stream(io.BytesIO(TEXT))
        assert dict(parts.items()) == dict(whole.items())


@needs_c
def test_a_limit_leaves_what_the_program_does_not_take(monkeypatch):
    monkeypatch.setattr(memory, "resident_bytes", lambda: 60 * MB)
    least = (60 + 24 + 16) * MB
    assert WordCounts("gpt2", least)._budget == 16 * MB
    assert WordCounts("gpt2", least + 5)._budget == 16 * MB + 5
    with pytest.raises(TokenizerError, match="105 MB is too small: .*takes 88 MB.*least 105 MB"):
        WordCounts("gpt2", least - 1)
    monkeypatch.setattr(memory, "resident_bytes", lambda: 0)  # it cannot be known
    assert WordCounts("gpt2", (100 + 24 + 16) * MB)._budget == 16 * MB
    assert WordCounts("gpt2")._budget == 0


@needs_c
def test_an_index_that_would_not_fit_goes_to_the_disk():
    for budget, on_disk in ((0, False), (1 << 40, False), (8 * MB, True)):
        with WordCounts("gpt2") as words:
            words.add(TEXT)
            words._budget = budget
            trainer = words.trainer()
            assert isinstance(trainer, compiled.TapeTrainer) == on_disk == words.spilled
            assert trainer.run(1, 1).tolist() == [[BYTE_IDS[b] for b in b"tw"]] and len(words) == 7


@needs_c
def test_a_limit_below_the_counts_of_pairs_is_said():
    with WordCounts("gpt2") as words:
        words.add(TEXT)
        words._budget = 1000
        with pytest.raises(TokenizerError, match="too small for the counts of this text's pairs"):
            words.trainer()


def test_without_c_there_is_no_compiled_trainer(monkeypatch):
    monkeypatch.setenv("TINYGPT_TOKENIZER", "python")
    words = WordCounts("gpt2")
    words.add(TEXT)
    with pytest.raises(RuntimeError, match="were counted without C"):
        words.trainer()


# --- the C as objects ---------------------------------------------------------------------------


@needs_c
def test_a_counter_takes_what_more_text_could_not_change():
    counter = Counter("gpt2")
    assert counter.add(b"one two", is_last=False) == 3 and len(counter) == 1
    assert counter.add(b" two", is_last=True) == 4 and not counter.is_full
    counter.add_word(b"one", 4)
    assert dict(counter.items()) == {b"one": 5, b" two": 1} and counter.text_size == 7
    assert counter.memory > 0
    assert Counter("gpt2").items() == []


@needs_c
def test_a_counter_that_is_full_says_so_and_is_emptied(tmp_path):
    counter = Counter("gpt2")
    data = b"".join(b" %d" % number for number in range(10**5, 2 * 10**5))
    taken = counter.add(data, True, 2 * MB)
    assert counter.is_full and 0 < taken < len(data) and counter.memory <= 2 * MB
    counter.spill(str(tmp_path / "run"))
    assert len(counter) == 0 and (tmp_path / "run").stat().st_size > 0
    with pytest.raises(OSError, match="temporary file"):
        counter.spill(str(tmp_path / "none/run"))


@needs_c
def test_a_trainer_goes_on_until_no_pair_is_seen_often_enough():
    counter = Counter("gpt2")
    counter.add_word(b"aaaa", 2)
    counter.add_word(b"bb", 1)
    trainer = MergeTrainer(counter, BYTE_IDS)
    assert trainer.run(1, 2).tolist() == [[64, 64]]
    assert trainer.run(9, 2).tolist() == [[256, 256]]


@pytest.mark.parametrize(
    ("code", "error"), [(-1, MemoryError), (-2, OSError), (-3, TokenizerError), (-4, MemoryError)]
)
def test_what_c_answers_below_zero_is_an_error(code, error):
    with pytest.raises(error):
        compiled._check(code)
    assert [compiled._check(answer) for answer in (0, 7)] == [0, 7]


def test_which_engine_runs_is_said(monkeypatch):
    monkeypatch.setenv("TINYGPT_TOKENIZER", "python")
    assert not compiled.available() and compiled.what_runs().startswith("Python, because")
    with pytest.raises(RuntimeError, match="is not here; `unset TINYGPT_TOKENIZER`"):
        Counter("gpt2")
    real = compiled.importlib.import_module

    def missing(name):
        if name.startswith("tinygpt.tokenizer.c"):
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(compiled.importlib, "import_module", missing)
    for wanted in ("auto", ""):
        monkeypatch.setenv("TINYGPT_TOKENIZER", wanted)
        assert not compiled.available() and "fifty times slower" in compiled.what_runs()
    monkeypatch.setenv("TINYGPT_TOKENIZER", "c")
    with pytest.raises(RuntimeError, match="=c, but it was not built"):
        compiled.available()
