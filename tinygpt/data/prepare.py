"""From a name to tokens on disk: load, split, train the tokenizer, encode, open.

The folder is made once; asking again for the same text, split and tokenizer finds it and opens it.
The tokenizer learns from the training split only (a character tokenizer takes its alphabet from the
whole text: characters that were never seen could not be encoded at all).

Read first: corpus.py, split.py, shards.py.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinygpt import tokenizer as tokenizers
from tinygpt.data.baselines import Baselines, baselines
from tinygpt.data.shards import (
    ShardWriter,
    Tokens,
    open_tokens,
    read_manifest,
    replaced_folder,
    write_manifest,
)
from tinygpt.storage.reading import FormatError, read_bytes
from tinygpt.text.corpus import Corpus, DataError, load_corpus
from tinygpt.text.split import SPLITS, plan_splits, split_pieces
from tinygpt.tokenizer import TRAINERS, Tokenizer
from tinygpt.tokenizer.parallel import encode_many

DOCUMENT_BREAK = "\n\n"  # between documents, where the tokenizer has no <|endoftext|>
Split = Literal["train", "validation", "test"]
Plan = list[list[tuple[str, int, int]]]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Dataset:
    """Encoded text: a tokenizer and three splits of tokens, checked when they are first asked for.

    notes: what should be known of the text, from whoever read it (corpus.py).
    """

    folder: Path
    manifest: dict[str, Any]
    tokenizer: Tokenizer
    notes: tuple[str, ...] = ()

    def tokens(self, split: Split) -> Tokens:
        """The tokens of "train", "validation" or "test".  Raises DataError for another name."""
        if split not in SPLITS:
            raise DataError(f"no split {split!r}. There are: {', '.join(SPLITS)}.")
        return getattr(self, split)

    @cached_property
    def train(self) -> Tokens:
        return open_tokens(self.folder, self.manifest, "train")

    @cached_property
    def validation(self) -> Tokens:
        return open_tokens(self.folder, self.manifest, "validation")

    @cached_property
    def test(self) -> Tokens:
        return open_tokens(self.folder, self.manifest, "test")

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    @property
    def fingerprint(self) -> str:
        """Changes when the text, the split or the tokenizer changes (for --resume)."""
        return str(self.manifest["fingerprint"])

    def baselines(self) -> Baselines:
        """Uniform, unigram and bigram cross entropy on the validation split, nats per token."""
        return baselines(self.train, self.validation, self.vocab_size)


def prepare(
    data: str | Path | Corpus,
    tokenizer: str | Path | Tokenizer,
    out_dir: str | Path,
    *,
    seed: int = 0,
    split: Sequence[float] = (0.8, 0.1, 0.1),
    by_position: bool = False,
    stories_mb: float = 8.0,
    vocab_size: int = 4096,
    pattern: str = "cl100k",
    specials: Sequence[str] = (),
    errors: str = "strict",
    progress: Progress | None = None,
) -> Dataset:
    """Encode a corpus to `out_dir`, or open what is there if it is the same.

    data: what `load_corpus` takes, or a Corpus.
    tokenizer: "char", "bpe" or "unigram" to train one, the path of a saved one, or a Tokenizer.
    vocab_size, pattern: of a "bpe" or "unigram" tokenizer to train.
    specials: names of special tokens that a tokenizer to train has besides its usual ones.
    split: fractions (train, validation, test) of the characters; by whole documents unless
        by_position or the corpus is a single text.
    progress: called as progress(what, fraction done in 0..1) from time to time.
    Raises DataError (text, split, disk) and TokenizerError.
    """
    folder = Path(out_dir)
    if isinstance(data, Corpus):
        corpus = data
    else:
        corpus = load_corpus(data, seed=seed, stories_mb=stories_mb, errors=errors)
    made_from = {
        "corpus": corpus.name,
        "text": corpus.fingerprint,
        "tokenizer": _tokenizer_key(tokenizer, vocab_size, pattern, specials),
        "split": [float(share) for share in split],
        "by_position": by_position,
        "seed": seed,
    }
    try:
        manifest = read_manifest(folder)
    except FormatError:
        manifest = None  # damaged, and made again here
    if manifest is None or manifest["made_from"] != made_from:
        report = progress or (lambda what, fraction: None)
        plan = plan_splits(corpus, split, seed=seed, by_position=by_position)
        report("tokenizer", 0.0)
        made = _make_tokenizer(tokenizer, corpus, plan, vocab_size, pattern, specials)
        with replaced_folder(folder) as aside:
            _write(aside, corpus, plan, made, made_from, report)
    return replace(open_dataset(folder), notes=corpus.notes)


def open_dataset(folder: str | Path) -> Dataset:
    """Open a folder that `prepare` made.  Raises DataError if it is not one, or damaged."""
    folder = Path(folder)
    path = folder / "tokenizer.json"
    try:
        manifest = read_manifest(folder)
        if manifest is None:
            raise DataError(f"{folder} holds no prepared tokens. Make them with `tinygpt train`.")
        if _fingerprint(manifest["made_from"], read_bytes(path)) != manifest["fingerprint"]:
            raise FormatError("has another fingerprint than its text and tokenizer")
        tokenizer = tokenizers.load(path)
        if tokenizer.vocab_size != manifest["vocab_size"]:
            raise FormatError(f"has {manifest['vocab_size']} ids, its tokenizer another number")
    except (FormatError, tokenizers.TokenizerError) as error:
        what = f"it {error}." if isinstance(error, FormatError) else str(error)
        raise DataError(f"{folder} is damaged: {what} Delete it to have it made again.") from error
    return Dataset(folder, manifest, tokenizer)


def _fingerprint(made_from: dict[str, Any], tokenizer: bytes) -> str:
    """A text that differs when the text, the split or the tokenizer's file does."""
    identity = json.dumps(made_from, sort_keys=True).encode() + tokenizer
    return hashlib.blake2b(identity).hexdigest()[:32]


def _tokenizer_key(
    tokenizer: str | Path | Tokenizer, vocab_size: int, pattern: str, specials: Sequence[str]
) -> str:
    """A text that differs whenever the ids could."""
    if isinstance(tokenizer, Tokenizer):
        code = hashlib.blake2b(type(tokenizer).__name__.encode())
        for token in range(tokenizer.vocab_size):
            code.update(b"\0" + _token_bytes(tokenizer, token))
        return f"given {code.hexdigest()[:32]}"
    more = "".join(f" {name}" for name in specials)
    if tokenizer == "char":
        return f"char{more}"
    if tokenizer in TRAINERS:
        return f"{tokenizer} {vocab_size} {pattern}{more}"
    path = Path(tokenizer)
    if not path.is_file():
        kinds = ", ".join(f'"{kind}"' for kind in ("char", *TRAINERS))
        raise DataError(f"no tokenizer {str(path)!r}. Give {kinds} or a saved tokenizer.")
    return f"file {hashlib.blake2b(path.read_bytes()).hexdigest()[:32]}"


def _token_bytes(tokenizer: Tokenizer, token: int) -> bytes:
    try:
        return tokenizer.decode_bytes([token])
    except tokenizers.TokenizerError:
        return b"unused"


def _make_tokenizer(
    tokenizer: str | Path | Tokenizer, corpus: Corpus, plan: Plan, vocab_size: int, pattern: str,
    specials: Sequence[str],
) -> Tokenizer:
    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    if tokenizer in TRAINERS:
        names = (*tokenizers.DEFAULT_SPECIAL_TOKENS, *specials)
        return TRAINERS[str(tokenizer)](
            _training_text(corpus, plan), vocab_size, pattern=pattern, special_tokens=names
        )
    if tokenizer != "char":
        return tokenizers.load(tokenizer)
    seen: set[str] = set(DOCUMENT_BREAK) if len(plan) > 1 else set()
    for document in corpus:
        for piece in document.pieces():
            seen.update(piece)
    return tokenizers.CharTokenizer("".join(sorted(seen)), specials)


def _training_text(corpus: Corpus, plan: Plan) -> Iterator[str]:
    for document, parts in zip(corpus, plan, strict=True):
        for name, piece, _ in split_pieces(document, parts):
            if name == "train":
                yield piece


def _write(
    folder: Path,
    corpus: Corpus,
    plan: Plan,
    tokenizer: Tokenizer,
    made_from: dict[str, Any],
    report: Progress,
) -> None:
    """Encode the documents on every core into one writer for each split, then the manifest."""
    after = _between_documents(tokenizer, len(plan))
    writers = {name: ShardWriter(folder, name, tokenizer.dtype) for name in SPLITS}
    characters = dict.fromkeys(SPLITS, 0)
    documents = dict.fromkeys(SPLITS, 0)
    total = sum(last - first for parts in plan for _, first, last in parts)
    tokens = [0] * len(corpus.parts)  # to learn from, of each part of a mixture
    labels: deque[tuple[str, int, bool, int]] = deque()  # of the pieces being encoded, in order

    def pieces() -> Iterator[str]:
        for document, parts in zip(corpus, plan, strict=True):
            for name, piece, is_last in split_pieces(document, parts):
                labels.append((name, len(piece), is_last, document.part))
                yield piece

    for index, ids in enumerate(encode_many(tokenizer, pieces())):
        name, length, is_last, part = labels.popleft()
        writers[name].append(ids)
        if tokens and name == "train":
            tokens[part] += len(ids) + len(after) * is_last
        characters[name] += length
        if is_last:
            writers[name].append(after)
            documents[name] += 1
        if index % 64 == 0:
            report("tokens", sum(characters.values()) / total)
    for writer in writers.values():
        writer.close()
    tokenizer.save(folder / "tokenizer.json")
    files = {name: writer.files for name, writer in writers.items()}
    manifest = {
        "fingerprint": _fingerprint(made_from, (folder / "tokenizer.json").read_bytes()),
        "made_from": made_from,
        "dtype": tokenizer.dtype.name,
        "vocab_size": tokenizer.vocab_size,
        "tokens": {name: sum(f["tokens"] for f in files[name]) for name in SPLITS},
        "characters": characters,
        "documents": documents,
        "splits": files,
    }
    if tokens:
        manifest["parts"] = [list(part) for part in zip(corpus.parts, tokens, strict=True)]
    write_manifest(folder, manifest)
    report("tokens", 1.0)


def _between_documents(tokenizer: Tokenizer, documents: int) -> np.ndarray:
    """The ids that end a document: <|endoftext|>, else a blank line, nothing after a single one."""
    end = tokenizer.special_tokens.get(tokenizers.END_OF_TEXT)
    if end is not None:
        return np.array([end], tokenizer.dtype)
    if documents > 1:
        return tokenizer.encode_array(DOCUMENT_BREAK)
    return np.empty(0, tokenizer.dtype)
