"""WordPiece: the ids of BERT's own tokenizer, where a developer has it, and what is refused."""

import json

import numpy as np
import pytest

from tests.tinygpt.exchange.models import made
from tinygpt.exchange.huggingface_folder import open_folder, write_folder
from tinygpt.inference.embedding import embed
from tinygpt.tokenizer import TokenizerError, from_json

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the cat sat un ##believ ##able ##s e ##cafe cafe , . ! ' $ 1 2 "
    "##2 ##3 日 本 ß σ ##ς straße über uber a ##b ##bc abc"
).split()


def text_of(**changes):
    """A tokenizer.json as BERT's."""
    names = WORDS[:5]
    data = {
        "version": "1.0", "added_tokens": [{"id": i, "content": n} for i, n in enumerate(names)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100,
                  "vocab": {word: i for i, word in enumerate(WORDS)}},
    }
    return json.dumps({**data, **changes})


def test_words_are_cut_into_the_longest_pieces():
    tokenizer = from_json(text_of())
    pieces = [WORDS[i] for i in tokenizer.encode("The unbelievables sat, CAFÉ! dog 日本")]
    assert pieces == [
        "the", "un", "##believ", "##able", "##s", "sat", ",", "cafe", "!", "[UNK]", "日", "本",
    ]
    assert tokenizer.decode(tokenizer.encode("the unbelievable cat")) == "the unbelievable cat"
    assert tokenizer.encode("[MASK]", allowed_special="all") == [4]
    assert from_json(tokenizer.to_json()).encode("abc ab") == tokenizer.encode("abc ab")


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("accents", [None, False, True])
def test_ids_are_those_of_tokenizers(lower, accents, count):
    tokenizers = pytest.importorskip("tokenizers", reason="an oracle that is not installed")
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                  "strip_accents": accents, "lowercase": lower}
    added = [
        {"id": i, "content": n, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True} for i, n in enumerate(WORDS[:5])
    ]
    text = text_of(normalizer=normalizer, added_tokens=added)
    ours, theirs = from_json(text), tokenizers.Tokenizer.from_str(text)
    rng = np.random.default_rng(0)
    parts = [*WORDS[5:], "THE", "Café", "e\u0301", "ÜBER", " ", "\n", "\t", "\u00a0", "\u3000", "x",
             "\x00", "\ufffd", "\u200d", "İ", "Σ", "$", "€", "_", "^", "`", "¿", "—", "🙂", "22",
             "a" * 101, "", "\u2028"]
    parts = [part.removeprefix("##") for part in parts]
    for _ in range(count):
        line = "".join(rng.choice(parts, rng.integers(1, 9)))
        assert ours.encode(line) == theirs.encode(line).ids, repr(line)


def test_a_bert_folder_with_wordpiece_embeds_and_goes_out_as_it_came(tmp_path):
    tokenizer = from_json(text_of())
    model = made("bert", vocab_size=len(WORDS))
    write_folder(tmp_path / "a", model, tokenizer)
    again, read = open_folder(tmp_path / "a")
    write_folder(tmp_path / "b", again, read)
    a, b = (tmp_path / name / "tokenizer.json" for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    ids = np.array([[2, *tokenizer.encode("the cat"), 3]])  # between [CLS] and [SEP]
    right = model.vectors(ids, np.array([4])).data.mean(1)
    np.testing.assert_allclose(
        embed(again, read, ["the cat"]), right / np.linalg.norm(right), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "'Lowercase'"),
        ({"pre_tokenizer": None}, "by None"),
        ({"added_tokens": [{"id": 9, "content": "[MASK]"}]}, "added_tokens"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0, "b": 0}}}, "vocab"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "'model' is damaged"),
        ({"model": {"type": "WordPiece", "vocab": {}}}, "vocab"),
    ],
)
def test_a_file_that_is_none_is_refused_in_words(changes, words):
    with pytest.raises(TokenizerError) as refused:
        from_json(text_of(**changes))
    assert words in str(refused.value)
