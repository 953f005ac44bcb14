"""A run of a model that another program trained: its folder, with one checkpoint at step 0.

What opens a run opens it, and training goes on from it on a text of one's own. What it learned from
is not here: the run has no tokens and no metrics.

Read next: ../exchange/huggingface_folder.py.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from tinygpt.config import from_dict
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel
from tinygpt.pretraining.config import LEARNED_BY
from tinygpt.runs import checkpoint
from tinygpt.runs.chat_form import ChatForm
from tinygpt.runs.run import Run, new_run
from tinygpt.tokenizer import Tokenizer
from tinygpt.training.state import TrainState


def adopt(model: LanguageModel, tokenizer: Tokenizer, form: ChatForm | None, out: Path) -> Run:
    """Make the run.  out: its folder, which must be free.

    Raises UserError if it is not, or cannot be written.
    """
    config = from_dict({
        "objective": LEARNED_BY[model.shape.assembly],
        "model": dataclasses.asdict(model.shape),
        "tokenizer": {"kind": "bpe", "vocab_size": tokenizer.vocab_size},
    })

    def leave(folder: Path) -> None:
        tokenizer.save(folder / "tokenizer.json")
        if form is not None:
            form.leave(folder)

    with new_run(out):
        run = Run.create(out, config, leave)
        state = {"train": TrainState(rng=np.random.default_rng(config.training.seed)).to_dict()}
        try:
            checkpoint.save(run.checkpoints, 0, model.state_dict(), {}, state)
        except OSError as error:
            raise UserError(
                f"cannot write to {out}: {error.strerror or error}. Free some space, or choose "
                "another --out."
            ) from error
    return run
