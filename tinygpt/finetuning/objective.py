"""Fine-tuning: a model that goes on with texts learns to answer, from conversations.

The loss is that of pretraining, over the tokens of the answers alone (Ouyang et al. 2022, the
supervised stage): a question is read, and nobody asks that the model could have written it. Each
batch weighs as many tokens as are learned in it, so a step's mean is over tokens however it is cut.

Read first: ../training/objective.py, rendering.py, packing.py. Read next: score.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigrad import Tensor, nn
from minigrad.nn import evaluating
from tinygpt.adapters import adapt
from tinygpt.adapters.count import frozen_bytes, kept_floats, trained_values
from tinygpt.data import baselines, rare_share
from tinygpt.errors import UserError
from tinygpt.finetuning.base import (
    new_tokenizer,
    open_base,
    place_of,
    with_rows,
    with_turns,
)
from tinygpt.finetuning.config import ALONE, FinetuningConfig, FinetuningRecipe
from tinygpt.finetuning.conversations import KEPT, USUAL, Conversations, load, with_length
from tinygpt.finetuning.packing import (
    IGNORE,
    AnswerBatch,
    PackedRows,
    batch_of,
    in_rows,
    size,
)
from tinygpt.finetuning.rendering import Renderer, Sample, form_for, rendered
from tinygpt.finetuning.score import Score, scored
from tinygpt.inference.answers import answers
from tinygpt.model import LanguageModel
from tinygpt.model.activations import activation_bytes
from tinygpt.pretraining.whole import WholeModel
from tinygpt.runs.chat_form import ChatForm, chat_form
from tinygpt.runs.checkpoint import Checkpoint, CheckpointError
from tinygpt.runs.run import Run
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import FormatError, read_bytes
from tinygpt.text.tasks import TASKS, exact
from tinygpt.tokenizer import CharTokenizer, Tokenizer
from tinygpt.training.objective import Say
from tinygpt.weights.open import digest, form_of

SHOWN, TRIED = 3, 32  # held-out questions in a sample, and answered for it
BASE_TOKENS = 20_000  # of held-out answers, that a base is judged on for `diagnose`


class Taught(NamedTuple):
    """What a model is asked in, and by: the tokenizer and the form of its conversations."""

    tokenizer: Tokenizer
    form: ChatForm


class Finetuning(WholeModel):
    """A model learns to write the answers of conversations."""

    Config: ClassVar[type[FinetuningConfig]] = FinetuningConfig
    loss_unit = "nats per token"
    loss_note = (
        "Loss is the model's surprise at each token of an answer, given the question and the "
        "tokens before it, in nats: lower is better."
    )
    model_name = "A GPT that answers"
    answer = "token"
    teaches_roles = True
    Data: ClassVar[Any] = Conversations

    def __init__(
        self, config: FinetuningConfig, data: Any = None,
        taught: Taught | None = None, base: LanguageModel | None = None,
    ):
        """base: what the first model that is built begins with, of the shape in [model]."""
        super().__init__(config)
        self._data, self._taught, self._base = data, taught, base
        self._digest = digest(base) if base is not None and self.adapts else None

    @property
    def adapts(self) -> bool:
        """Whether the base stays as it is, and what is trained stands beside it."""
        return self.config.method.name != "full"

    # A run begins, or goes on.

    @classmethod
    def load(cls, config: Any) -> Any:
        """What the configuration names, a `Data`.  Raises DataError."""
        return load(config)

    @classmethod
    def prepare(cls, config: FinetuningConfig, folder: Path, say: Say | None) -> Finetuning:
        data, base, own = cls.load(config), None, None
        if config.base is not None:
            base, tokenizer = open_base(config.base, config.method, say)
            own = form_of(config.base)
            if isinstance(tokenizer, CharTokenizer) and config.data.template is None:
                tokenizer = with_turns(tokenizer)
                base = with_rows(base, tokenizer.vocab_size, config.method, config.training.seed)
            config = dataclasses.replace(config, model=base.shape, base=place_of(config.base))
        else:
            tokenizer = new_tokenizer(config, data)
            config = config.with_vocabulary(tokenizer.vocab_size)
        renderer = Renderer(form_for(tokenizer, own, config.data.template), tokenizer)
        samples = rendered(renderer, [*data.train, *data.held_out])
        config = with_length(config, data, samples)
        made = cls(config, data, Taught(tokenizer, renderer.form), base)
        made.samples = samples
        epochs = config.data.epochs
        if epochs is not None:
            made.config = config.replace("training", steps=made.steps_of(epochs))
        return made

    @classmethod
    def reopen(cls, run: Run, say: Say) -> Finetuning:
        """With the conversations that the run began with; the base only without a checkpoint."""
        try:
            data = cls.Data.from_text(read_bytes(run.check(KEPT)).decode())
        except (FormatError, UnicodeDecodeError) as error:
            raise UserError(
                f"{run.path / KEPT} is damaged: {error}. Bring it back, or begin another run."
            ) from error
        form, base = chat_form(run.check("chat.json").parent), None
        assert form is not None  # `check` has seen it
        config = run.config
        adapts = config.method.name != "full"
        if config.base is not None and (adapts or run.newest_good() is None):
            base, _ = open_base(config.base, config.method, say)
            if base.shape.vocab_size < config.model.vocab_size:
                base = with_rows(
                    base, config.model.vocab_size, config.method, config.training.seed
                )
        return cls(config, data, Taught(run.tokenizer, form), base)

    @classmethod
    def settled(cls, own: FinetuningConfig, wanted: FinetuningConfig) -> FinetuningConfig:
        if wanted.data.length is None:
            wanted = wanted.replace("data", length=own.data.length)
        unasked = wanted.training.steps == FinetuningRecipe.steps
        if wanted.data.epochs is not None and own.data == wanted.data and unasked:
            wanted = wanted.replace("training", steps=own.training.steps)
        if wanted.base is not None:
            return dataclasses.replace(wanted, model=own.model, base=place_of(wanted.base))
        return wanted.replace("model", vocab_size=own.model.vocab_size)

    def leave(self, folder: Path) -> None:
        """The tokenizer, the form, and the conversations: what they came from may change."""
        self.taught.tokenizer.save(folder / "tokenizer.json")
        self.taught.form.leave(folder)
        replace_file(folder / KEPT, self.data.to_text())

    def identity(self) -> dict[str, Any]:
        text = hashlib.sha256(self.data.to_text().encode())
        found = {"conversations": text.hexdigest()}
        return found if self._digest is None else {**found, "base": self._digest}

    def check(self, saved: Checkpoint) -> None:
        if not self.adapts:
            super().check(saved)
            return
        saved.check_data(self.identity())
        if saved.parameters() != self.parameters:
            raise CheckpointError(
                f"{saved.path} holds {saved.parameters():,} values, config.json describes "
                f"{self.parameters:,}. Use the config.json it was trained with."
            )

    @property
    def data(self) -> Any:
        """The conversations.  Raises RuntimeError where this was made without."""
        if self._data is None:
            raise RuntimeError("this Finetuning has no conversations: make it by prepare or reopen")
        return self._data

    @property
    def taught(self) -> Taught:
        """How the model is asked.  Raises RuntimeError as `data`."""
        if self._taught is None:
            raise RuntimeError("this Finetuning has no tokenizer: make it by prepare or reopen")
        return self._taught

    @cached_property
    def samples(self) -> list[Sample]:
        """All conversations in ids, those held out last."""
        renderer = Renderer(self.taught.form, self.taught.tokenizer)
        return rendered(renderer, [*self.data.train, *self.data.held_out])

    @property
    def length(self) -> int:
        """Tokens in a row at most."""
        if self.config.data.length is not None:
            return self.config.data.length
        method = self.config.method
        return min(self.config.model.context - method.tokens * (method.name in ALONE), USUAL)

    @property
    def _row(self) -> int | None:
        alone = self.config.method.name in ALONE
        return self.length if self.config.data.packed and not alone else None

    def steps_of(self, epochs: float) -> int:
        """Optimizer steps in which every conversation is learned from so often."""
        recipe = self.config.training
        rows = len(in_rows(self.samples[: len(self.data.train)], self._row))
        return max(1, math.ceil(epochs * rows / (recipe.batch_size * recipe.accumulation)))

    # Learning.

    @cached_property
    def parameters(self) -> int:
        """Values that training changes, by the shape: a damaged one's need not fit the memory."""
        return trained_values(self.config.model, self.config.method)

    def build(self, rng: np.random.Generator | None) -> LanguageModel:
        base = None
        if rng is not None:
            base, self._base = self._base, None  # it is in the model now
            if base is None and self.adapts and self._data is None:  # a trial (planning/probe.py)
                base, _ = open_base(self.config.base, self.config.method, None)
        if not self.adapts:
            model = super().build(rng)
            if base is not None:
                nn.copy_arrays(model.state_dict(), base.state_dict(), "the base")
            return model
        model = base if base is not None else super().build(rng)
        model.recompute = self.config.training.recompute
        adapt(model, self.config.method, rng)
        return model

    def batches(self, model: LanguageModel, rng: np.random.Generator) -> PackedRows:
        train = self.samples[: len(self.data.train)]
        return PackedRows(train, self.config.training.batch_size, self._row, rng)

    def loss(self, model: Any, batch: Any) -> tuple[Tensor, dict[str, float]]:
        return answer_loss(model, batch, self.config.training.label_smoothing), {}

    def evaluate(self, model: LanguageModel, limit: int | None = None) -> float | None:
        """Mean loss of the held-out answers' tokens, None without any."""
        samples = self.samples[len(self.data.train) :]
        if limit is not None:
            count = int(limit / max(1.0, float(np.mean([size(s) for s in samples] or [1]))))
            samples = samples[:: max(1, len(samples) // max(1, count))]
        rows, total, weight = in_rows(samples, self._row), 0.0, 0
        with evaluating(model):
            for at in range(0, len(rows), self.config.training.batch_size):
                chosen = rows[at : at + self.config.training.batch_size]
                batch = batch_of([[samples[i] for i in row] for row in chosen])
                total += batch.weight * answer_loss(model, batch).item()
                weight += batch.weight
        return total / weight if weight else None

    def score(self, model: LanguageModel, most: int | None = None) -> Score:
        """Ask the held-out questions, at most so many, and compare what is answered."""
        chosen = self.data.held_out[:most]
        right = TASKS[self.config.data.source].right if self._task else exact
        questions = [
            [{"role": m.role, "content": m.content} for m in one.messages[:-1]] for one in chosen
        ]
        longest = max((size(s) for s in self.samples), default=0)
        with evaluating(model):
            found = answers(
                model, *self.taught, questions, max_tokens=min(longest, self.length)
            )
        return scored(chosen, found, right)

    @property
    def _task(self) -> bool:
        return self.config.data.source in TASKS

    def write(self, model: LanguageModel, step: int) -> str | None:
        """Some held-out questions with the model's answers."""
        if not self.data.held_out:
            return None
        score = self.score(model, TRIED)
        return "\n".join([str(score), *score.wrong[:SHOWN]])

    # Before and after.

    def example(self, rng: np.random.Generator) -> AnswerBatch:
        shape, width = self.config.model, self.length - (not self.config.data.packed)
        ids = rng.integers(0, shape.vocab_size, (self.config.training.batch_size, width))
        return AnswerBatch(ids, ids, np.zeros_like(ids), ids.size)

    def activation_bytes(self) -> int:
        recipe, method = self.config.training, self.config.method
        places = self.length + method.tokens * (method.name == "prompt")
        shape = dataclasses.replace(self.config.model, context=places)
        beside = kept_floats(shape, method)
        return activation_bytes(shape, recipe.batch_size, recipe.recompute, beside)

    def frozen_bytes(self) -> int:
        """What the base takes beside what is trained: one that was rounded before says itself."""
        if self.adapts and self._base is not None:
            rounded = [m.packed.nbytes for m in self._base.modules()
                       if isinstance(m, nn.QuantizedLinear | nn.QuantizedEmbedding)]
            if rounded:
                return sum(rounded) + sum(p.data.nbytes for p in self._base.parameters())
        return frozen_bytes(self.config.model, self.config.method)

    def describe_model(self) -> tuple[str, str]:
        name, detail = super().describe_model()
        if self.adapts:
            millions = self.config.model.parameters / 1e6
            detail = f"{self.config.method.name} beside {millions:.2f} million, {detail}"
        return name, detail

    def describe_data(self) -> str:
        return shown(Path(self.config.data.source).name)

    def notes(self) -> list[str]:
        train = self.samples[: len(self.data.train)]
        rows = in_rows(train, self._row)
        learned = sum(int(s.learned[1:].sum()) for s in train)
        places = sum(map(size, train))
        return [
            f"{len(train):,} conversations to learn from, {len(self.data.held_out):,} held out; "
            f"{learned:,} of {places:,} tokens are learned; {len(rows):,} rows of "
            f"{self.length} tokens, {places / (len(rows) * self.length):.0%} full"
        ]

    def closing(self, model: LanguageModel) -> list[str]:
        """How many held-out questions it answers rightly: all of a task, TRIED of others."""
        if not self.data.held_out:
            return []
        return [f"{self.score(model, None if self._task else TRIED)}."]

    def data_tokens(self) -> tuple[int, int]:
        sizes = [size(sample) for sample in self.samples]
        count = len(self.data.train)
        return sum(sizes[:count]), sum(sizes[count:])

    def rivals(self, model: LanguageModel) -> dict[str, float]:
        """Of answers alone; and the base, where it stays what it was."""
        count, vocab_size = len(self.data.train), self.config.model.vocab_size
        train, held = self.samples[:count], self.samples[count:]
        fit, judge = (
            np.concatenate([sample.ids[1:][sample.learned[1:]] for sample in samples])
            for samples in (train, held or train)
        )
        found = baselines(fit, judge, vocab_size)._asdict()
        before = self.evaluate(model, BASE_TOKENS) if self.adapts else None
        return found if before is None else {**found, "base": before}

    def signs(self, model: LanguageModel) -> dict[str, float]:
        """How many held-out questions are answered rightly, and how many answers end."""
        found = {}
        if self.config.base is None:  # else the tokens are the base's
            ids = np.concatenate([sample.ids for sample in self.samples[: len(self.data.train)]])
            found["rare_tokens"] = rare_share(ids, self.config.model.vocab_size)
        if not self.data.held_out:
            return found
        score = self.score(model, TRIED)
        return {**found, "right": score.right / score.asked, "ended": score.ended / score.asked}


def answer_loss(model: LanguageModel, batch: AnswerBatch, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross entropy of a batch's learned tokens, ().

    The vocabulary is scored at their places alone: what nobody asks for costs no product.
    """
    if model.before:  # one text a row
        x = model.hidden(batch.ids)
    else:
        x = model.hidden(batch.ids, starts=batch.starts)  # type: ignore[call-arg]  # a decoder
    targets = batch.targets.reshape(-1)
    asked = np.flatnonzero(targets != IGNORE)
    x = x.reshape(-1, x.shape[-1])[asked]  # (B, T, C) -> (R, C)
    return model.loss_of(x, targets[asked], label_smoothing)
