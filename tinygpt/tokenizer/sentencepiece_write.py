"""Tokenizers of SentencePiece's kind, for other programs: a GGUF's lists, a tokenizer.json.

A GGUF keeps scores, and llama.cpp merges by them as SentencePiece does; a tokenizer.json keeps
pairs. Neither can be had from the other: where two pairs make one piece, scores take the leftmost
and a list the first in it. So each goes out only as what it is, and what would get other ids
elsewhere is refused, with the reason.

Read first: sentencepiece_files.py, which reads what is written here.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.huggingface import opening_step
from tinygpt.tokenizer.normalizer import SPACE, Normalizer
from tinygpt.tokenizer.sentencepiece import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    SentencePieceTokenizer,
)
from tinygpt.tokenizer.sentencepiece_files import ENDS

# What llama.cpp's tokenizer of the name "llama" does with a text; add_dummy_prefix is a key.
_LLAMA = Normalizer(remove_extra_whitespaces=False)


def to_lists(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    """tokenizer.ggml's lists: {"tokens", "scores", "token_type", "add_space_prefix"}, by id.

    Raises TokenizerError for one whose ids llama.cpp would not give.
    """
    rules = tokenizer.normalizer
    why = None
    if tokenizer.kind != "bpe":
        why = "it takes the likeliest pieces (unigram), which llama.cpp sums up in other precision"
    elif tokenizer.merges is not None:
        why = "its file states pairs, and llama.cpp merges by scores"
    elif not tokenizer.byte_fallback:
        why = "it has no byte pieces, which llama.cpp needs for what is unknown"
    elif tokenizer.split or dataclasses.replace(rules, add_dummy_prefix=True) != _LLAMA:
        why = "it changes a text before it is cut as llama.cpp cannot"
    elif joined := _made_of_pieces(tokenizer):
        why = f"its piece {joined!r} is never given out, and llama.cpp would merge text into it"
    if why:
        raise TokenizerError(f"a GGUF cannot hold this tokenizer: {why}. Export to hf instead.")
    return {
        "tokens": tokenizer.pieces, "scores": tokenizer.scores, "token_type": tokenizer.types,
        "add_space_prefix": rules.add_dummy_prefix,
    }


def _made_of_pieces(tokenizer: SentencePieceTokenizer) -> str | None:
    """A piece that is not ordinary and that two others make, if there is one."""
    known = set(tokenizer.pieces)
    for piece, type_ in zip(tokenizer.pieces, tokenizer.types, strict=True):
        cut = range(1, len(piece)) if type_ != NORMAL else ()
        if any(piece[:at] in known and piece[at:] in known for at in cut):
            return piece
    return None


def difference(tokenizer: SentencePieceTokenizer) -> str:
    """Where llama.cpp's ids will not be ours, as a sentence; "" for nowhere."""
    name = _behind_user_defined(tokenizer)
    return "" if name is None else (
        f"llama.cpp puts a space behind {name!r} and every other user-defined token, where "
        "SentencePiece puts none: what follows one is cut otherwise there."
    )


def _behind_user_defined(tokenizer: SentencePieceTokenizer) -> str | None:
    """A user-defined token, if what follows one begins as a text does in other programs."""
    if USER_DEFINED not in tokenizer.types or not tokenizer.normalizer.add_dummy_prefix:
        return None
    return tokenizer.pieces[tokenizer.types.index(USER_DEFINED)]


def to_huggingface(tokenizer: SentencePieceTokenizer, opening: str | None = None) -> str:
    """The text of a tokenizer.json that gives the same ids.

    opening: a special token that theirs puts before every text.
    Raises TokenizerError for what such a file cannot say.
    """
    if tokenizer.kind == "bpe" and tokenizer.merges is None:
        raise TokenizerError(
            "this tokenizer merges by scores, and a tokenizer.json states pairs. Export to gguf."
        )
    if UNUSED in tokenizer.types or tokenizer.normalizer.space_is_suffix:
        raise TokenizerError(
            "a tokenizer.json has no pieces that are never given out, and no space behind a text. "
            "Export to gguf."
        )
    if behind := _behind_user_defined(tokenizer):
        raise TokenizerError(
            f"its user-defined token {behind!r} would be followed by a space elsewhere, and what "
            "comes behind it cut otherwise. Export to gguf."
        )
    steps = _normalizer_steps(tokenizer.normalizer)
    data = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": token, "content": piece, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": type_ != USER_DEFINED}
            for token, (piece, type_) in enumerate(
                zip(tokenizer.pieces, tokenizer.types, strict=True)
            ) if type_ in (CONTROL, USER_DEFINED)
        ],
        "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
        "pre_tokenizer": _cutting(tokenizer),
        "post_processor": None if opening is None else opening_step(
            opening, tokenizer.special_id(opening)
        ),
        "decoder": _decoder(tokenizer),
        "model": _model(tokenizer),
    }
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def _normalizer_steps(rules: Normalizer) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    if rules.charsmap:
        charsmap = base64.b64encode(rules.charsmap).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    if rules.remove_extra_whitespaces:
        for pattern, content in ((ENDS, ""), (" {2,}", " ")):  # Strip would take line ends too
            steps.append({"type": "Replace", "pattern": {"Regex": pattern}, "content": content})
    if rules.add_dummy_prefix and not rules.prefix_once:
        steps.append({"type": "Prepend", "prepend": SPACE})
    steps.append({"type": "Replace", "pattern": {"String": " "}, "content": SPACE})
    return steps


def _cutting(tokenizer: SentencePieceTokenizer) -> dict[str, Any] | None:
    """What stands at the place of a pre-tokenizer."""
    rules = tokenizer.normalizer
    once = rules.add_dummy_prefix and rules.prefix_once
    if not once and not tokenizer.split:
        return None
    scheme = "always" if once else "never"
    return {
        "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme,
        "split": tokenizer.split,
    }


def _decoder(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    steps = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
    ]
    if tokenizer.normalizer.add_dummy_prefix:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": steps}


def _model(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    pieces, types = tokenizer.pieces, tokenizer.types
    unknown = types.index(UNKNOWN) if UNKNOWN in types else None
    if tokenizer.kind == "unigram":
        rows = [list(row) for row in zip(pieces, tokenizer.scores, strict=True)]
        return {
            "type": "Unigram", "unk_id": unknown, "vocab": rows,
            "byte_fallback": tokenizer.byte_fallback,
        }
    assert tokenizer.merges is not None  # refused before
    return {
        "type": "BPE", "dropout": None, "unk_token": None if unknown is None else pieces[unknown],
        "continuing_subword_prefix": None, "end_of_word_suffix": None,
        "fuse_unk": tokenizer.fuse_unknown, "byte_fallback": tokenizer.byte_fallback,
        "ignore_merges": False, "vocab": {piece: token for token, piece in enumerate(pieces)},
        "merges": [[pieces[left], pieces[right]] for left, right, _ in tokenizer.merges],
    }
