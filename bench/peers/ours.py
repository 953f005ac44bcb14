"""Our side of `python -m bench train`: the model and optimizer that `tinygpt train` uses."""

from __future__ import annotations

from collections import Counter

import numpy as np

import kernels
from minigrad import optim
from tinygpt.data.batches import Batch
from tinygpt.model import build
from tinygpt.model.shape import ModelShape
from tinygpt.training.optimizer import decay_groups
from tinygpt.training.step import gradients, update


def _loss(model, batch):
    return model.loss(*batch), {}


SHAPE = set(ModelShape.__dataclass_fields__) - {"dropout"}  # that the peers have none of


class Trainer:
    """What bench/worker.py drives: `step`, `products`, `describe`."""

    def __init__(self, spec: dict):
        kernels.set_num_threads(spec["threads"])
        shape = ModelShape(**{key: value for key, value in spec.items() if key in SHAPE})
        self.model = build(shape, np.random.default_rng(0))
        self.optimizer = optim.AdamW(
            decay_groups(self.model, 0.1), lr=1e-3, betas=(0.9, 0.99)
        )
        self.threads = spec["threads"]

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """One optimizer step on ids x and targets y, (B, T) int64; returns the loss."""
        gathered = gradients(self.model, [Batch(x, y)], _loss, self.optimizer)
        update(self.optimizer, 1e-3, optim.global_norm(self.optimizer.parameters()), 1.0)
        return gathered.loss

    def products(self) -> dict:
        """Ways to multiply two float32 matrices here."""
        return {"numpy": np.matmul, "ours": kernels.active.matmul_forward}

    def describe(self) -> dict:
        """For the table: name, isa, threads, parameters."""
        report = kernels.report()
        by_backend = Counter(report["ops"].values())  # "c 24" when all is well
        return {
            "name": "tinygpt " + ", ".join(f"{k} {n}" for k, n in by_backend.most_common()),
            "isa": report.get("isa") or "none",
            "threads": self.threads,
            "parameters": self.model.count_parameters(),
        }
