"""Pretraining: predict each next token of a text (Radford et al. 2019).

TextObjective is what every objective has that learns from running text; masked.py is another.

Read first: ../training/objective.py, whole.py. Read next: ../data/batches.py, ../model/gpt.py.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from minigrad import Tensor
from tinygpt.config import find_objective
from tinygpt.data import BatchLoader, Dataset, baselines, open_dataset, prepare, rare_share
from tinygpt.data.batches import Batch, check_length
from tinygpt.data.mixture import MixedLoader, Part
from tinygpt.data.shards import Tokens
from tinygpt.errors import UserError
from tinygpt.inference.generate import stream_text
from tinygpt.inference.prompt import knows
from tinygpt.inference.sampling import Sampling
from tinygpt.inference.scoring import mean_loss
from tinygpt.model import LanguageModel
from tinygpt.pretraining.config import PretrainingConfig
from tinygpt.pretraining.likeness import likeness
from tinygpt.pretraining.whole import WholeModel
from tinygpt.runs.checkpoint import Checkpoint
from tinygpt.runs.run import Run
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import shown
from tinygpt.text import DataError, load_corpus, mixture
from tinygpt.text.corpus import Corpus
from tinygpt.text.files import STDIN, is_stream
from tinygpt.tokenizer import CharTokenizer, Tokenizer
from tinygpt.training.objective import Say

BASELINE_TOKENS = 500_000  # looked at for the report's baselines: a second, 40 MB
SAMPLE_TOKENS = 120
SAMPLING = Sampling(temperature=0.8)
Made = TypeVar("Made", bound="TextObjective")


class TextObjective(WholeModel):
    """A model learns from a text that was cut into training and held-out splits.

    specials: tokens that its tokenizer has besides.
    """

    specials: ClassVar[tuple[str, ...]] = ()
    answer = "token"
    hold_out = "data.split=0.8,0.2,0"

    def __init__(self, config: Any, dataset: Dataset | None = None):
        super().__init__(config)
        self._dataset = dataset

    @property
    def dataset(self) -> Dataset:
        """The text as tokens.  Raises RuntimeError where this was made without."""
        if self._dataset is None:
            raise RuntimeError("this objective has no text: make it by prepare or reopen")
        return self._dataset

    @classmethod
    def prepare(cls: type[Made], config: Any, folder: Path, say: Say | None) -> Made:
        dataset = prepare_data(config, folder / "tokens", say, specials=cls.specials)
        check_length(dataset.train, config.model.context, "the training text")
        return cls(config.with_vocabulary(dataset.vocab_size), dataset)

    @classmethod
    def reopen(cls: type[Made], run: Run, say: Say) -> Made:
        """With the tokens that the run began with, whatever has become of the text since."""
        folder, source = run.path / "tokens", run.config.data
        try:
            dataset = open_run_tokens(run)
        except DataError as error:
            say(f"{error} Preparing the text again.")
            return cls(run.config, prepare_data(run.config, folder, say, run.tokenizer))
        if is_stream(source.source):  # it cannot be read again, to see whether it has changed
            return cls(run.config, dataset)
        try:
            now = corpus_of(run.config).fingerprint
        except UserError as error:
            say(f"{error} Going on with the tokens prepared when the run began.")
            return cls(run.config, dataset)
        if now != dataset.manifest["made_from"]["text"]:
            names = ", ".join(source.sources) or source.source
            say(
                f"the text of {names} has changed since the run began; going on with the "
                "tokens prepared then. A new run in another --out learns from the new text."
            )
        return cls(run.config, dataset)

    def leave(self, folder: Path) -> None:
        """The tokenizer."""
        self.dataset.tokenizer.save(folder / "tokenizer.json")

    def identity(self) -> dict[str, Any]:
        return self.dataset.manifest["made_from"]

    def describe_data(self) -> str:
        source, several = self.config.data.source, self.config.data.sources
        if several:
            return " + ".join(shown(mixture.parse(entry).source) for entry in several)
        return "standard input" if source in STDIN else shown(Path(source).name)

    def notes(self) -> list[str]:
        found = list(self.dataset.notes)
        if isinstance(self.dataset.tokenizer, CharTokenizer):
            count = self.dataset.vocab_size
            found.append(
                f"a model of characters: it reads and writes the {count} of this text and no other"
            )
        return found

    def data_tokens(self) -> tuple[int, int]:
        return len(self.dataset.train), len(self.dataset.validation)

    @property
    def least_held_out(self) -> int:
        """A window and what follows it."""
        return self.config.model.context + 1

    @property
    def judges(self) -> Tokens:
        """What rivals are judged on: held-out text, or without a window of it what is learned."""
        data = self.dataset
        return data.train if len(data.validation) < self.least_held_out else data.validation

    def signs(self, model: LanguageModel) -> dict[str, float]:
        return {"rare_tokens": rare_share(self.dataset.train, self.dataset.vocab_size)}


class Pretraining(TextObjective):
    """A decoder learns to go on with a text."""

    model_name = "A GPT"
    Config = PretrainingConfig
    loss_unit = "nats per token"
    loss_note = (
        "Loss is the model's surprise at the next token, in nats: lower is better. "
        "The dashed lines are models that learn next to nothing: every token alike (uniform), by "
        "frequency (unigram), by the token before (bigram)."
    )

    def leave(self, folder: Path) -> None:
        """And baselines.json for the report: now, while no model takes memory."""
        super().leave(folder)
        data = self.dataset
        if len(data.validation) > 1:
            found = baselines(
                data.train[:BASELINE_TOKENS], data.validation[:BASELINE_TOKENS], data.vocab_size
            )
            replace_file(folder / "baselines.json", json.dumps(found._asdict()) + "\n")

    def batches(self, model: LanguageModel, rng: np.random.Generator) -> BatchLoader:
        return loader_of(self.config, self.dataset, rng)

    def loss(self, model: LanguageModel, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        smoothing = self.config.training.label_smoothing
        return model.loss(batch.ids, batch.targets, label_smoothing=smoothing), {}

    def evaluate(self, model: LanguageModel, limit: int | None = None) -> float | None:
        """Loss on the validation split, None if it is shorter than a window."""
        tokens = self.dataset.validation
        if len(tokens) < self.least_held_out:
            return None
        return mean_loss(model, tokens, limit, self.config.training.batch_size)

    def bits_per_byte(self, loss: float) -> float:
        tokens = np.asarray(self.dataset.validation)
        held_out = len(self.dataset.tokenizer.decode_bytes(tokens))
        return loss / math.log(2) * len(tokens) / max(1, held_out)

    def write(self, model: LanguageModel, step: int) -> str:
        """training.sample_prompt and how it goes on; the same step always writes the same."""
        recipe, tokenizer = self.config.training, self.dataset.tokenizer
        prompt, rng = recipe.sample_prompt, np.random.default_rng([recipe.seed, step])
        if not prompt or not knows(tokenizer, prompt):  # begin as the text does
            prompt = tokenizer.decode(self.dataset.train[:1])
        return prompt + "".join(stream_text(
            model, tokenizer, prompt, max_tokens=SAMPLE_TOKENS, sampling=SAMPLING, rng=rng
        ))

    def example(self, rng: np.random.Generator) -> Batch:
        shape = self.config.model
        size = (self.config.training.batch_size, shape.context)
        ids = rng.integers(0, shape.vocab_size, size)
        return Batch(ids, ids)

    def rivals(self, model: LanguageModel) -> dict[str, float]:
        return baselines(self.dataset.train, self.judges, self.dataset.vocab_size)._asdict()

    def signs(self, model: LanguageModel) -> dict[str, float]:
        data = self.dataset
        return super().signs(model) | likeness(model, data.tokenizer, data.train)


def corpus_of(config: Any) -> Corpus:
    """The text that a configuration names.  Raises DataError."""
    data, seed = config.data, config.training.seed

    def load(source: str) -> Corpus:
        return load_corpus(source, seed=seed, stories_mb=data.stories_mb, errors=data.errors)

    if not data.sources:
        return load(data.source)
    return mixture.mixed_corpus([mixture.parse(entry) for entry in data.sources], load)


def loader_of(config: Any, dataset: Dataset, rng: np.random.Generator) -> BatchLoader:
    """Random windows of a dataset, of a mixture by its shares."""
    size, context = config.training.batch_size, config.model.context
    if not config.data.sources:
        return BatchLoader(dataset.train, size, context, rng)
    asked = [mixture.parse(entry) for entry in config.data.sources]
    parts = []
    for name, tokens in dataset.manifest["parts"]:
        one = mixture.asked_of(asked, name)
        parts.append(Part(name, tokens, one.weight, one.epochs))
    return MixedLoader(dataset.train, parts, config.data.temperature, size, context, rng)


def goes_on(run: Run) -> bool:
    """Whether a run's model is judged by next tokens: those of a pretraining."""
    return issubclass(find_objective(run.config.objective), Pretraining)


def reopened(run: Run, saved: Checkpoint) -> Any:
    """The objective of a run as a checkpoint knows it, to measure on the run's own data.

    Raises DataError or CheckpointError where data or checkpoint are not the run's.
    """
    kind = find_objective(run.config.objective)
    if issubclass(kind, TextObjective):  # its own reopen would prepare a damaged text again
        objective = kind(run.config, open_run_tokens(run))
    else:
        objective = kind.reopen(run, lambda text: None)
    objective.check(saved)
    return objective


def open_run_tokens(run: Run) -> Dataset:
    """The tokens in a run's folder.  Raises DataError unless its own tokenizer made them."""
    dataset = open_dataset(run.path / "tokens")
    if dataset.tokenizer.to_json() != run.tokenizer.to_json():
        raise DataError(
            f"{dataset.folder} was made by another tokenizer than {run.path / 'tokenizer.json'}. "
            "Delete it to have it made again."
        )
    return dataset


def prepare_data(
    config: Any, folder: Path, say: Say | None, tokenizer: Tokenizer | None = None,
    specials: tuple[str, ...] = (),
) -> Dataset:
    """Tokens of the configured text in `folder`; a tokenizer is trained unless given.

    specials: what a trained one has besides its usual ones.
    """
    told: set[str] = set()

    def progress(what: str, fraction: float) -> None:
        if say is not None and what not in told:
            told.add(what)
            say({"tokenizer": "training the tokenizer", "tokens": "encoding the text"}[what])

    source, kind = config.data, config.tokenizer
    return prepare(
        corpus_of(config) if source.sources else source.source, tokenizer or kind.kind, folder,
        seed=config.training.seed, split=source.split, by_position=source.by_position,
        stories_mb=source.stories_mb, vocab_size=kind.vocab_size, pattern=kind.pattern,
        specials=specials, errors=source.errors, progress=progress,
    )
