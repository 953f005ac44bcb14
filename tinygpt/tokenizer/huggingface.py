"""Hugging Face's tokenizer.json, for byte-level BPE; those of other kinds stand next door.

Their files spell bytes in a printable alphabet: a byte that is a printable Latin-1 character stands
for itself, the others for U+0100 onwards, so " cat" reads "Ġcat". Merges are written as pairs or,
before 2024, as strings with a space between; both are read, pairs are written.

Only what gives back the bytes it was given is accepted (but for NFC, which Qwen asks for): no
other normalizer, no prefix space, no SentencePiece. A post-processor (which adds a token before the
text) is not ours to apply: whoever writes a prompt knows of it (../runs/chat_form.py).

An embedding may have more rows than there are tokens, for alignment. `padded` gives them names as
converters to GGUF do, "[PAD151665]"; in a tokenizer.json they are left out.
"""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

from tinygpt.tokenizer import huggingface_char
from tinygpt.tokenizer.base import Tokenizer
from tinygpt.tokenizer.bpe import BYTES, MISSING, BPETokenizer, merge
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.pretokenize import PATTERNS
from tinygpt.tokenizer.vocabulary import Pair
from tinygpt.tokenizer.wordpiece import WordPieceTokenizer

LARGEST_ID = 1 << 31
UNUSED = "[PAD{}]"
# GPT-2's pattern where every digit stands alone and nothing is cut together with one: what Digits
# and then ByteLevel do, as in SmolLM's files.
SINGLE_DIGITS = (
    r"'s|'t|'re|'ve|'m|'ll|'d|\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
)
_N_PRINTABLE = 188  # the first of BYTES, which stand for themselves
CHARACTERS = [
    chr(byte if i < _N_PRINTABLE else 256 + i - _N_PRINTABLE) for i, byte in enumerate(BYTES)
]
_TO_BYTE = {code: "\uffff" for code in range(256)} | {  # a character that is none of Latin-1
    ord(character): byte for character, byte in zip(CHARACTERS, BYTES, strict=True)
}
PRINTABLE = range(0x20, 0x7F)  # bytes that no vocabulary may lack
_TO_CHARACTER = dict(zip(BYTES, CHARACTERS, strict=True))


def spell(token: bytes) -> str:
    """A token in their alphabet.

    >>> spell(b" cat\\n")
    'ĠcatĊ'
    """
    return token.decode("latin-1").translate(_TO_CHARACTER)


def unspell(text: str) -> bytes:
    """The inverse of `spell`.  Raises KeyError for a character outside the alphabet."""
    try:
        return text.translate(_TO_BYTE).encode("latin-1")
    except UnicodeEncodeError as error:
        raise KeyError(text[error.start]) from None


# --- writing ------------------------------------------------------------------------------------


def padded(tokenizer: BPETokenizer, size: int) -> BPETokenizer:
    """The same tokenizer with names for all ids below `size`."""
    taken = {*tokenizer.token_bytes, *tokenizer.special_tokens.values()}
    unused = {UNUSED.format(token): token for token in range(size) if token not in taken}
    return BPETokenizer(
        tokenizer.merges, tokenizer.pattern, {**tokenizer.special_tokens, **unused},
        tokenizer.byte_ids, tokenizer.merged_ids, tokenizer.extra_tokens, tokenizer.whole_words,
        tokenizer.nfc,
    )


def write(tokenizer: BPETokenizer, opening: str | None = None) -> str:
    """The text of a tokenizer.json that gives the same ids.

    opening: a special token that theirs puts before every text.
    """
    name = {token: spell(data) for token, data in tokenizer.token_bytes.items()}
    added: list[dict[str, Any]] = [
        {
            "id": token,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for content, token in tokenizer.special_tokens.items()
        if content != UNUSED.format(token)
    ]
    pattern = PATTERNS.get(tokenizer.pattern, tokenizer.pattern)
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    data = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(added, key=lambda token: token["id"]),
        "normalizer": {"type": "NFC"} if tokenizer.nfc else None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [split | {"invert": False}, _byte_level(use_regex=False)],
        },
        "post_processor": None if opening is None else opening_step(
            opening, tokenizer.special_id(opening)
        ),
        "decoder": _byte_level(use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": tokenizer.whole_words,
            "vocab": {name[token]: token for token in sorted(name)},
            "merges": [[name[left], name[right]] for left, right in tokenizer.merges],
        },
    }
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def opening_step(name: str, token: int) -> dict[str, Any]:
    """The step that puts a token before a text."""
    first = {"SpecialToken": {"id": name, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing", "single": [first, text],
        "pair": [first, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [token], "tokens": [name]}},
    }


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


# --- reading ------------------------------------------------------------------------------------


def read(data: dict[str, Any]) -> Tokenizer:
    """A tokenizer from a parsed tokenizer.json.  Raises TokenizerError for what it cannot be."""
    model = data["model"]
    if huggingface_char.is_one(data):
        return huggingface_char.read(data)
    if model.get("type") == "WordPiece":
        return WordPieceTokenizer(data)
    # Files from before 2022 leave the type out; only BPE has merges.
    if model.get("type", "BPE") != "BPE" or "merges" not in model:
        raise TokenizerError(f"its model is {model.get('type')}, not BPE, which is all known here.")
    normalizer = data.get("normalizer")
    if normalizer and normalizer not in ({"type": "Sequence", "normalizers": []}, {"type": "NFC"}):
        raise TokenizerError(
            "it normalizes text before encoding, so that the bytes given would not come back."
        )
    for key in ("byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise TokenizerError(f"it uses {key}: that is not byte-level BPE.")
    pattern = _read_pattern(data.get("pre_tokenizer"))
    specials = _read_added_tokens(data.get("added_tokens") or [])
    vocab, by_text = _read_vocab(model.get("vocab"), specials)
    merges, merged_ids = _read_merges(model["merges"], by_text)
    byte_ids = [vocab.get(bytes([byte]), MISSING) for byte in range(256)]
    if any(byte_ids[byte] == MISSING for byte in PRINTABLE):
        missing = [byte for byte in range(256) if byte_ids[byte] == MISSING]
        raise TokenizerError(
            f"its vocabulary lacks {len(missing)} of the 256 bytes ({missing[0]:#04x} first), so "
            "it cannot encode every text. Train it with the whole byte-level alphabet."
        )
    merges, merged_ids = _in_order(merges, merged_ids, byte_ids)
    made = {*byte_ids, *merged_ids}
    extra = {token: i for token, i in vocab.items() if i not in made}
    whole_words = model.get("ignore_merges") is True
    return BPETokenizer(
        merges, pattern, specials, byte_ids, merged_ids, extra, whole_words,
        nfc=normalizer == {"type": "NFC"},
    )


def _read_pattern(step: Any) -> str:
    """The regular expression of a pre-tokenizer that is a byte-level one."""
    steps = step.get("pretokenizers") if isinstance(step, dict) else None
    steps = steps if isinstance(steps, list) else [step]
    kinds = [s.get("type") if isinstance(s, dict) else None for s in steps]
    if not kinds or kinds[-1] != "ByteLevel" or steps[-1].get("add_prefix_space"):
        raise TokenizerError(
            "its pre-tokenizer is not a plain byte-level one (a pattern, then ByteLevel without a "
            "prefix space), so it is not one of the tokenizers known here."
        )
    if kinds == ["ByteLevel"] and steps[-1].get("use_regex", True):
        return "gpt2"
    if kinds == ["Digits", "ByteLevel"] and steps[-1].get("use_regex", True) and (
        steps[0].get("individual_digits") is True
    ):
        return SINGLE_DIGITS
    split = steps[0]
    pattern = split.get("pattern") if kinds == ["Split", "ByteLevel"] else None
    if (
        not isinstance(pattern, dict)
        or not isinstance(pattern.get("Regex"), str)
        or steps[-1].get("use_regex", True)
        or split.get("behavior") != "Isolated"
        or split.get("invert")
    ):
        raise TokenizerError(
            f"its pre-tokenizer ({', '.join(map(str, kinds))}) does more than cut by one pattern."
        )
    return pattern["Regex"]


def _read_added_tokens(added: Any) -> dict[str, int]:
    added = added if isinstance(added, list) else [added]
    for token in added:
        if not isinstance(token, dict) or not isinstance(token.get("content"), str) or (
            type(token.get("id")) is not int or not 0 <= token["id"] < LARGEST_ID
        ):
            raise TokenizerError("'added_tokens' is damaged. Restore the file.")
    return {token["content"]: token["id"] for token in added}


def _read_vocab(
    vocab: Any, specials: dict[str, int]
) -> tuple[dict[bytes, int], dict[str, int]]:
    """The id of each token that is not special, by its bytes and as they spell it."""
    if not isinstance(vocab, dict):
        raise TokenizerError("'vocab' is missing. Restore the file.")
    by_text = {}
    for text, token in vocab.items():
        if type(token) is not int or not 0 <= token < LARGEST_ID:
            raise TokenizerError(f"the token {text!r:.40} has no valid id: {token!r:.40}.")
        if specials.get(text) != token:
            by_text[text] = token
    try:
        spelled = unspell("".join(by_text))  # at once: a character is a byte
    except KeyError as error:
        wrong = next(text for text in by_text if error.args[0] in text)
        raise TokenizerError(
            f"the token {wrong!r} is not spelled in the byte-level alphabet, so this is not "
            "byte-level BPE."
        ) from None
    ends = accumulate(map(len, by_text))
    by_bytes, start = {}, 0
    for end, token in zip(ends, by_text.values(), strict=True):
        by_bytes[spelled[start:end]] = token
        start = end
    return by_bytes, by_text


def _read_merges(merges: Any, by_text: dict[str, int]) -> tuple[list[Pair], list[int]]:
    pairs, merged = [], []
    for rank, joined in enumerate(merges if isinstance(merges, list) else [merges]):
        parts = joined.split(" ") if isinstance(joined, str) else joined
        if not isinstance(parts, list) or len(parts) != 2:
            raise TokenizerError(f"merge {rank} ({joined!r}) is not a pair. Restore the file.")
        left, right = parts
        try:
            pairs.append((by_text[left], by_text[right]))
            merged.append(by_text[left + right])
        except (KeyError, TypeError):
            raise TokenizerError(
                f"merge {rank} ({joined!r}) names a token that is not in the vocabulary. Restore "
                "the file."
            ) from None
    return pairs, merged


def _in_order(
    merges: list[Pair], merged_ids: list[int], byte_ids: list[int]
) -> tuple[list[Pair], list[int]]:
    """The merges whose two tokens are there when their turn comes.

    Files converted from ranks list every way to write a token as two tokens, the later made among
    them. Such a merge is left out if it never comes up: what stands between two cuts is merged as
    if it stood alone (trainer.py), so it comes up if the other merges leave just its two parts.
    Raises TokenizerError if it does: then the order of the file is not the order of the merges.
    """
    if _all_in_order(merges, merged_ids, byte_ids):
        return merges, merged_ids
    made, order, late = set(byte_ids), dict[Pair, tuple[int, int]](), []
    spelled: dict[int, list[int]] = {token: [token] for token in byte_ids}
    for pair, new in zip(merges, merged_ids, strict=True):
        if pair[0] in made and pair[1] in made:
            made.add(new)
            order.setdefault(pair, (len(order), new))
            spelled.setdefault(new, spelled[pair[0]] + spelled[pair[1]])
        else:
            late.append(pair)
    for left, right in late:
        if not made.issuperset((left, right)):
            continue  # nothing makes one of them
        if merge(spelled[left] + spelled[right], order) == [left, right]:
            raise TokenizerError(
                f"its merge of the tokens {left} and {right} stands before one of them is made, so "
                "its order does not say what comes first. Restore the file."
            )
    return list(order), [new for _, new in order.values()]


def _all_in_order(merges: list[Pair], merged_ids: list[int], byte_ids: list[int]) -> bool:
    """Whether each merge joins two tokens that are made before it, and none comes twice."""
    if len(set(merges)) < len(merges):
        return False
    first = dict(zip(reversed(merged_ids), range(len(merges) - 1, -1, -1), strict=True))
    first |= dict.fromkeys(byte_ids, -1)
    return all(
        first.get(left, rank) < rank and first.get(right, rank) < rank
        for rank, (left, right) in enumerate(merges)
    )
