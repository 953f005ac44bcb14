"""The tokenizer in a GGUF: its own lists <-> BPETokenizer, SentencePieceTokenizer.

A file holds the tokens, what sort each is of, and the merges, spelled in GPT-2's printable alphabet
as in a tokenizer.json, but it holds no pattern: `tokenizer.ggml.pre` names one that llama.cpp has
built in. Converters choose that name by the ids of one text, so they refuse every vocabulary that
is not known to them; here it is chosen by the pattern.

    ours                     pre          theirs
    gpt2                     gpt-2        the same expression
    llama3                   dbrx         the same; llama-bpe takes whole words first, and adds BOS
    llama3, whole_words      llama-bpe    the same, add_bos_token false
    smollm, qwen2            those        the same
    cl100k                   dbrx         differs where a text ends in white space with a line end

**Ends.** bos and eos default to id 11 where a file names none, which is one byte of our vocabulary:
both are always written.

Source: llama.cpp's src/llama-vocab.cpp has the names and their expressions.
Read next: gguf_models.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.gguf_write import Unsigned
from tinygpt.runs.chat_form import ChatForm
from tinygpt.tokenizer import (
    END_OF_TEXT,
    BPETokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    TokenizerError,
    huggingface,
    sentencepiece_files,
    sentencepiece_write,
)
from tinygpt.tokenizer.huggingface import SINGLE_DIGITS, UNUSED
from tinygpt.tokenizer.pretokenize import PATTERNS

NORMAL, CONTROL, SPARE, BYTE = 1, 3, 5, 6  # sorts of tokens; 2 and 4 are special, too
ENDS = (  # names that end an answer in llama.cpp whatever the keys say
    "<|end|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>",
    "<end_of_turn>", "</s>",
)
_QWEN2 = PATTERNS["llama3"].replace(r"\p{N}{1,3}", r"\p{N}")
READ = {  # pre -> pattern
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo"), "gpt2"),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe"), "llama3"),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r"), SINGLE_DIGITS),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen"), _QWEN2),
    "gpt-4o": "o200k",
}
WHOLE_WORDS = ("llama-bpe", "llama3", "llama-v3")
WRITTEN = {  # (pattern, whole_words) -> pre
    ("gpt2", False): "gpt-2", ("llama3", False): "dbrx", ("llama3", True): "llama-bpe",
    ("cl100k", False): "dbrx",
    (SINGLE_DIGITS, False): "smollm", (_QWEN2, False): "qwen2", ("o200k", False): "gpt-4o",
}


def read_tokenizer(keys: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a file's keys.

    Raises ExchangeError for a kind that is not read here, or lists that are missing or differ in
    length; TokenizerError for lists that make no tokenizer.
    """
    kind = keys.get("tokenizer.ggml.model")
    if kind in ("llama", "t5"):
        return _sentencepiece(keys, kind)
    if kind != "gpt2":
        raise ExchangeError(
            f"its tokenizer is of kind {kind!r:.40}, and byte-level BPE (gpt2) and SentencePiece's "
            "(llama, t5) are read here. Give a file of another model."
        )
    tokens, merges = (_texts(keys, f"tokenizer.ggml.{name}") for name in ("tokens", "merges"))
    pre = keys.get("tokenizer.ggml.pre")
    if not isinstance(pre, str) or pre not in READ:
        raise ExchangeError(
            f"it has tokenizer.ggml.pre = {pre!r:.40}, which says how text is cut and is not known "
            f"here: with another one its ids would be others. Known: {', '.join(READ)}."
        )
    types = keys.get("tokenizer.ggml.token_type", np.full(len(tokens), NORMAL))
    if not isinstance(types, np.ndarray) or len(types) != len(tokens):
        raise ExchangeError("its tokenizer.ggml.token_type is not as long as its tokens.")
    special = np.flatnonzero((types != NORMAL) & (types != BYTE)).tolist()
    vocab = {text: token for token, text in enumerate(tokens)}
    if len(vocab) < len(tokens):
        twice = next(text for token, text in enumerate(tokens) if vocab[text] != token)
        raise ExchangeError(f"it has the token {twice!r:.40} twice. Convert the model again.")
    pattern = READ[pre]
    return huggingface.read({
        "added_tokens": [{"id": token, "content": tokens[token]} for token in special],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PATTERNS.get(pattern, pattern)},
             "behavior": "Isolated"},
            {"type": "ByteLevel", "use_regex": False},
        ]},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges,
                  "ignore_merges": pre in WHOLE_WORDS},
    })


def _sentencepiece(keys: Mapping[str, Any], kind: str) -> Tokenizer:
    """A tokenizer of scored pieces.  Errors as read_tokenizer."""
    def numbers(name: str, of: str) -> list[Any] | None:
        found = keys.get(f"tokenizer.ggml.{name}")
        return found.tolist() if isinstance(found, np.ndarray) and found.dtype.kind in of else None

    charsmap = keys.get("tokenizer.ggml.precompiled_charsmap", np.empty(0, np.uint8))
    if not isinstance(charsmap, np.ndarray) or charsmap.dtype.itemsize != 1:
        raise ExchangeError("its tokenizer.ggml.precompiled_charsmap is no list of bytes.")
    return sentencepiece_files.from_lists(
        _texts(keys, "tokenizer.ggml.tokens"), numbers("scores", "f"), numbers("token_type", "iu"),
        model=kind, add_space_prefix=keys.get("tokenizer.ggml.add_space_prefix", True) is True,
        remove_extra_whitespaces=keys.get("tokenizer.ggml.remove_extra_whitespaces") is True,
        charsmap=charsmap.tobytes(),
    )


def _texts(keys: Mapping[str, Any], name: str) -> list[str]:
    found = keys.get(name)
    if not isinstance(found, list):
        raise ExchangeError(f"it has no {name}. Give a file that holds a whole model.")
    return found


def difference(tokenizer: Tokenizer) -> str:
    """Where llama.cpp's ids will not be ours, as a sentence; "" for nowhere."""
    if isinstance(tokenizer, SentencePieceTokenizer):
        return sentencepiece_write.difference(tokenizer)
    if getattr(tokenizer, "pattern", "") != "cl100k":
        return ""
    return (
        "llama.cpp has no pattern cl100k: it will cut by llama3's, whose ids differ where a text "
        "ends in white space with a line end in it, and nowhere else."
    )


def read_form(keys: Mapping[str, Any]) -> ChatForm:
    """How the model of a file is spoken to, and what ends its answers."""
    tokens, template = keys.get("tokenizer.ggml.tokens"), keys.get("tokenizer.chat_template")
    names = tokens if isinstance(tokens, list) else []

    def name(which: str) -> str | None:
        token = keys.get(f"tokenizer.ggml.{which}_token_id")
        return names[token] if type(token) is int and token < len(names) else None

    bos, eos = name("bos"), name("eos")
    ends = [end for end in (eos, name("eot"), *sorted({*ENDS} & {*names})) if end]
    usual = keys.get("tokenizer.ggml.pre") in WHOLE_WORDS or (
        keys.get("tokenizer.ggml.model") == "llama"
    )
    adds = keys.get("tokenizer.ggml.add_bos_token", usual)
    return ChatForm(
        template if isinstance(template, str) else None, bos, eos, tuple(dict.fromkeys(ends)),
        adds is True and bos is not None,
    )


def write_tokenizer(
    tokenizer: Tokenizer, size: int, form: ChatForm | None = None
) -> dict[str, Any]:
    """The keys of a tokenizer, filled up with [PADn] to `size` tokens, and of a form.

    Raises ExchangeError for one whose ids llama.cpp would not give.
    """
    if isinstance(tokenizer, SentencePieceTokenizer):
        return _write_pieces(tokenizer, form)
    if not isinstance(tokenizer, BPETokenizer):
        raise ExchangeError(
            "GGUF has no tokenizer of this kind. Train with tokenizer.kind=bpe and "
            "tokenizer.pattern=llama3."
        )
    pre = WRITTEN.get((tokenizer.pattern, tokenizer.whole_words))
    if pre is None or (tokenizer.extra_tokens and not tokenizer.whole_words):
        raise ExchangeError(
            f"llama.cpp has no pre-tokenizer that cuts by {tokenizer.pattern!r:.60}: its ids would "
            "be others. Train with tokenizer.pattern=llama3 (or gpt2)."
        )
    names = {token: name for name, token in tokenizer.special_tokens.items()}
    tokens = [UNUSED.format(token) for token in range(size)]
    types = np.full(size, SPARE, np.int32)
    for token, data in tokenizer.token_bytes.items():
        tokens[token], types[token] = huggingface.spell(data), NORMAL
    for token, name in names.items():
        if name != tokens[token]:  # as it was read from a file with such
            tokens[token], types[token] = name, CONTROL
    if len(set(tokens)) < size:
        twice = next(text for text in tokens if tokens.count(text) > 1)
        raise ExchangeError(
            f"the special token {twice!r} is spelled like another one, which llama.cpp refuses. "
            "Give it another name."
        )
    spelled = tokenizer.token_bytes
    merges = [
        f"{huggingface.spell(spelled[left])} {huggingface.spell(spelled[right])}"
        for left, right in tokenizer.merges
    ]
    form = form or ChatForm(bos=END_OF_TEXT, eos=END_OF_TEXT, ends=ENDS)
    return {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": merges, "tokenizer.ggml.add_bos_token": form.opens,
        **_ends(tokenizer.special_tokens, form), **_template(form),
    }


def _write_pieces(tokenizer: SentencePieceTokenizer, form: ChatForm | None) -> dict[str, Any]:
    """The keys of a tokenizer of scored pieces."""
    try:
        lists = sentencepiece_write.to_lists(tokenizer)
    except TokenizerError as error:
        raise ExchangeError(str(error)) from error
    form = form or ChatForm(bos="<s>", eos="</s>", ends=("</s>",), opens=True)
    ends = _ends(tokenizer.special_tokens, form)
    return {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": lists["tokens"],
        "tokenizer.ggml.scores": np.array(lists["scores"], np.float32),
        "tokenizer.ggml.token_type": np.array(lists["token_type"], np.int32),
        "tokenizer.ggml.add_space_prefix": lists["add_space_prefix"],
        "tokenizer.ggml.add_bos_token": form.opens, **ends, **_template(form),
    }


def _template(form: ChatForm) -> dict[str, str]:
    return {} if form.template is None else {"tokenizer.chat_template": form.template}


def _ends(specials: Mapping[str, int], form: ChatForm) -> dict[str, Unsigned]:
    """The keys of the tokens that open a text, end it, and end a turn of a conversation."""
    eos = form.eos if form.eos is not None and form.eos in specials else END_OF_TEXT
    if eos not in specials:
        raise ExchangeError(
            f"the tokenizer has no {eos}, and without an end llama.cpp takes a byte of the "
            "vocabulary for one. Train a tokenizer with it."
        )
    bos = form.bos if form.bos is not None and form.bos in specials else eos
    ends = [name for name in ENDS if name in form.ends] + list(form.ends)
    turn = next((name for name in ends if name in specials and name != eos), eos)
    ids = {"bos": bos, "eos": eos, "eot": turn}
    return {f"tokenizer.ggml.{key}_token_id": Unsigned(specials[n]) for key, n in ids.items()}
