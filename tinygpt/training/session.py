"""All the live objects of one training: built from a configuration, saved to and restored from
a checkpoint.

Read next: pretrain.py, which drives it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad
from minigrad import optim
from tinygpt.config import TrainingConfig
from tinygpt.data import BatchLoader, Dataset
from tinygpt.errors import UserError
from tinygpt.inference.scoring import evaluate
from tinygpt.model import GPT
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs.checkpoint import Checkpoint
from tinygpt.runs.run import Run, fill
from tinygpt.training.state import TrainState

KEEP = 2  # newest checkpoints kept, besides the best


class Session:
    """Run folder, data, model, optimizer, schedule and state of a training.

    Random streams are made from training.seed: one for the model (weights, then dropout), one for
    the order of the data.
    """

    def __init__(self, run: Run, dataset: Dataset):
        """run: where it is kept and what was asked for; dataset: tokens of its tokenizer."""
        recipe = run.config.training
        self.run, self.dataset, self.config = run, dataset, run.config
        if recipe.deterministic:
            fix_order()
        seeds = np.random.SeedSequence(recipe.seed).spawn(2)
        self.state = TrainState(rng=np.random.default_rng(seeds[0]))
        self.model = GPT(run.config.model, self.state.rng)
        self.model.recompute = recipe.recompute
        self.optimizer = make_optimizer(self.model, recipe)
        self.schedule = optim.warmup_cosine(
            recipe.lr, recipe.min_lr, recipe.warmup_steps, recipe.steps
        )
        self.batches = BatchLoader(
            dataset.train, recipe.batch_size, run.config.model.context,
            np.random.default_rng(seeds[1]),
        )  # fmt: skip

    def save(self) -> Checkpoint:
        """Write a checkpoint of this moment and drop the oldest.  Raises OSError."""
        state = {
            "train": self.state.to_dict(),
            "batches": self.batches.state_dict(),
            "data": self.dataset.manifest["made_from"],
            "computes": how_it_computes(),
        }
        saved = checkpoints.save(
            self.run.checkpoints, self.state.step, self.model.state_dict(),
            self.optimizer.state_dict(), state,
        )  # fmt: skip
        checkpoints.prune(self.run.checkpoints, KEEP, self.state.best_step)
        return saved

    def restore(self, saved: Checkpoint, with_data: bool = True) -> None:
        """Go to the moment of a checkpoint.

        with_data: go back in the data too; False keeps the place where we are (a rollback must
        not walk into the same batches again).
        Raises CheckpointError for another shape of model.
        """
        fill(self.model.state_dict(), saved.tensors("model"), str(saved.path))
        moments = self.optimizer.state_dict()  # the live arrays, and a copy of the step count
        fill(moments, saved.tensors("optimizer"), str(saved.path))
        self.optimizer.steps = int(moments["steps"])
        state = saved.state()
        self.state.load_dict(state["train"])
        if with_data:
            self.batches.load_state_dict(state["batches"])

    def differences(self, saved: Checkpoint) -> list[str]:
        """Why this process may compute other bits than the one that saved, in words."""
        before, now = saved.state().get("computes", {}), how_it_computes()
        names = sorted({*before, *now})
        return [
            f"{name} was {before.get(name)} and is {now.get(name)}: training goes on, but not to "
            "the bit"
            for name in names
            if before.get(name) != now.get(name)
        ]

    def check_data(self, saved: Checkpoint) -> None:
        """Raise UserError if the data is not what the checkpoint was trained on."""
        before, now = saved.state()["data"], self.dataset.manifest["made_from"]
        changed = [key for key in now if key != "tokenizer" and before.get(key) != now[key]]
        if changed:
            words = ", ".join(f"{key} was {before.get(key)} and is {now[key]}" for key in changed)
            raise UserError(
                f"the tokens are not those of {saved.path}: {words}. Bring the text back as it "
                "was, or start a new run in another --out."
            )

    def validation_loss(self, limit: int | None = None) -> float | None:
        """Loss on the validation split (nats per token), None if it is shorter than a window."""
        tokens = self.dataset.validation
        if len(tokens) <= self.config.model.context:
            return None
        return evaluate(self.model, tokens, limit, self.config.training.batch_size)


def fix_order() -> None:
    """Make every sum run in one order, whatever the number of threads.

    The C and Numba kernels divide their work over results and never over a sum, so they do already.
    NumPy's BLAS may not: where it multiplies matrices, it gets one thread.
    """
    if minigrad.in_use()["ops"]["matmul_forward"] == "numpy":
        minigrad.set_num_threads(1)


def how_it_computes() -> dict[str, Any]:
    """What the bits of a step depend on, besides the run itself."""
    used = minigrad.in_use()
    backend = used["ops"]["matmul_forward"]
    answer = {"backend": backend, "isa": used["isa"]}
    if backend == "numpy":
        answer["threads"] = minigrad.get_num_threads()
    return answer


def make_optimizer(model: GPT, recipe: TrainingConfig) -> optim.Optimizer:
    """The optimizer that the recipe names, over the model's parameter groups."""
    matrices, others = model.decay_groups(recipe.weight_decay)
    betas = (recipe.beta1, recipe.beta2)
    adamw: dict[str, Any] = {"lr": recipe.lr, "betas": betas, "eps": recipe.eps}
    if recipe.optimizer == "adamw":
        return optim.AdamW([matrices, others], **adamw)
    if recipe.optimizer == "adamw8bit":
        return optim.AdamW8bit([matrices, others], **adamw)
    return optim.Muon(matrices["params"], [others], weight_decay=recipe.weight_decay, **adamw)
