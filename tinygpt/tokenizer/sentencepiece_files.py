"""Where SentencePiece's tokenizers are kept: a .model, a GGUF's lists, a tokenizer.json.

    read_model        SentencePiece's own file, a message of Protocol Buffers (protobuf.py)
    from_lists        the three lists of a GGUF (tokenizer.ggml.tokens, .scores, .token_type)
    read_huggingface  a tokenizer.json whose model is Unigram, or BPE over such pieces

Whatever would make other ids and is not known here is refused by name. What adds tokens around a
text (a post-processor, add_bos_token) is not ours to apply, as in huggingface.py.

Read first: sentencepiece.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.normalizer import SPACE, Normalizer
from tinygpt.tokenizer.protobuf import Value, as_bytes, as_float, as_int, fields
from tinygpt.tokenizer.sentencepiece import (
    BYTE,
    BYTE_PIECES,
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Kind,
    SentencePieceTokenizer,
    from_base64,
)

# Fields of sentencepiece_model.proto that say how text becomes ids.
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE, _SCORE, _TYPE = 1, 2, 3
_MODEL_TYPE, _SPACE_IS_SUFFIX, _BYTE_FALLBACK = 3, 24, 35
_CHARSMAP, _PREFIX, _EXTRA, _ESCAPE = 2, 3, 4, 5
_KINDS: dict[int, Kind] = {1: "unigram", 2: "bpe"}
ENDS = r"\A +|[ ▁]+\z"  # what a tokenizer.json of ours takes away
_GGUF_KINDS: dict[str, Kind] = {"llama": "bpe", "t5": "unigram"}


# --- SentencePiece's own ------------------------------------------------------------------------


def looks_like_model(data: bytes) -> bool:
    """Does a file begin as a .model does: with a piece, whose first field is text?"""
    return data[:1] == b"\x0a" and b"\x0a" in data[2:4] and b"\0" in data[:4096]


def read_model(data: bytes) -> SentencePieceTokenizer:
    """A tokenizer from the bytes of a .model.  Raises TokenizerError for a damaged one."""
    pieces, scores, types = list[str](), list[float](), list[int]()
    trainer, normalizer = dict[int, Value](), dict[int, Value]()
    for number, value in fields(data):
        if number == _PIECES:
            piece = dict(fields(as_bytes(value)))
            pieces.append(_text(piece.get(_PIECE, b""), len(pieces)))
            scores.append(as_float(piece.get(_SCORE, bytes(4))))
            types.append(as_int(piece.get(_TYPE, NORMAL)))
        elif number == _TRAINER:
            trainer |= fields(as_bytes(value))
        elif number == _NORMALIZER:
            normalizer |= fields(as_bytes(value))
    if not pieces:
        raise TokenizerError("this SentencePiece model holds no pieces. Restore the file.")
    kind = as_int(trainer.get(_MODEL_TYPE, 1))
    if kind not in _KINDS:
        raise TokenizerError(
            f"this SentencePiece model is of type {kind} (word or char), and unigram and BPE are "
            "known here."
        )
    rules = Normalizer(
        as_bytes(normalizer.get(_CHARSMAP, b"")),
        bool(normalizer.get(_PREFIX, 1)),
        bool(normalizer.get(_EXTRA, 1)),
        bool(normalizer.get(_ESCAPE, 1)),
        space_is_suffix=bool(trainer.get(_SPACE_IS_SUFFIX, 0)),
    )
    fallback = bool(trainer.get(_BYTE_FALLBACK, 0))
    return SentencePieceTokenizer(pieces, scores, types, _KINDS[kind], rules, fallback)


def _text(value: Value, number: int) -> str:
    try:
        return as_bytes(value).decode()
    except UnicodeDecodeError:
        raise TokenizerError(
            f"piece {number} of this SentencePiece model is not UTF-8. Restore the file."
        ) from None


# --- GGUF ---------------------------------------------------------------------------------------


def from_lists(
    tokens: Sequence[str],
    scores: Sequence[float] | None,
    types: Sequence[int] | None,
    *,
    model: str = "llama",
    add_space_prefix: bool = True,
    remove_extra_whitespaces: bool = False,
    charsmap: bytes = b"",
) -> SentencePieceTokenizer:
    """A tokenizer from a GGUF's lists.

    tokens, scores, types: tokenizer.ggml.tokens, .scores, .token_type, by id.
    model: tokenizer.ggml.model, "llama" (BPE) or "t5" (Unigram).
    add_space_prefix, remove_extra_whitespaces, charsmap: the keys of these names under
        tokenizer.ggml (the last is precompiled_charsmap), with llama.cpp's defaults.
    Raises TokenizerError for lists that are missing or do not fit together.
    """
    if model not in _GGUF_KINDS:
        raise TokenizerError(
            f"its tokenizer is {model!r}, which is none of SentencePiece's: "
            f"{', '.join(_GGUF_KINDS)}."
        )
    for name, values in (("scores", scores), ("token_type", types)):
        if values is None:
            raise TokenizerError(
                f"it has no tokenizer.ggml.{name}, without which its pieces cannot be told apart. "
                "Convert the model anew."
            )
    assert scores is not None and types is not None
    normalizer = Normalizer(charsmap, add_space_prefix, remove_extra_whitespaces)
    has_bytes = set(BYTE_PIECES) <= {
        t for t, type_ in zip(tokens, types, strict=False) if type_ == BYTE
    }
    return SentencePieceTokenizer(
        list(tokens), list(scores), list(types), _GGUF_KINDS[model], normalizer, has_bytes
    )


# --- Hugging Face -------------------------------------------------------------------------------


def is_huggingface(data: Mapping[str, Any]) -> bool:
    """Is a parsed tokenizer.json one of pieces, not of bytes in an alphabet?"""
    model = data["model"]
    return model.get("type") == "Unigram" or (
        model.get("type", "BPE") == "BPE" and bool(model.get("byte_fallback"))
    )


def read_huggingface(data: Mapping[str, Any]) -> SentencePieceTokenizer:
    """A tokenizer from a parsed tokenizer.json.  Raises TokenizerError for what it cannot be."""
    model = data["model"]
    kind: Kind = "unigram" if model.get("type") == "Unigram" else "bpe"
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "ignore_merges", "dropout"):
        if model.get(key):
            raise TokenizerError(f"it uses {key}, which is not known of pieces.")
    normalizer, split = _read_steps(data.get("normalizer"), data.get("pre_tokenizer"))
    vocab = model.get("vocab")
    rows = _unigram_rows(vocab) if kind == "unigram" else _bpe_rows(vocab)
    types = {piece: BYTE if piece in _BYTES else NORMAL for piece, _ in rows}
    fallback = model.get("byte_fallback") is True
    if not fallback:
        types = dict.fromkeys(types, NORMAL)
    unknown = _unknown_piece(model, rows, kind)
    rows += _added(data.get("added_tokens"), types, len(rows))
    if unknown is not None:
        types[unknown] = UNKNOWN
    merges = None
    if kind == "bpe":
        ids = {piece: i for i, (piece, _) in enumerate(rows)}
        merges = [_merge(joined, ids) for joined in _list(model.get("merges"), "merges")]
    return SentencePieceTokenizer(
        [piece for piece, _ in rows], [score for _, score in rows],
        [types[piece] for piece, _ in rows], kind, normalizer, fallback,
        kind == "unigram" or model.get("fuse_unk") is True, split, merges,
    )


_BYTES = frozenset(BYTE_PIECES)
Row = tuple[str, float]


def _unigram_rows(vocab: Any) -> list[Row]:
    rows = _list(vocab, "vocab")
    for row in rows:
        if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str):
            raise TokenizerError(f"{row!r:.60} in its 'vocab' is no [piece, score]. Restore it.")
    return [(row[0], row[1]) for row in rows]


def _bpe_rows(vocab: Any) -> list[Row]:
    if not isinstance(vocab, dict):
        raise TokenizerError("'vocab' is missing. Restore the file.")
    pieces = dict(zip(vocab.values(), vocab, strict=True)) if all(
        type(token) is int for token in vocab.values()
    ) else {}
    if sorted(pieces) != list(range(len(vocab))):
        raise TokenizerError("the ids of its 'vocab' are not 0, 1, 2 and so on. Restore the file.")
    return [(pieces[token], 0.0) for token in range(len(pieces))]


def _unknown_piece(model: Mapping[str, Any], rows: list[Row], kind: Kind) -> str | None:
    if kind == "bpe":
        return model["unk_token"] if model.get("unk_token") in dict(rows) else None
    token = model.get("unk_id")
    if token is None:
        return None
    if type(token) is not int or not 0 <= token < len(rows):
        raise TokenizerError(f"its 'unk_id' {token!r:.40} is not the id of a piece. Restore it.")
    return rows[token][0]


def _added(added: Any, types: dict[str, int], n: int) -> list[Row]:
    """Tokens behind the vocabulary; sets the types of those in it."""
    rows: list[Row] = []
    for token in sorted(_list(added or [], "added_tokens"), key=_id):
        content = token.get("content")
        if not isinstance(content, str):
            raise TokenizerError("'added_tokens' is damaged. Restore the file.")
        if content not in types:
            if _id(token) != n + len(rows):
                raise TokenizerError(
                    f"its added token {content!r:.60} has the id {_id(token)}, and the next that "
                    f"is free is {n + len(rows)}. Restore the file."
                )
            rows.append((content, 0.0))
        types[content] = CONTROL if token.get("special") is True else USER_DEFINED
    return rows


def _id(token: Any) -> int:
    if not isinstance(token, dict) or type(token.get("id")) is not int:
        raise TokenizerError("'added_tokens' is damaged. Restore the file.")
    return token["id"]


def _merge(joined: Any, ids: Mapping[str, int]) -> tuple[int, int, int]:
    parts = joined.split(" ") if isinstance(joined, str) else joined
    try:
        left, right = parts
        return ids[left], ids[right], ids[left + right]
    except (KeyError, TypeError, ValueError):
        raise TokenizerError(
            f"its merge {joined!r:.60} is no pair of pieces that make one. Restore the file."
        ) from None


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise TokenizerError(f"'{name}' is missing or no list. Restore the file.")
    return value


def _read_steps(normalizer: Any, pre_tokenizer: Any) -> tuple[Normalizer, bool]:
    """Their pipeline as one of SentencePiece's; whether it cuts before every space."""
    found: dict[str, Any] = {"add_dummy_prefix": False, "remove_extra_whitespaces": False,
                             "escape_whitespaces": False}
    split = False
    for step in _steps(normalizer, "normalizers"):
        match step:
            case {"type": "Precompiled", "precompiled_charsmap": text}:
                found["charsmap"] = from_base64(text)
            case {"type": "Prepend", "prepend": "\u2581"}:
                found["add_dummy_prefix"] = True
            case {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}:
                found["escape_whitespaces"] = True
            case {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " " | "\u2581"}:
                found["remove_extra_whitespaces"] = True
            case (
                {"type": "Strip", "strip_right": True}
                | {"type": "Replace", "pattern": {"Regex": r"\A +|[ ▁]+\z"}, "content": ""}
            ):
                found["remove_extra_whitespaces"] = True
            case _:
                raise TokenizerError(f"its normalizer {step!r:.80} is none of SentencePiece's.")
    for step in _steps(pre_tokenizer, "pretokenizers"):
        match step:
            case {"type": "WhitespaceSplit"}:
                found["remove_extra_whitespaces"] = True
            case {"type": "Metaspace", "replacement": "\u2581"}:
                scheme = step.get("prepend_scheme", "always")
                wanted = step.get("add_prefix_space", True) is True and scheme != "never"
                found |= {"escape_whitespaces": True, "prefix_once": wanted}
                found["add_dummy_prefix"] = found["add_dummy_prefix"] or wanted
                split = step.get("split", True) is True
            case _:
                raise TokenizerError(f"its pre-tokenizer {step!r:.80} is none of SentencePiece's.")
    if not found["escape_whitespaces"]:
        raise TokenizerError(
            f"nothing in it writes spaces as {SPACE!r}, so its pieces are none of SentencePiece's."
        )
    return Normalizer(**found), split


def _steps(step: Any, name: str) -> list[Any]:
    if step is None:
        return []
    if isinstance(step, dict) and step.get("type") == "Sequence":
        return _list(step.get(name), name)
    return [step]
