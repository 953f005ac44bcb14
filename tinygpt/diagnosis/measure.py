"""The doctor for a model: measure a trained run in half a minute and say what is wrong with it.

What can be measured of any training is measured here; what is particular to an objective, its
rivals and its signs, it says itself (../training/objective.py).

Read next: verdict.py (the rules).
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad import Tensor, nn, optim
from minigrad.nn import evaluating
from minigrad.ops.linear import activated
from tinygpt.diagnosis.verdict import Findings
from tinygpt.pretraining.objective import reopened
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.run import Run
from tinygpt.training.objective import Objective, Say
from tinygpt.training.session import Session
from tinygpt.training.step import gradients, update

EVAL_TOKENS = 50_000  # looked at on each split
NAMES = {"token_embedding": "token embedding", "position_embedding": "positions"}  # of parts


def diagnose(
    path: str, say: Say | None = None, warn: Say | None = None
) -> tuple[Session, Findings, dict[str, float]]:
    """Measure the run at `path`.

    say: told what is being done.  warn: told what is damaged and was passed over.
    Returns (session, findings, gradient norm by part of the model).  The run is not changed.
    Raises UserError if it is no run or has no checkpoint.
    """
    say, warn = say or (lambda text: None), warn or (lambda text: None)
    run = Run.open(path)
    saved = run.find("last", warn)
    session = Session(run, reopened(run, saved))
    objective, model = session.objective, session.model
    say("measuring what knows next to nothing")
    values: dict[str, Any] = objective.rivals(model)
    session.restore(saved)
    model.eval()
    say("measuring losses")
    values["train_loss"], values["dead_units"] = _on_what_it_learned(objective, model)
    val = objective.evaluate(model, EVAL_TOKENS)
    values["val_loss"] = values["train_loss"] if val is None else val
    values.update(_history(session, values["val_loss"], warn))
    say("looking at what it does")
    values["finite"] = all(np.isfinite(array).all() for array in model.state_dict().values())
    values.update(objective.signs(model) if values["finite"] else {})
    say("looking inside")
    norms, values["update_ratio"] = _one_step(session)
    return session, Findings(**_known(session, val is not None), **values), norms


def _known(session: Session, judged: bool) -> dict[str, Any]:
    """What need not be measured.  judged: whether there was something held out."""
    objective, config, state = session.objective, session.config, session.state
    recipe, shape = config.training, getattr(config, "model", None)
    learnt, held_out = objective.data_tokens()
    return {
        "step": state.step, "steps": recipe.steps, "parameters": objective.parameters,
        "train_tokens": learnt, "passes": state.tokens / learnt if learnt else 0.0,
        "skipped": state.skipped, "rollbacks": state.rollbacks, "lr": recipe.lr * state.lr_scale,
        "vocab_size": getattr(shape, "vocab_size", 0), "n_layers": getattr(shape, "n_layers", 0),
        "warmup_steps": recipe.warmup_steps, "least_held_out": objective.least_held_out,
        "held_out_tokens": held_out or int(judged),
        "answer": objective.answer, "hold_out": objective.hold_out,
        "stands_on": config.base, "adapted": objective.frozen_bytes() > 0,
    }


def _on_what_it_learned(objective: Objective, model: Any) -> tuple[float, float | None]:
    """(loss, share of dead units) on batches as in training, without dropout and smoothing."""
    plain = objective.with_training(label_smoothing=0.0)
    batches = plain.batches(model, np.random.default_rng(0))
    most = min(EVAL_TOKENS, objective.data_tokens()[0])
    total, weight, tokens = 0.0, 0.0, 0
    with evaluating(model), _listening(model) as largest:
        while not weight or tokens < most:
            batch = next(batches)
            total += batch.weight * plain.loss(model, batch)[0].item()
            weight += batch.weight
            tokens += batch.tokens
    return total / weight, _dead_share(list(largest.values()))


@contextlib.contextmanager
def _listening(model: nn.Module) -> Iterator[dict[int, np.ndarray]]:
    """Number of each MLP -> the loudest answer of each hidden unit in a with block."""
    largest: dict[int, np.ndarray] = {}

    def listen(number: int, down: Any) -> Callable[..., Tensor]:
        activation = getattr(down, "base", down).activation  # an adapter's is its base's

        def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            answers = np.abs(activated(x.data, activation))
            peaks = answers.reshape(-1, answers.shape[-1]).max(axis=0)
            largest[number] = np.maximum(largest.get(number, peaks), peaks)
            return type(down).forward(down, x, *args, **kwargs)

        return forward

    layers: list[Any] = [module.down for module in model.modules() if isinstance(module, nn.MLP)]
    for number, down in enumerate(layers):
        down.forward = listen(number, down)
    try:
        yield largest
    finally:
        for down in layers:
            del down.forward


def _dead_share(largest: list[np.ndarray], threshold: float = 0.01) -> float | None:
    """Share of hidden units whose answer stays below 1 % of its layer's; None without layers."""
    dead = [peaks < threshold * np.median(peaks) + 1e-12 for peaks in largest]
    return float(np.mean(np.concatenate(dead))) if dead else None


def _history(session: Session, val_loss: float, warn: Say) -> dict[str, Any]:
    """What metrics.jsonl tells: best evaluation, is it still falling, did it rise again."""
    path = session.run.path / "metrics.jsonl"
    lines = [m for m in metrics_files.read(path, warn) if "loss" in m]
    vals = [(m["step"], m["val_loss"]) for m in lines if m.get("val_loss") is not None]
    best_step, best = min(vals, key=lambda pair: pair[1], default=(session.state.step, val_loss))
    before = [v for s, v in vals if s <= 0.8 * session.state.step]
    losses = np.array([m["loss"] for m in lines if m["loss"] is not None])
    rose = 0.0
    if len(losses) >= 50:
        width = max(10, len(losses) // 20)
        means = np.convolve(losses, np.full(width, 1 / width), "valid")
        rose = float(means[-1] - means.min())
    clip = session.config.training.clip
    norms = [m["grad_norm"] for m in lines if m.get("grad_norm") is not None]
    clipped = float(np.mean([norm > clip for norm in norms])) if clip and norms else 0.0
    return {
        "best_val_loss": min(best, val_loss), "best_step": best_step, "rose": rose,
        "still_falling": before[-1] - vals[-1][1] if before else 0.0, "clipped": clipped,
    }


def _one_step(session: Session) -> tuple[dict[str, float], float]:
    """Gradient norm of each part on one batch, and |change| / |weight| of one step at peak rate.

    The step is made on this process's copy of the weights only.
    """
    model, optimizer, recipe = session.model, session.optimizer, session.config.training
    gradients(model, [next(session.batches)], session.objective.loss, optimizer)
    parts: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:  # neither frozen nor unused (a head that names tokens)
            parts.setdefault(part_of(name), []).append(parameter)
    norms = {name: optim.global_norm(part) for name, part in parts.items()}
    matrices = [p for part in parts.values() for p in part if p.data.ndim == 2]
    before = [p.data.copy() for p in matrices]
    norm = optim.global_norm(optimizer.parameters())
    update(optimizer, recipe.lr * session.state.lr_scale, norm, recipe.clip)
    ratios = [
        float(np.linalg.norm(p.data - old) / max(np.linalg.norm(old), 1e-12))
        for p, old in zip(matrices, before, strict=True)
    ]
    ratio = float(np.median(ratios)) if ratios else 0.0
    return norms, ratio if math.isfinite(ratio) else 0.0


def part_of(name: str) -> str:
    """The part of a model that a parameter belongs to, for a reader.

        blocks.3.mlp.up.weight -> block 3        decoder.blocks.0.norm1.weight -> decoder block 0
        token_embedding.weight -> token embedding
    """
    inside = re.match(r"(?:(.*)\.)?blocks\.(\d+)\.", name)
    if inside:
        return f"{inside[1]} block {inside[2]}" if inside[1] else f"block {inside[2]}"
    owners = re.sub(r"\.(weight|bias)$", "", name).split(".")
    return " ".join(NAMES.get(owner, owner.replace("_", " ")) for owner in owners)
