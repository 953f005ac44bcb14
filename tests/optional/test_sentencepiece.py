"""SentencePiece's own encoder against ours, on models that it trains here.

    SENTENCEPIECE_TEXTS=10000 python -m pytest tests/optional/test_sentencepiece.py
"""

import io
import os
import random

import numpy as np
import pytest

from tinygpt.text import stories
from tinygpt.tokenizer.formats import from_json
from tinygpt.tokenizer.sentencepiece_files import from_lists, read_model

sentencepiece = pytest.importorskip("sentencepiece", reason="the oracle is not installed")
TEXTS = int(os.environ.get("SENTENCEPIECE_TEXTS", 300))
ODD = (
    "👩‍👩‍👧 ☺ \r\n \t  ÀÉ e\u0301 ﬁ ½ 漢字 עברית ▁ \u00a0 \u3000 Ａ \x00 \x01 aaaa ----- ......... "
    "<s> <0x41> <unk> 한국어 각 \ufeff \u200b ¨ <sep> ab<sep><sep>x ing"
).split(" ") + ["  ", "   "]
LOSSLESS = {
    "normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True,
}
MODELS = {
    "unigram": {},
    "unigram, bytes": {"vocab_size": 700, **LOSSLESS},
    "unigram, symbols": {"user_defined_symbols": ["<sep>", "ing"], "control_symbols": ["<ctl>"]},
    "unigram, across spaces": {"split_by_whitespace": False},
    "unigram, spaces behind": {"treat_whitespace_as_suffix": True},
    "unigram, case folded": {"normalization_rule_name": "nmt_nfkc_cf"},
    "bpe": {},
    "bpe, bytes": {"vocab_size": 700, "split_digits": True, **LOSSLESS},
    "bpe, symbols": {"user_defined_symbols": ["<sep>", "ing"]},
    "bpe, across spaces": {
        "split_by_whitespace": False, "allow_whitespace_only_pieces": True,
        "remove_extra_whitespaces": False,
    },
    "bpe, no prefix": {"add_dummy_prefix": False},
}


@pytest.fixture(scope="module")
def text():
    return "\n".join(stories.generate(300_000, np.random.default_rng(0)))


def trained(text, **settings):
    """The bytes of a model that sentencepiece trained."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.splitlines()), model_writer=out, minloglevel=2,
        **{"vocab_size": 400, "num_threads": 1, "hard_vocab_limit": False, **settings},
    )
    return out.getvalue()


def strange_texts(text):
    chance = random.Random(0)
    for _ in range(TEXTS):
        at = chance.randrange(len(text))
        made = text[at : at + chance.randrange(200)]
        for _ in range(chance.randrange(5)):
            at = chance.randrange(len(made) + 1)
            made = made[:at] + chance.choice(ODD) + made[at:]
        if chance.random() < 0.1:
            made = "".join(chr(chance.choice((
                chance.randrange(32, 127), chance.randrange(32, 0x3000),
                chance.randrange(0x1F300, 0x1F700),
            ))) for _ in range(40))
        yield made


@pytest.mark.parametrize("name", MODELS)
def test_every_id_is_theirs(name, text):
    kind = name.split(",")[0]
    model = trained(text, model_type=kind, **MODELS[name])
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
    ours = read_model(model)
    saved = from_json(ours.to_json())
    for made in strange_texts(text):
        ids = theirs.encode(made)
        assert ours.encode(made, disallowed_special=()) == ids, made
        assert saved.encode(made, disallowed_special=()) == ids, made
        assert ours.decode(ids) == theirs.decode(ids)


def test_the_lists_of_a_gguf_say_the_same(text):
    model = trained(text, model_type="bpe", vocab_size=700, **LOSSLESS)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
    whole = read_model(model)
    ours = from_lists(whole.pieces, whole.scores, whole.types)
    for made in strange_texts(text):
        assert ours.encode(made, disallowed_special=()) == theirs.encode(made)
