"""Our exports opened by transformers, where a developer has it: the same logits and ids."""

import json

import numpy as np
import pytest

from tests.tinygpt.exchange.models import FAMILIES, made, tokenizer_of
from tinygpt.exchange.huggingface_folder import open_folder, own_form, read_form, write_folder
from tinygpt.inference.templates import prompt_ids
from tinygpt.model import EncoderDecoder
from tinygpt.runs.chat_form import ChatForm
from tinygpt.tokenizer import BPETokenizer, train_bpe
from tinygpt.tokenizer.huggingface import SINGLE_DIGITS

torch = pytest.importorskip("torch", reason="an oracle that is not installed: torch")
transformers = pytest.importorskip(
    "transformers", reason="an oracle that is not installed: pip install transformers"
)

CLASSES = {
    "bert": "AutoModelForMaskedLM", "albert": "AutoModelForMaskedLM", "t5": "AutoModelForSeq2SeqLM",
}


def opened(folder, name):
    """Their model of a folder, and what it says of the loading."""
    kind = getattr(transformers, CLASSES.get(name.split()[0], "AutoModelForCausalLM"))
    model, info = kind.from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager"
    )
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    return model.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_of_an_export(name, tmp_path):
    model = made(name)
    write_folder(tmp_path, model, tokenizer_of(model.shape.vocab_size))
    theirs = opened(tmp_path, name)
    ids = np.random.default_rng(1).integers(0, model.shape.vocab_size, (2, 13))
    with torch.no_grad():
        if isinstance(model, EncoderDecoder):
            right = theirs(input_ids=torch.tensor(ids), decoder_input_ids=torch.tensor(ids)).logits
            found = model(ids, np.array([13, 13]), ids).data
        else:
            right, found = theirs(torch.tensor(ids)).logits, model(ids).data
    np.testing.assert_allclose(found, right.numpy(), rtol=0, atol=2e-4)
    assert np.ptp(found) > 1  # something to compare


# --- tokenizers ----------------------------------------------------------------------------------

PIECES = (
    "the", " cat", "  ", "\n", "\r\n", "\t", "12", " 345678", "'s", "'LL", "don't", "é", "e\u0301",
    "\u00a0", "日本", "🙂🏽", "\u200d", "ſ", "Ⅷ", "½", "<|user|>", "<|end", "_", "...", "!?", "ß",
    " \n ", "\x00", "한", "\u1112\u1161\u11ab", "Ω", "\u2126", "AB", "http://a.b/c?d=1",
)


def texts(count):
    rng = np.random.default_rng(3)
    return ["".join(rng.choice(PIECES, rng.integers(1, 12))) for _ in range(count)]


def trained(pattern):
    corpus = " ".join(texts(400)).replace("<|", "< ")
    return train_bpe(corpus, 420, pattern=pattern)


TOKENIZERS = {
    "gpt2": lambda: trained("gpt2"), "cl100k": lambda: trained("cl100k"),
    "llama3": lambda: trained("llama3"), "digits": lambda: trained(SINGLE_DIGITS),
    "nfc": lambda: BPETokenizer(
        trained("o200k").merges, "o200k", trained("o200k").special_tokens, nfc=True
    ),
}


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_their_tokenizer_of_an_export_gives_the_same_ids(name, count, tmp_path):
    tokenizer = TOKENIZERS[name]()
    model = made("gpt", vocab_size=tokenizer.vocab_size)
    form = own_form(tokenizer, taught=True)
    write_folder(tmp_path, model, tokenizer, form)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == tokenizer.vocab_size
    assert theirs.eos_token_id == tokenizer.special_id("<|endoftext|>")
    for text in texts(count):
        right = theirs(text)["input_ids"]
        assert tokenizer.encode(text, allowed_special="all") == right, text
    messages = [{"role": "user", "content": "hi"}]
    asked = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert asked == prompt_ids(form, tokenizer, messages)


def test_a_token_before_every_text_is_theirs_too(tmp_path):
    tokenizer = trained("llama3")
    form = ChatForm(None, "<|system|>", "<|end|>", ("<|end|>",), opens=True)
    write_folder(tmp_path, made("gpt", vocab_size=tokenizer.vocab_size), tokenizer, form)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    first = tokenizer.special_id("<|system|>")
    assert theirs("the cat")["input_ids"] == [first, *tokenizer.encode("the cat")]
    assert read_form(tmp_path) == form


def digits_and_bytes(data):
    """As SmolLM's files cut a text: digits alone, then GPT-2's pattern."""
    data["pre_tokenizer"] = {
        "type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True},
        ],
    }


def bytes_alone(data):
    data["pre_tokenizer"] = {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True,
    }


@pytest.mark.parametrize("change", [digits_and_bytes, bytes_alone])
def test_a_tokenizer_as_others_write_it_gives_their_ids(change, tmp_path):
    tokenizer = trained(SINGLE_DIGITS if change is digits_and_bytes else "gpt2")
    write_folder(tmp_path, made("gpt", vocab_size=tokenizer.vocab_size), tokenizer)
    path = tmp_path / "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    _, read = open_folder(tmp_path)
    for text in texts(400):
        assert read.encode(text, allowed_special="all") == theirs(text)["input_ids"], text


@pytest.mark.parametrize("name", ["gpt", "llama", "qwen3", "mistral"])
def test_what_transformers_saves_is_what_we_read(name, tmp_path):
    """In shards, by their own writer."""
    model = made(name)
    write_folder(tmp_path / "ours", model, tokenizer_of(300))
    theirs = opened(tmp_path / "ours", name)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="40KB")
    transformers.AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(
        tmp_path / "theirs"
    )
    assert (tmp_path / "theirs/model.safetensors.index.json").exists()
    again, tokenizer = open_folder(tmp_path / "theirs")
    ids = np.random.default_rng(2).integers(0, 300, (1, 9))
    np.testing.assert_array_equal(again(ids).data, model(ids).data)
    assert tokenizer.encode("the cat") == tokenizer_of(300).encode("the cat")
