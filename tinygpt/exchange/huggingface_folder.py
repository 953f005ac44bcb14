"""A Hugging Face folder: config.json, safetensors, tokenizer.json and what goes with them.

    model, tokenizer = open_folder(path)
    write_folder(path, model, tokenizer, form)      transformers opens it without remote code

Nothing in a folder is executed: JSON is parsed, arrays are mapped, a chat template is text.

Read next: huggingface.py, huggingface_weights.py, ../tokenizer/huggingface.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinygpt import tokenizer as tokenizers
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.huggingface import read_config
from tinygpt.exchange.huggingface_weights import (
    INDEX,
    PICKLED,
    WEIGHTS,
    load_weights,
    write_weights,
)
from tinygpt.exchange.huggingface_write import class_of, write_config
from tinygpt.model import LanguageModel
from tinygpt.runs.chat_form import OWN_TEMPLATE, ChatForm
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import check_folder
from tinygpt.storage.reading import ANYTHING, FormatError, read_bytes, read_json
from tinygpt.tokenizer import (
    END_OF_TEXT,
    BPETokenizer,
    CharTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    TokenizerError,
    huggingface_char,
    sentencepiece_write,
)
from tinygpt.tokenizer import huggingface as tokenizer_files
from tinygpt.tokenizer.wordpiece import WordPieceTokenizer

PADDED_TO, MOST_PADDING = 64, 1024  # rows that an embedding has more than there are tokens
TEMPLATE = "chat_template.jinja"


def looks_like(path: Path) -> bool:
    """Whether a folder is of Hugging Face's kind, whole or damaged: a run has none of its files."""
    if (path / "checkpoints").is_dir():
        return False
    if any((path / name).exists() for name in (WEIGHTS, INDEX)):
        return True
    if any(next(path.glob(kind), None) for kind in PICKLED):
        return True
    try:
        return "model_type" in read_json(path / "config.json", {str: ANYTHING})
    except FormatError:
        return False


def open_folder(path: Path) -> tuple[LanguageModel, Tokenizer]:
    """(model, tokenizer) of a folder, dropout off.

    Raises ExchangeError for what is missing, damaged, contradictory or not computed here.
    """
    kind, shape = read_config(_object(path, "config.json"))
    tokenizer = _tokenizer(path, shape.vocab_size)
    return load_weights(path, kind, shape), tokenizer


def read_form(path: Path) -> ChatForm:
    """How the model of a folder is spoken to.  Raises ExchangeError."""
    settings = _object(path, "tokenizer_config.json", missing={})
    tokenizer = _object(path, "tokenizer.json")
    names = {
        token["id"]: token["content"] for token in _dicts(tokenizer.get("added_tokens"))
        if type(token.get("id")) is int and isinstance(token.get("content"), str)
    }
    ends = [
        end for file in ("generation_config.json", "config.json")
        for end in _ids(_object(path, file, missing={}).get("eos_token_id"))
    ]
    eos = _name(settings.get("eos_token"))
    found = [names[end] for end in ends if end in names] + ([eos] if eos else [])
    bos = _name(settings.get("bos_token"))
    adds = bos is not None and (
        settings.get("add_bos_token") is True or _adds_before(tokenizer.get("post_processor"), bos)
    )
    return ChatForm(_template(path, settings), bos, eos, tuple(dict.fromkeys(found)), adds)


def _object(path: Path, name: str, missing: Any = None) -> dict[str, Any]:
    """The JSON object in a file.  missing: what stands for a file that is not there, None for an
    error."""
    file = path / name
    if missing is not None and not file.exists():
        return dict(missing)
    try:
        found: dict[str, Any] = read_json(file, {str: ANYTHING})
        return found
    except FormatError as error:
        raise ExchangeError(
            f"{file} is missing or damaged: it {error}. Copy the whole folder of the model again."
        ) from error


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _ids(value: Any) -> list[int]:
    return [one for one in (value if isinstance(value, list) else [value]) if type(one) is int]


def _name(token: Any) -> str | None:
    """A token as tokenizer_config.json writes it: its text, or an object with it."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) and token else None


def _adds_before(step: Any, bos: str) -> bool:
    """Whether a post-processor puts `bos` before a text."""
    steps = step.get("processors") if isinstance(step, dict) else None
    if steps is not None:
        return any(_adds_before(one, bos) for one in _dicts(steps))
    single = _dicts(step.get("single")) if isinstance(step, dict) else []
    first = single[0].get("SpecialToken") if single else None
    return isinstance(first, dict) and first.get("id") == bos


def _template(path: Path, settings: dict[str, Any]) -> str | None:
    """The chat template, from its own file or from tokenizer_config.json."""
    if (path / TEMPLATE).exists():
        try:
            return read_bytes(path / TEMPLATE).decode()
        except (FormatError, UnicodeDecodeError) as error:
            raise ExchangeError(f"{path / TEMPLATE} {error}. Copy it again.") from error
    found = settings.get("chat_template")
    if isinstance(found, list):  # several, by name
        found = next((t.get("template") for t in _dicts(found) if t.get("name") == "default"), None)
    return found if isinstance(found, str) else None


def _tokenizer(path: Path, rows: int) -> Tokenizer:
    """The tokenizer of a folder, as large as its model's table.  Raises ExchangeError."""
    if not (path / "tokenizer.json").exists():
        raise ExchangeError(
            f"{path} has no tokenizer.json. Save the model's tokenizer with transformers "
            "(save_pretrained), which writes one."
        )
    try:
        tokenizer = tokenizers.load(path / "tokenizer.json")
        missing = rows - tokenizer.vocab_size
        if isinstance(tokenizer, BPETokenizer) and 0 < missing < MOST_PADDING and (
            rows % PADDED_TO == 0
        ):
            tokenizer = tokenizer_files.padded(tokenizer, rows)
    except TokenizerError as error:
        raise ExchangeError(str(error)) from error
    if tokenizer.vocab_size != rows:
        raise ExchangeError(
            f"{path}: tokenizer.json has {tokenizer.vocab_size} ids, the model's embedding {rows}. "
            "Bring back the tokenizer.json that belongs to it."
        )
    return tokenizer


# --- writing ------------------------------------------------------------------------------------


def write_folder(
    path: Path, model: LanguageModel, tokenizer: Tokenizer, form: ChatForm | None = None
) -> int:
    """Write a folder that transformers opens; returns the size of its weights in bytes.

    form: how it is spoken to, None for a model of our own, which ends where a special token comes.
    Raises ExchangeError for a model or a tokenizer that fits no class of theirs.
    """
    kind = class_of(model.shape)
    form = form or own_form(tokenizer)
    text = _tokenizer_text(tokenizer, form)
    ids = tokenizer.special_tokens
    tokens = {
        "bos_token_id": ids.get(form.bos or ""), "eos_token_id": ids.get(form.eos or ""),
        "pad_token_id": ids.get("<|pad|>"),
    }
    if kind == "t5":
        tokens["decoder_start_token_id"] = ids.get(form.eos or "")
    ends = [ids[name] for name in form.ends if name in ids]
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": form.bos, "eos_token": form.eos,
        "pad_token": "<|pad|>" if "<|pad|>" in ids else None, "mask_token": (
            "<|mask|>" if "<|mask|>" in ids else None
        ), "model_max_length": model.shape.context, "clean_up_tokenization_spaces": False,
    }
    if form.opens:
        settings["add_bos_token"] = True
    files = {
        "config.json": _json(write_config(model.shape, tokens)), "tokenizer.json": text,
        "generation_config.json": _json({**tokens, "eos_token_id": ends or None}),
        "tokenizer_config.json": _json({k: v for k, v in settings.items() if v is not None}),
    }
    if form.template is not None:
        files[TEMPLATE] = form.template
    check_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            replace_file(path / name, content)
        return write_weights(model, kind, path / WEIGHTS)
    except OSError as error:
        raise ExchangeError(
            f"cannot write {path}: {error.strerror or error}. Choose another place or make room."
        ) from error


def own_form(tokenizer: Tokenizer, taught: bool = False) -> ChatForm:
    """How a model that was trained here is spoken to: every special token ends what it writes.

    taught: whether it learned who speaks.
    """
    end = END_OF_TEXT if END_OF_TEXT in tokenizer.special_tokens else None
    template = OWN_TEMPLATE if taught else None
    return ChatForm(template, end, end, tuple(tokenizer.special_tokens))


def _tokenizer_text(tokenizer: Tokenizer, form: ChatForm) -> str:
    """tokenizer.json of a tokenizer that theirs can be.  Raises ExchangeError."""
    if isinstance(tokenizer, CharTokenizer):
        return huggingface_char.write(tokenizer)
    if isinstance(tokenizer, WordPieceTokenizer):
        return tokenizer.to_json()
    opening = form.bos if form.opens else None
    if isinstance(tokenizer, SentencePieceTokenizer):
        try:
            return sentencepiece_write.to_huggingface(tokenizer, opening)
        except TokenizerError as error:
            raise ExchangeError(str(error)) from error
    if not isinstance(tokenizer, BPETokenizer):
        raise ExchangeError(
            f"a {type(tokenizer).__name__} is none of the tokenizers that are written as "
            'tokenizer.json here. Train with tokenizer.kind = "bpe".'
        )
    return tokenizer_files.write(tokenizer, opening)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
