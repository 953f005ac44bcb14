"""A small model learns from a large one, on the loop that trains everything here.

    text -> teacher -> log p (V of each place)  \\
         -> student -> log q, its vectors        -> soft KL + (1 - soft) CE + hidden angle -> a step

The student's new weights, or a base that was made smaller (structured.py), learn; the teacher stays
as it is. A base without a teacher learns from the text alone, which heals as well.

Read first: divergence.py, teacher.py, ../training/objective.py.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigrad import Tensor, nn, no_grad, ops
from minigrad.nn import evaluating
from tinygpt.adapters import MethodConfig
from tinygpt.compression.config import DistillationConfig, MaskedDistillationConfig
from tinygpt.compression.divergence import divergence, filled, log_softmax, turned
from tinygpt.compression.quantize import quantize_model
from tinygpt.compression.straight import straighten
from tinygpt.compression.teacher import (
    KeptTeacher,
    Said,
    check_same_tokens,
    keep_teacher,
    open_teacher,
    own_rows,
    run_of,
    write_text,
)
from tinygpt.data import BatchLoader, Dataset
from tinygpt.data.batches import RandomRows, check_length
from tinygpt.data.shards import replaced_folder
from tinygpt.errors import UserError
from tinygpt.finetuning.base import place_of
from tinygpt.model import LanguageModel, build
from tinygpt.model.encoder import NOT_ASKED
from tinygpt.pretraining.masked import Masked, MaskedBatch
from tinygpt.pretraining.objective import (
    Pretraining,
    TextObjective,
    open_run_tokens,
    prepare_data,
)
from tinygpt.runs.checkpoint import Checkpoint
from tinygpt.runs.run import Run
from tinygpt.storage.durable import replace_file
from tinygpt.tokenizer import Tokenizer
from tinygpt.training.objective import Say
from tinygpt.weights import open as weights
from tinygpt.weights.open import check_size

WRITTEN = "written.txt"  # in the run's folder: what the teacher wrote


class Lesson(NamedTuple):
    """ids, targets: (B, T) int64.  own: the student wrote it.  said: by a teacher that was kept."""

    ids: np.ndarray
    targets: np.ndarray
    own: bool = False
    said: Said | None = None

    @property
    def weight(self) -> int:
        """Places."""
        return self.targets.size

    @property
    def tokens(self) -> int:
        """How many were read for that."""
        return self.ids.size


class Taught(TextObjective):
    """What learning from a teacher adds to an objective of a text."""

    kept: KeptTeacher | None = None

    def __init__(
        self, config: Any, dataset: Dataset | None = None, base: LanguageModel | None = None
    ):
        """base: what the first model that is built begins with."""
        super().__init__(config, dataset)
        self._base = base

    # A run begins, or goes on.

    @classmethod
    def prepare(cls, config: Any, folder: Path, say: Say | None) -> Any:
        how, base, own, theirs = config.distillation, None, None, None
        tell = say or (lambda text: None)
        if config.base is not None:
            base, own = weights.open_base(config.base, MethodConfig("full"), tell)
            config = dataclasses.replace(config, model=base.shape, base=place_of(config.base))
        if how.teacher is not None:
            teacher, theirs = open_teacher(how.teacher, say)
            config = config.replace(
                "distillation", teacher=place_of(how.teacher), width=teacher.shape.d_model
            )
            if how.by == "text":
                config = _written(config, teacher, theirs, folder, tell)
            elif own is not None:
                check_same_tokens(theirs, own, how.teacher)
        tokenizer = own if own is not None or how.by == "text" else theirs
        dataset = _dataset(cls, config, tokenizer, folder, say)
        config = config.with_vocabulary(dataset.vocab_size)
        check_length(dataset.train, config.model.context, "the training text")
        made = cls(config, dataset, base)
        if config.distillation.listens:
            _check_context(teacher, config)
            made.teacher = teacher
            if how.top is not None:
                recipe = config.training
                most = recipe.steps * recipe.batch_size * recipe.accumulation
                keep_teacher(
                    teacher, dataset.train, config.model.context, most, how.top, folder, tell
                )
                made.kept = KeptTeacher(folder, config.model.context, dataset.vocab_size)
        return made

    @classmethod
    def reopen(cls, run: Run, say: Say) -> Any:
        """With the tokens that the run began with; the base only without a checkpoint."""
        config, base = run.config, None
        if config.base is not None and run.newest_good() is None:
            base, _ = weights.open_base(config.base, MethodConfig("full"), say)
        made = cls(config, open_run_tokens(run), base)
        if config.distillation.listens and config.distillation.top is not None:
            made.kept = KeptTeacher(run.path, config.model.context, config.model.vocab_size)
        return made

    @classmethod
    def settled(cls, own: Any, wanted: Any) -> Any:
        wanted = wanted.replace("distillation", width=own.distillation.width)
        if own.distillation.by == "text":
            wanted = wanted.replace("data", source=own.data.source)
        if wanted.base is not None:
            return dataclasses.replace(wanted, model=own.model, base=place_of(wanted.base))
        return super().settled(own, wanted)

    def check(self, saved: Checkpoint) -> None:
        saved.check_data(self.identity())
        check_size(saved, self.config.model, self._beside)

    @property
    def _beside(self) -> int:
        return sum(math.prod(shape) for shape in self.config.heads.values())

    @cached_property
    def parameters(self) -> int:
        """Values that training changes, the projection's too."""
        return int(self.config.model.parameters + self._beside)

    @cached_property
    def teacher(self) -> LanguageModel:
        """The model that is asked."""
        model, _ = open_teacher(self.config.distillation.teacher, None)
        return model

    # Learning.

    def build(self, rng: np.random.Generator | None) -> Any:
        model: Any = super().build(rng)
        if rng is not None and self._base is not None:
            base, self._base = self._base, None
            nn.copy_arrays(model.state_dict(), base.state_dict(), "the base")
        for size in self.config.heads.values():
            width, own = size
            model.projection = nn.Linear(own, width, bias=False, std=own**-0.5, rng=rng)
        if self.config.distillation.rounded is not None:
            straighten(model, self.config.distillation.rounded)
        return model

    def rows(self, model: Any, batch: Any) -> tuple[Tensor, np.ndarray]:
        """(vectors (R, C), targets (R,)) of the places of a batch that are asked for."""
        raise NotImplementedError

    def taught_loss(self, model: Any, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The mixture that the settings ask for, and its parts."""
        how, said = self.config.distillation, getattr(batch, "said", None)
        own = getattr(batch, "own", False)
        x, targets = self.rows(model, batch)
        logits = model.head(x)  # (R, C) -> (R, V)
        if not how.listens:
            return ops.cross_entropy(logits, targets, self.config.training.label_smoothing), {}
        if said is not None:
            log_p = filled(logits.data, *said)
        else:
            with evaluating(self.teacher), no_grad():
                theirs, _ = self.rows(self.teacher, batch)
                log_p = log_softmax(self.teacher.head(theirs).data, how.temperature)
        soft = divergence(logits, log_p, how.temperature, how.divergence)
        logged = {"soft": soft.item()}
        loss = soft * how.soft
        if not own and how.soft < 1:  # what it wrote itself is no example to follow
            hard = ops.cross_entropy(logits, targets, self.config.training.label_smoothing)
            logged["text"] = hard.item()
            loss = loss + hard * (1 - how.soft)
        if how.hidden:
            angle = turned(model.projection(x), theirs.data)
            logged["hidden"] = angle.item()
            loss = loss + angle * how.hidden
        return loss, logged

    # Before and after.

    def activation_bytes(self) -> int:
        """As the student's, and four arrays of logits, which exist whole."""
        recipe, shape = self.config.training, self.config.model
        places = recipe.batch_size * shape.context
        logits = 4 * 4 * places * shape.vocab_size if self.config.distillation.listens else 0
        return super().activation_bytes() + logits

    def frozen_bytes(self) -> int:
        """The teacher's weights."""
        if not self.config.distillation.listens or self.kept is not None:
            return 0
        return int(sum(array.nbytes for array in self.teacher.state_dict().values()))


class Distillation(Taught, Pretraining):
    """A decoder learns to go on with a text as a teacher would."""

    Config: ClassVar[Any] = DistillationConfig
    loss_note = (
        "Loss is what the settings mix: the divergence from the teacher and the surprise at the "
        "text, in nats; held-out loss is the surprise at held-out text alone. " +
        Pretraining.loss_note
    )

    def batches(self, model: Any, rng: np.random.Generator) -> Any:
        size, context = self.config.training.batch_size, self.config.model.context
        windows, kept = BatchLoader(self.dataset.train, size, context, rng), self.kept
        if kept is None:
            return own_rows(windows, model, self.config.distillation.on_policy, rng,
                            lambda batch, own: Lesson(batch.ids, batch.targets, own))

        def known(numbers: np.ndarray) -> Lesson:
            batch = windows.windows(kept.starts[numbers])
            return Lesson(batch.ids, batch.targets, said=kept.said(numbers))

        return RandomRows(len(kept.starts), size, rng, known)

    def rows(self, model: Any, batch: Any) -> tuple[Tensor, np.ndarray]:
        x = model.hidden(batch.ids)
        return x.reshape(-1, x.shape[-1]), batch.targets.reshape(-1)  # (B, T, C) -> (B T, C)

    def loss(self, model: Any, batch: Any) -> tuple[Tensor, dict[str, float]]:
        if not (self.config.distillation.listens or self.config.distillation.rounded):
            return super().loss(model, batch)
        return self.taught_loss(model, batch)

    def evaluate(self, model: Any, limit: int | None = None) -> float | None:
        """Loss on held-out text; of what is trained through a rounding, rounded as its file is."""
        if self.config.distillation.rounded is not None:
            own, model = model.state_dict(), build(self.config.model, None)
            nn.copy_arrays(model.state_dict(), own, "the student")
            quantize_model(model, self.config.distillation.rounded)
        return super().evaluate(model, limit)


class MaskedDistillation(Taught, Masked):
    """An encoder learns to name hidden tokens as a teacher would: DistilBERT's recipe."""

    Config: ClassVar[Any] = MaskedDistillationConfig

    def rows(self, model: Any, batch: MaskedBatch) -> tuple[Tensor, np.ndarray]:
        targets = batch.targets.reshape(-1)
        asked = np.flatnonzero(targets != NOT_ASKED)
        x = model.hidden(batch.ids, bounds=batch.bounds)
        return ops.embedding(x.reshape(-1, x.shape[-1]), asked), targets[asked]

    def loss(self, model: Any, batch: MaskedBatch) -> tuple[Tensor, dict[str, float]]:
        if not (self.config.distillation.listens or self.config.distillation.rounded):
            return super().loss(model, batch)
        return self.taught_loss(model, batch)


def _dataset(
    cls: type[Taught], config: Any, tokenizer: Tokenizer | None, folder: Path, say: Say | None
) -> Dataset:
    """The teacher's own tokens, split as they were, where it learned from the same text."""
    how = config.distillation
    run = run_of(how.teacher) if how.teacher is not None and how.by == "logits" else None
    if run is None or getattr(run.config, "data", None) != config.data:
        return prepare_data(config, folder / "tokens", say, tokenizer, cls.specials)
    dataset = open_run_tokens(run)
    with replaced_folder(folder / "tokens") as aside:
        shutil.copytree(dataset.folder, aside, dirs_exist_ok=True)
    return dataclasses.replace(dataset, folder=folder / "tokens")


def _written(
    config: Any, teacher: LanguageModel, tokenizer: Tokenizer, folder: Path, tell: Say
) -> Any:
    """The configuration with a text that the teacher wrote, in the run's folder."""
    rng = np.random.default_rng([config.training.seed, 1])
    text = write_text(teacher, tokenizer, config.distillation.written, rng, tell)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / WRITTEN, text)
    return config.replace("data", source=str((folder / WRITTEN).resolve()))


def _check_context(teacher: LanguageModel, config: Any) -> None:
    if teacher.shape.context < config.model.context:
        raise UserError(
            f"the teacher reads {teacher.shape.context} tokens, the student {config.model.context}"
            f". Set model.context = {teacher.shape.context} or less."
        )
