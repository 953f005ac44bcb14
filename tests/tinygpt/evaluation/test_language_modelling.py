"""Bits per byte: bytes of the text, windows that slide, and what stands beside the model."""

import lzma
import math

import numpy as np
import pytest

from tests.tinygpt.evaluation.conftest import SPLIT, TOKENIZERS, model_of
from tinygpt.data.ngrams import growing, loss
from tinygpt.errors import UserError
from tinygpt.evaluation import language_modelling as lm
from tinygpt.evaluation.intervals import difference, ratio
from tinygpt.evaluation.language_modelling import Passage
from tinygpt.evaluation.subject import Local
from tinygpt.evaluation.suite import evaluate
from tinygpt.evaluation.suites.text import TextSuite, documents_of
from tinygpt.evaluation.tables import paired, rows, verdict
from tinygpt.inference.scoring import log_probabilities
from tinygpt.runs.run import Run
from tinygpt.text import DataError
from tinygpt.weights.open import load_model


class ByBytes(Local):
    """Gives each byte 1/256, whatever its tokens are."""

    def _nats(self, rows, first):
        return [
            np.array([math.log(256) * len(self.tokenizer.decode_bytes([one]))
                      for one in row[first:].tolist()])
            for row in rows
        ]


def table(subject, documents, **more):
    results = evaluate(TextSuite(documents, **more), subject)
    return results, {row.name: row.found for row in rows(results)}


def test_the_bytes_are_the_files_under_every_tokenizer(tokenizer, tmp_path):
    path = tmp_path / "split.txt"
    path.write_text(SPLIT, encoding="utf-8", newline="")
    results, _ = table(Local(model_of(tokenizer), tokenizer), documents_of(path))
    assert sum(line["bytes"] for line in results.lines) == path.stat().st_size
    assert sum(line["tokens"] for line in results.lines) == len(tokenizer.encode(SPLIT))


def test_a_uniform_model_has_eight_bits_under_every_tokenizer():
    found = {}
    for name, tokenizer in TOKENIZERS.items():
        subject = ByBytes(model_of(tokenizer), tokenizer)
        _, numbers = table(subject, [Passage("split", SPLIT)])
        found[name] = numbers["bits per byte"].value
    assert found == pytest.approx({"byte": 8.0, "char": 8.0, "bpe": 8.0}, abs=1e-12)


def test_a_model_that_knows_nothing_pays_log_v_a_token(tokenizer):
    model = model_of(tokenizer, louder=0.0)
    _, numbers = table(Local(model, tokenizer), [Passage("split", SPLIT)])
    tokens = len(tokenizer.encode(SPLIT))
    bits = tokens * math.log2(tokenizer.vocab_size) / len(SPLIT.encode())
    assert numbers["bits per byte"].value == pytest.approx(bits, rel=1e-6)
    assert numbers["perplexity per token"].value == pytest.approx(tokenizer.vocab_size, rel=1e-5)


def test_a_text_of_one_window_is_scored_as_by_one_pass(plain):
    text = "the cat sat on the mat. a dog ran"
    (found,) = plain.surprise([text])
    ids = np.array([*plain.opening, *plain.tokenizer.encode(text)])
    log_p = log_probabilities(plain.model, ids[None, :-1])
    np.testing.assert_allclose(found.nats, -log_p[np.arange(len(ids) - 1), ids[1:]], atol=1e-5)
    assert found.ends[-1] == len(text)


def test_every_token_of_a_long_text_sees_half_a_context(plain):
    text = "the cat sat on the mat. a dog ran = 4 and = 44 went home. " * 6
    (found,) = plain.surprise([text])
    ids = np.array([*plain.opening, *plain.tokenizer.encode(text)])
    context, half = plain.context, plain.context // 2
    assert len(found.nats) == len(ids) - 1 > 2 * context
    for at in (1, context - 1, context, context + 1, context + half, len(ids) - 1):
        seen = at if at <= context else half + 1 + (at - context - 1) % half
        log_p = log_probabilities(plain.model, ids[None, at - seen : at])[-1]
        assert found.nats[at - 1] == pytest.approx(-log_p[ids[at]], abs=1e-5), at


def test_texts_side_by_side_are_scored_as_alone(plain):
    texts = ["the cat.", "a dog ran home. " * 9, "", "x", "the mat"]
    for together, text in zip(plain.surprise(texts), texts, strict=True):
        (alone,) = plain.surprise([text])
        np.testing.assert_allclose(together.nats, alone.nats, atol=1e-5)


def test_the_counting_models_are_those_of_ngrams():
    documents = [Passage(str(i), f"the cat number {i} sat down. ") for i in range(30)]
    learned = "the cat number 7 sat down and the dog number 8 ran. " * 20
    lines = [
        {"item": one.name, "bytes": len(one.text), "words": 1, "tokens": 1, "nats": 1.0}
        for one in documents
    ]
    alone = lm.beside(lines, documents, learned)
    whole = "".join(one.text for one in documents).encode()
    fit = np.frombuffer(learned.encode(), np.uint8).astype(np.int64)
    held = np.frombuffer(b"\n" * 4 + whole, np.uint8).astype(np.int64)
    for order, model in enumerate(growing(fit, 256, 5), 1):
        name = {1: "unigram", 2: "bigram", 5: "kneser-ney 5"}.get(order)
        if name is not None:
            wanted = loss(model, held[5 - order :], 256)
            assert sum(line[name] for line in lines) / len(whole) == pytest.approx(wanted)
    raw = 8 * len(lzma.compress(b"\n".join(one.text.encode() for one in documents))) / len(whole)
    assert alone["xz"] < raw < alone["xz"] + 8 * 80 / len(whole)  # xz's frame is about 60 bytes
    assert alone["xz after the training text"] < alone["xz"]


def test_without_a_training_text_no_cluster_is_counted_by_itself():
    """Each half is new to the other: counts of it cost more than the bits of an even draw."""
    documents = [Passage(str(i), chr(65 + i % 2 + 2 * (i // 20)) * 50) for i in range(40)]
    lines = [
        {"item": one.name, "bytes": 50, "words": 1, "tokens": 1, "nats": 1.0} for one in documents
    ]
    lm.beside(lines, documents, None)
    assert all(line["unigram"] > 50 * math.log(26) for line in lines)


def test_two_checkpoints_of_a_run_are_told_apart_in_half_the_width(run, tiny_text):
    opened = Run.open(run)
    documents = documents_of(tiny_text)
    results = [
        evaluate(TextSuite(documents), Local(load_model(opened, step), opened.tokenizer))
        for step in (35, 40)
    ]
    (pair,) = paired(*results)
    rng = np.random.default_rng(0)
    sizes = lm.column(results[0].lines, "bytes")
    unpaired = math.hypot(*(ratio(lm.column(one.lines, "nats"), sizes, rng).error
                            for one in results)) / math.log(2)
    assert pair.change.interval.error <= unpaired / 2
    assert pair.change.detectable == pytest.approx(2.85 * pair.change.interval.error, rel=0.05)
    assert difference(*(lm.column(one.lines, "nats") for one in results), sizes, rng).seen


def test_a_document_that_cannot_be_read_is_left_out_and_named():
    tokenizer = TOKENIZERS["char"]
    documents = [Passage("good", SPLIT), Passage("bad", "Z")]
    results, numbers = table(Local(model_of(tokenizer), tokenizer), documents)
    assert numbers["bits per byte"].value > 0
    assert "1 of 2 left out" in " ".join(verdict(results)) or "bad: " in " ".join(verdict(results))
    with pytest.raises(UserError, match="nothing of the text"):
        table(Local(model_of(tokenizer), tokenizer), [Passage("bad", "Z")])


def test_no_text_is_an_error():
    with pytest.raises(DataError, match="no text to measure on"):
        TextSuite([Passage("empty", "")])


def test_of_a_long_text_as_much_as_asked_is_looked_at():
    many = [Passage(str(i), "x" * 100) for i in range(1000)]
    suite = TextSuite(many, limit=5000)
    assert suite.settings["bytes"] == 5000
    assert suite.notes == ["measured on 5,000 of 100,000 bytes (--bytes)"]
    assert [suite.documents[0].name, suite.documents[-1].name] == ["0", "999"]
    assert TextSuite([Passage("one", "x" * 10_000)], limit=500).settings["bytes"] == 500


def test_a_model_beats_xz_or_is_told_that_it_does_not(plain):
    text = "the cat sat on the mat. a dog ran = 4 and = 44 went home. " * 100
    results, _ = table(plain, [Passage("known", text)])
    assert "cannot be called a model" in " ".join(verdict(results))
