"""Classification: an encoder learns to say which class a text is of.

From a pretrained encoder a few hundred labelled texts are enough, for what they have to teach is
one product and a turn of the rest (Devlin et al. 2019, 4.1).

Read first: ../training/objective.py, ../model/classifier.py, ../inference/embedding.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrad import Tensor, nn, no_grad, ops
from minigrad.nn import evaluating
from tinygpt import tokenizer as tokenizers
from tinygpt.data import by_frequency, rare_share
from tinygpt.data.batches import RandomRows
from tinygpt.errors import UserError
from tinygpt.finetuning.base import place_of
from tinygpt.finetuning.config import ClassificationConfig
from tinygpt.inference.embedding import as_ids, pad
from tinygpt.model import Classifier, ModelShape
from tinygpt.model.activations import activation_bytes
from tinygpt.runs.checkpoint import Checkpoint
from tinygpt.runs.run import Run
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import expand, kind, shown
from tinygpt.text import DataError
from tinygpt.text.labelled import Labelled, read_labelled
from tinygpt.tokenizer import DEFAULT_SPECIAL_TOKENS, END_OF_TEXT, MASK, Tokenizer
from tinygpt.training.objective import Objective, Say
from tinygpt.weights.open import check_size, load_model
from tinygpt.weights.quantized import load_quantized, quantized_objective

EXAMPLES = "examples.jsonl"  # in the run's folder: what it learns from, held-out ones last
AT_ONCE = 32  # texts in one pass of an evaluation
SHOWN = 3  # wrong answers in a sample
Arrays = dict[str, np.ndarray]


class Texts(NamedTuple):
    """ids: (B, T) int64, lengths: (B,), labels: (B,) the number of each text's class."""

    ids: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray

    @property
    def weight(self) -> int:
        """Texts, each of which is an answer."""
        return len(self.labels)

    @property
    def tokens(self) -> int:
        """Without the padding."""
        return int(self.lengths.sum())


class Classification(Objective):
    """A classifier learns from labelled texts, of which some are held out."""

    Config = ClassificationConfig
    loss_unit = "nats per text"
    loss_note = "Loss is the model's surprise at the class of a text, in nats: lower is better."
    writes = False
    answer = "class"

    def __init__(
        self, config: ClassificationConfig, examples: Sequence[Labelled] = (),
        tokenizer: Tokenizer | None = None, begin_with: Arrays | None = None,
    ):
        """examples: those held out stand last.  begin_with: weights of the encoder."""
        super().__init__(config)
        self.examples, self._tokenizer, self._begin_with = examples, tokenizer, begin_with
        self._learned = len(examples) - round(config.data.held_out * len(examples))

    @property
    def tokenizer(self) -> Tokenizer:
        """What reads the texts.  Raises RuntimeError where this was made without."""
        if self._tokenizer is None:
            raise RuntimeError("this objective has no texts: make it by prepare or reopen")
        return self._tokenizer

    @classmethod
    def prepare(
        cls, config: ClassificationConfig, folder: Path, say: Say | None
    ) -> Classification:
        if not config.data.source:
            raise DataError("there are no labelled texts. Name them with --data or data.source.")
        examples = read_labelled(config.data.source)
        order = np.random.default_rng(config.training.seed).permutation(len(examples))
        examples = [examples[i] for i in order]
        classes = tuple(sorted({example.label for example in examples}))
        config = config.replace("head", classes=classes)
        if config.base is not None:
            shape, tokenizer, weights = _base(config.base)
            config = dataclasses.replace(config, model=shape, base=place_of(config.base))
            return cls(config, examples, tokenizer, weights)
        kept = len(examples) - round(config.data.held_out * len(examples))
        tokenizer = _tokenizer(config, examples, kept)
        config = config.with_vocabulary(tokenizer.vocab_size)
        return cls(config, examples, tokenizer)

    @classmethod
    def reopen(cls, run: Run, say: Say) -> Classification:
        """With the examples kept in the run's folder; the base only if no checkpoint is there."""
        examples = read_labelled(run.path / EXAMPLES)
        weights = None
        if run.config.base is not None and run.newest_good() is None:
            _, _, weights = _base(run.config.base)
        return cls(run.config, examples, run.tokenizer, weights)

    @classmethod
    def settled(
        cls, own: ClassificationConfig, wanted: ClassificationConfig
    ) -> ClassificationConfig:
        wanted = wanted.replace("head", classes=own.head.classes)
        if wanted.base is not None:
            return dataclasses.replace(wanted, model=own.model, base=place_of(wanted.base))
        return wanted.replace("model", vocab_size=own.model.vocab_size)

    def leave(self, folder: Path) -> None:
        self.tokenizer.save(folder / "tokenizer.json")
        lines = [json.dumps(example._asdict()) for example in self.examples]
        replace_file(folder / EXAMPLES, "\n".join(lines) + "\n")

    def identity(self) -> dict[str, Any]:
        digest = hashlib.blake2b(json.dumps(list(self.examples)).encode())
        return {"texts": digest.hexdigest()[:32]}

    def check(self, saved: Checkpoint) -> None:
        super().check(saved)
        check_size(saved, self.config.model, self.config.head.values(self.config.model))

    @cached_property
    def parameters(self) -> int:
        """By the shape: a damaged one's need not fit the memory."""
        return self.config.model.parameters + self.config.head.values(self.config.model)

    def build(self, rng: np.random.Generator | None) -> Classifier:
        model = Classifier(self.config.model, self.config.head, rng)
        if self._begin_with is not None and rng is not None:
            nn.copy_arrays(model.encoder.state_dict(), self._begin_with, "the encoder")
        model.encoder.recompute = self.config.training.recompute
        return model

    def texts(self, examples: Sequence[Labelled]) -> Texts:
        """Examples as a padded batch.  Raises TokenizerError for an unknown character."""
        context = self.config.model.context
        ids, lengths = pad([as_ids(self.tokenizer, e.text, context) for e in examples])
        classes = self.config.head.classes
        return Texts(ids, lengths, np.array([classes.index(e.label) for e in examples]))

    def batches(self, model: Any, rng: np.random.Generator) -> RandomRows[Texts]:
        """Examples drawn uniformly, each time from all."""
        return RandomRows(
            self._learned, self.config.training.batch_size, rng,
            lambda chosen: self.texts([self.examples[i] for i in chosen]),
        )

    def loss(self, model: Classifier, batch: Texts) -> tuple[Tensor, dict[str, float]]:
        logits = model(batch.ids, batch.lengths)
        right = float((logits.data.argmax(axis=1) == batch.labels).mean())
        smoothing = self.config.training.label_smoothing
        return ops.cross_entropy(logits, batch.labels, smoothing), {"accuracy": right}

    def held_out(self) -> Iterator[tuple[Sequence[Labelled], Texts]]:
        """The held-out examples, AT_ONCE at a time, and as batches."""
        for at in range(self._learned, len(self.examples), AT_ONCE):
            chosen = self.examples[at : at + AT_ONCE]
            yield chosen, self.texts(chosen)

    def evaluate(self, model: Classifier, limit: int | None = None) -> float | None:
        total, count = 0.0, 0
        with evaluating(model):
            for _, batch in self.held_out():
                total += batch.weight * self.loss(model, batch)[0].item()
                count += batch.weight
        return total / count if count else None

    def write(self, model: Classifier, step: int) -> str | None:
        """How many held-out texts it has right, and some that it has not."""
        classes, wrong, count = self.config.head.classes, [], 0
        for chosen, batch in self.held_out():
            count += batch.weight
            guesses = self._guesses(model, batch)
            wrong += [
                f"{example.text[:60]!r} is {example.label}, not {classes[guess]}"
                for example, guess, label in zip(chosen, guesses, batch.labels, strict=True)
                if guess != label
            ]
        if not count:
            return None
        right = count - len(wrong)
        head = f"{right} of {count} held-out texts right ({right / count:.1%})"
        return "\n".join([head, *wrong[:SHOWN]])

    def example(self, rng: np.random.Generator) -> Texts:
        size, shape = self.config.training.batch_size, self.config.model
        ids = rng.integers(0, shape.vocab_size, (size, shape.context))
        return Texts(ids, np.full(size, shape.context), np.zeros(size, np.int64))

    def activation_bytes(self) -> int:
        recipe = self.config.training
        return activation_bytes(self.config.model, recipe.batch_size, recipe.recompute)

    def describe_model(self) -> tuple[str, str]:
        shape, head = self.config.model, self.config.head
        on = f"the encoder of {shown(self.config.base)}" if self.config.base else "a new encoder"
        return "A classifier", (
            f"{', '.join(head.classes)} by {on}: {shape.n_layers} layers, width {shape.d_model}, "
            f"context {shape.context} tokens"
        )

    def describe_data(self) -> str:
        return shown(Path(self.config.data.source).name)

    def notes(self) -> list[str]:
        context, cut = self.config.model.context, 0
        for example in self.examples:
            cut += len(as_ids(self.tokenizer, example.text, context + 1)) > context
        if not cut:
            return []
        return [f"{cut} of {len(self.examples)} texts are longer than the {context} tokens read"]

    def data_tokens(self) -> tuple[int, int]:
        context = self.config.model.context
        sizes = [len(as_ids(self.tokenizer, e.text, context)) for e in self.examples]
        return sum(sizes[: self._learned]), sum(sizes[self._learned :])

    def rivals(self, model: Any) -> dict[str, float]:
        fit, held = self._labels()
        count = len(self.config.head.classes)
        return {"uniform": math.log(count), "unigram": by_frequency(fit, held, count)}

    def signs(self, model: Classifier) -> dict[str, float]:
        """How many held-out texts are right, and how many the commonest class alone has right."""
        fit, held = self._labels()
        found = {"guessed": float(np.mean(held == np.bincount(fit).argmax()))}
        if self._learned < len(self.examples):
            right = sum(
                int((self._guesses(model, batch) == batch.labels).sum())
                for _, batch in self.held_out()
            )
            found["right"] = right / len(held)
        if self.config.base is None:  # else the tokens are the base's
            context, texts = self.config.model.context, self.examples[: self._learned]
            ids = [as_ids(self.tokenizer, example.text, context) for example in texts]
            found["rare_tokens"] = rare_share(np.concatenate(ids), self.tokenizer.vocab_size)
        return found

    def _labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the classes of what is learned from, and of what was held out, or without
        any of the same again."""
        classes = self.config.head.classes
        labels = np.array([classes.index(example.label) for example in self.examples])
        fit, held = labels[: self._learned], labels[self._learned :]
        return fit, held if len(held) else fit

    @staticmethod
    def _guesses(model: Classifier, batch: Texts) -> np.ndarray:
        """(B,) the number of the likeliest class."""
        return probabilities(model, batch.ids, batch.lengths).argmax(axis=1)


def probabilities(model: Classifier, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(B, classes) float32, each row's sum being 1."""
    with evaluating(model), no_grad():
        return ops.softmax(model(ids, lengths)).data


class Judge(NamedTuple):
    """A trained classifier with what it needs to read texts."""

    model: Classifier
    tokenizer: Tokenizer
    classes: tuple[str, ...]

    def classify(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """For each text, class -> probability, the likeliest first.

        Raises TokenizerError for a character that it never saw.
        """
        found, context = [], self.model.shape.context
        rows = [as_ids(self.tokenizer, text, context) for text in texts]
        for at in range(0, len(rows), AT_ONCE):
            for p in probabilities(self.model, *pad(rows[at : at + AT_ONCE])):
                order = np.argsort(-p, kind="stable")
                found.append({self.classes[i]: float(p[i]) for i in order})
        return found


def open_classifier(path: str | Path, warn: Say | None = None) -> Judge:
    """The classifier of a run, or of what `quantize` made of it.

    Raises UserError for a run of another objective, or another file.
    """
    if kind(expand(path)) == "file":
        model, tokenizer = load_quantized(expand(path))
        if isinstance(model, Classifier):
            return Judge(model, tokenizer, model.settings.classes)
        objective = quantized_objective(Path(expand(path)))
        raise _no_classes(f"{shown(path)} is a model of {objective}")
    run = Run.open(path)
    if run.config.objective != "classification":
        raise _no_classes(f"{run.path} is a run of {run.config.objective}")
    model = classifier_of(run, run.find("last", warn))
    return Judge(model, run.tokenizer, model.settings.classes)


def _no_classes(what: str) -> UserError:
    return UserError(
        f'{what}, which learns no classes. Give one of objective = "classification".'
    )


def classifier_of(run: Run, saved: Checkpoint) -> Classifier:
    """The classifier in a checkpoint of a run, dropout off.  Raises UserError if it is damaged."""
    objective = Classification(run.config, read_labelled(run.path / EXAMPLES), run.tokenizer)
    objective.check(saved)
    model = objective.build(None)
    saved.copy_to(model.state_dict())
    return model.eval()


def _base(path: str) -> tuple[ModelShape, Tokenizer, Arrays]:
    """Shape, tokenizer and weights of an encoder's run.  Raises UserError for another's."""
    run = Run.open(path)
    model = load_model(run)
    if model.shape.assembly != "encoder":
        raise UserError(
            f'base = {path!r} is a {model.shape.assembly}, and objective = "classification" '
            'stands on an encoder. Train one: tinygpt train S --set model.family=bert'
        )
    return model.shape, run.tokenizer, model.state_dict()


def _tokenizer(config: ClassificationConfig, examples: list[Labelled], kept: int) -> Tokenizer:
    """Of the labelled texts; BPE and Unigram are learned from those that are not held out."""
    wanted = config.tokenizer
    if wanted.kind == "char":
        seen = set[str]().union(*(example.text for example in examples))
        return tokenizers.CharTokenizer("".join(sorted(seen)), (END_OF_TEXT, MASK))
    return tokenizers.TRAINERS[wanted.kind](
        [example.text for example in examples[:kept]], wanted.vocab_size, pattern=wanted.pattern,
        special_tokens=(*DEFAULT_SPECIAL_TOKENS, MASK),
    )
