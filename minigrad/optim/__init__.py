"""Optimizers: how parameters follow their gradients."""

from minigrad.optim.adam import Adam
from minigrad.optim.adamw import AdamW
from minigrad.optim.adamw8bit import AdamW8bit
from minigrad.optim.clip import clip_grad_norm, clip_scale, global_norm
from minigrad.optim.muon import Muon, orthogonalize
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.schedule import warmup_cosine
from minigrad.optim.sgd import SGD

__all__ = [
    "Adam", "AdamW", "AdamW8bit", "Muon", "Optimizer", "SGD", "clip_grad_norm", "clip_scale",
    "global_norm", "orthogonalize", "warmup_cosine",
]
