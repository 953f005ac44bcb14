"""Sequence to sequence: learn from pairs to write the target of a source (Sutskever et al. 2014).

Read first: ../training/objective.py, pairs.py. Read next: ../model/encoder_decoder.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.nn import evaluating
from tinygpt.data import baselines, rare_share
from tinygpt.errors import UserError
from tinygpt.inference.translate import translate
from tinygpt.model import EncoderDecoder
from tinygpt.pretraining.whole import WholeModel
from tinygpt.runs.run import Run
from tinygpt.seq2seq.config import Seq2SeqConfig
from tinygpt.seq2seq.pairs import (
    PADDING,
    EncodedPairs,
    Pair,
    PairBatch,
    PairLoader,
    Pairs,
    load_pairs,
    split_pairs,
)
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import FormatError, read_bytes
from tinygpt.tokenizer import END_OF_TEXT, TRAINERS, CharTokenizer, Tokenizer
from tinygpt.training.objective import Say

KEPT = "pairs.jsonl"  # in the run's folder
SHOWN, TRIED = 4, 64  # held-out pairs in a sample, and translated for it


class Seq2Seq(WholeModel):
    """An encoder-decoder learns to write targets; the loss is that of their tokens."""

    Config = Seq2SeqConfig
    loss_unit = "nats per token"
    loss_note = (
        "Loss is the model's surprise at each token of a target, given the source and the tokens "
        "before it, in nats: lower is better."
    )
    model_name, layers = "An encoder-decoder", "layers in each half"
    answer = "token"
    writes = False  # not without a source: `notes` says how

    def __init__(
        self, config: Seq2SeqConfig, pairs: Pairs | None = None, tokenizer: Tokenizer | None = None
    ):
        super().__init__(config)
        self._pairs, self._tokenizer = pairs, tokenizer

    @property
    def pairs(self) -> Pairs:
        """As they were loaded, each once.  Raises RuntimeError where this was made without."""
        if self._pairs is None:
            raise RuntimeError("this Seq2Seq has no pairs: make it by prepare or reopen")
        return self._pairs

    @property
    def tokenizer(self) -> Tokenizer:
        """Of sources and targets both.  Raises RuntimeError as `pairs`."""
        if self._tokenizer is None:
            raise RuntimeError("this Seq2Seq has no tokenizer: make it by prepare or reopen")
        return self._tokenizer

    @cached_property
    def directed(self) -> Pairs:
        """The pairs that are learned: with data.both_ways each of them and its reverse."""
        return self.pairs.both_ways() if self.config.data.both_ways else self.pairs

    @cached_property
    def train(self) -> EncodedPairs:
        return EncodedPairs(self.directed.train, self.tokenizer, self.config.model.context)

    @cached_property
    def held_out(self) -> EncodedPairs:
        return EncodedPairs(self.directed.held_out, self.tokenizer, self.config.model.context)

    @classmethod
    def prepare(cls, config: Seq2SeqConfig, folder: Path, say: Say | None) -> Seq2Seq:
        data, seed = config.data, config.training.seed
        pairs = split_pairs(load_pairs(data.source, data.count, seed), data.held_out, seed)
        tokenizer = make_tokenizer(config, pairs)
        made = cls(config.with_vocabulary(tokenizer.vocab_size), pairs, tokenizer)
        _ = made.train, made.held_out  # a text that does not fit the context says so now
        return made

    @classmethod
    def reopen(cls, run: Run, say: Say) -> Seq2Seq:
        """With the pairs that the run began with."""
        try:
            pairs = Pairs.from_text(read_bytes(run.check(KEPT)).decode())
        except (FormatError, UnicodeDecodeError) as error:
            raise UserError(
                f"{run.path / KEPT} is damaged: {error}. Bring it back, or begin another run."
            ) from error
        return cls(run.config, pairs, run.tokenizer)

    def leave(self, folder: Path) -> None:
        """The tokenizer, and the pairs: what they came from may change."""
        self.tokenizer.save(folder / "tokenizer.json")
        replace_file(folder / KEPT, self.pairs.to_text())

    def identity(self) -> dict[str, Any]:
        return {"pairs": hashlib.sha256(self.pairs.to_text().encode()).hexdigest()}

    def build(self, rng: np.random.Generator | None) -> EncoderDecoder:
        model = super().build(rng)
        assert isinstance(model, EncoderDecoder)  # Seq2SeqConfig allows no other
        return model

    def batches(self, model: EncoderDecoder, rng: np.random.Generator) -> PairLoader:
        return PairLoader(self.train, self.config.training.batch_size, rng)

    def loss(self, model: EncoderDecoder, batch: PairBatch) -> tuple[Tensor, dict[str, float]]:
        smoothing = self.config.training.label_smoothing
        reading = model.read(batch.source, batch.lengths)
        return reading.loss(batch.ids, batch.targets, smoothing, ignore_index=PADDING), {}

    def evaluate(self, model: EncoderDecoder, limit: int | None = None) -> float | None:
        """Mean loss of the held-out targets' tokens, None without any."""
        if not len(self.held_out):
            return None
        rows, size = np.arange(len(self.held_out)), self.config.training.batch_size
        if limit is not None:
            count = int(limit / self.held_out.lengths.sum(axis=1).mean())
            rows = rows[:: max(1, len(rows) // max(1, count))]
        rows, total, weight = self.held_out.by_length(rows), 0.0, 0
        with evaluating(model):
            for at in range(0, len(rows), size):
                batch = self.held_out.batch(rows[at : at + size].tolist())
                reading = model.read(batch.source, batch.lengths)
                loss = reading.loss(batch.ids, batch.targets, ignore_index=PADDING)
                total += batch.weight * loss.item()
                weight += batch.weight
        return total / weight

    def write(self, model: EncoderDecoder, step: int) -> str | None:
        """Some held-out sources and what they became, and how many of TRIED are exact."""
        pairs = self.directed.held_out
        if not pairs:
            return None
        tried = self._tried(model, pairs, np.random.default_rng([self.config.training.seed, step]))
        lines = [
            f"{pair.source} -> {text}" + f" (right: {pair.target})" * (text != pair.target)
            for pair, text in tried[:SHOWN]
        ]
        right = sum(text == pair.target for pair, text in tried)
        return "\n".join([*lines, f"{right} of {len(tried)} held-out pairs are exact"])

    def _tried(
        self, model: EncoderDecoder, pairs: Sequence[Pair], rng: np.random.Generator
    ) -> list[tuple[Pair, str]]:
        """TRIED random pairs, each with what becomes of its source."""
        tried = [pairs[i] for i in rng.permutation(len(pairs))[:TRIED].tolist()]
        written = translate(model, self.tokenizer, [pair.source for pair in tried])
        return list(zip(tried, written, strict=True))

    def example(self, rng: np.random.Generator) -> PairBatch:
        """As long as the context allows: what memory has to be there for."""
        shape, size = self.config.model, self.config.training.batch_size
        ids = rng.integers(0, shape.vocab_size, (size, shape.context))
        return PairBatch(ids, np.full(size, shape.context), ids, ids)

    def describe_data(self) -> str:
        data = self.config.data
        return f"pairs of {shown(Path(data.source).name)}" + ", both ways" * data.both_ways

    def notes(self) -> list[str]:
        return ["once trained, it turns a text into another: tinygpt generate RUN --prompt TEXT"]

    def data_tokens(self) -> tuple[int, int]:
        return int(self.train.lengths.sum()), int(self.held_out.lengths.sum())

    def rivals(self, model: EncoderDecoder) -> dict[str, float]:
        """Of targets alone, without their sources."""
        held = self.held_out if len(self.held_out) else self.train
        fit, judge = (np.concatenate(part.targets) for part in (self.train, held))
        return baselines(fit, judge, self.tokenizer.vocab_size)._asdict()

    def signs(self, model: EncoderDecoder) -> dict[str, float]:
        """How many held-out pairs are exact."""
        ids = np.concatenate([*self.train.sources, *self.train.targets])
        found = {"rare_tokens": rare_share(ids, self.tokenizer.vocab_size)}
        if self.directed.held_out:
            tried = self._tried(model, self.directed.held_out, np.random.default_rng(0))
            found["right"] = float(np.mean([text == pair.target for pair, text in tried]))
        return found


def make_tokenizer(config: Seq2SeqConfig, pairs: Pairs) -> Tokenizer:
    """Of the characters of all pairs, or BPE or Unigram of those that are learned from."""
    kind = config.tokenizer
    if kind.kind in TRAINERS:
        texts = (f"{text}\n" for pair in pairs.train for text in pair)
        return TRAINERS[kind.kind](texts, kind.vocab_size, pattern=kind.pattern)
    texts = (text for part in (pairs.train, pairs.held_out) for pair in part for text in pair)
    return CharTokenizer("".join(sorted(set("".join(texts)))), (END_OF_TEXT,))


def exact(model: EncoderDecoder, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> float:
    """The share of pairs whose target is written to the letter."""
    written = translate(model, tokenizer, [pair.source for pair in pairs])
    return sum(text == pair.target for text, pair in zip(written, pairs, strict=True)) / len(pairs)
