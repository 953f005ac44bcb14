"""The doctor for a model: measure a trained run in half a minute and say what is wrong with it.

Read next: verdict.py (the rules).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor, nn, no_grad, optim
from minigrad.ops.linear import activated
from tinygpt.data import Dataset, baselines
from tinygpt.diagnosis.verdict import Findings
from tinygpt.inference.generate import generate_batch
from tinygpt.inference.scoring import mean_loss
from tinygpt.pretraining.objective import Pretraining, only_pretraining, reopened
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.run import Run
from tinygpt.training.objective import Say
from tinygpt.training.session import Session
from tinygpt.training.step import gradients, update

EVAL_TOKENS = 50_000  # looked at on each split
SAMPLES, LENGTH = 8, 200  # texts written, tokens each
COPY = 48  # characters that must match to count as copied
RARE = 20  # occurrences below which a token cannot be learned well


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
    only_pretraining(run)
    saved = run.find("last", warn)
    session = Session(run, reopened(run, saved))
    session.restore(saved)
    session.model.eval()
    say("measuring losses")
    dataset, model = _text(session), session.model
    val = session.objective.evaluate(model, EVAL_TOKENS)
    train = mean_loss(model, dataset.train, EVAL_TOKENS, run.config.training.batch_size)
    values: dict[str, Any] = {"val_loss": train if val is None else val, "train_loss": train}
    values.update(_history(session, values["val_loss"], warn))
    say("counting pairs of tokens")
    held = dataset.train if val is None else dataset.validation
    values.update(baselines(dataset.train, held, dataset.vocab_size)._asdict())
    say("reading what it writes")
    values["finite"] = all(np.isfinite(array).all() for array in model.state_dict().values())
    values.update(_writing(session) if values["finite"] else _NOTHING_WRITTEN)
    say("looking inside")
    values["dead_units"] = _dead_units(session)
    norms, values["update_ratio"] = _one_step(session)
    counts = np.bincount(np.asarray(dataset.train[:4_000_000]), minlength=dataset.vocab_size)
    recipe, state = run.config.training, session.state
    findings = Findings(
        step=state.step, steps=recipe.steps, parameters=model.count_parameters(),
        train_tokens=len(dataset.train), passes=state.tokens / max(1, len(dataset.train)),
        skipped=state.skipped, rollbacks=state.rollbacks, lr=recipe.lr * state.lr_scale,
        vocab_size=dataset.vocab_size, rare_tokens=float(np.mean(counts < RARE)),
        n_layers=model.shape.n_layers, warmup_steps=recipe.warmup_steps,
        held_out_tokens=len(dataset.validation), window=model.shape.context + 1, **values,
    )
    return session, findings, norms


def _text(session: Session) -> Dataset:
    assert isinstance(session.objective, Pretraining)  # `diagnose` opens no other
    return session.objective.dataset


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


def _writing(session: Session) -> dict[str, float]:
    """Repetition in samples and in the text itself, and how much of a sample is copied."""
    model, dataset = session.model, _text(session)
    rng = np.random.default_rng(0)
    length = min(LENGTH, 4 * model.shape.context)
    # Two tokens of the text and as many after them as are written; a short text begins at 0.
    starts = rng.integers(0, max(1, len(dataset.train) - length - 2), SAMPLES)
    prompts = np.stack([dataset.train[s : s + 2] for s in starts]).astype(np.int64)
    drawn = np.stack(list(generate_batch(model, prompts, max_tokens=length, rng=rng)), axis=1)
    texts = [dataset.tokenizer.decode(row) for row in drawn]
    own = [dataset.tokenizer.decode(np.asarray(dataset.train[s : s + length])) for s in starts]
    known = dataset.tokenizer.decode(np.asarray(dataset.train[:2_000_000]))
    return {
        "repetition": float(np.mean([repetition(_words(text)) for text in texts])),
        "text_repetition": float(np.mean([repetition(_words(text)) for text in own])),
        "copying": float(np.mean([copied_share(text, known) for text in texts])),
    }


_NOTHING_WRITTEN = {"repetition": 0.0, "text_repetition": 0.0, "copying": 0.0}


def _words(text: str) -> list[str]:
    return text.split()


def repetition(items: Sequence[Any], n: int = 4) -> float:
    """Share of the n-grams of `items` that occurred before in it; 0 for fewer than n."""
    grams = [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def copied_share(text: str, known: str, length: int = COPY) -> float:
    """Share of `text` covered by stretches of `length` characters that stand in `known`."""
    if len(text) < length:
        return 0.0
    covered = np.zeros(len(text), bool)
    step = length // 4
    for i in range(0, len(text) - length + 1, step):
        if text[i : i + length] in known:
            covered[i : i + length] = True
    return float(covered.mean())


def _dead_units(session: Session, threshold: float = 0.01) -> float:
    """Share of hidden units whose answer stays below 1 % of its layer's over held-out text."""
    model = session.model
    tokens = _text(session).train
    rows = [tokens[i * model.shape.context :][: model.shape.context] for i in range(8)]
    ids = np.stack([np.asarray(row) for row in rows if len(row) == model.shape.context])
    largest: list[np.ndarray] = []

    def listen(down: nn.Linear) -> Callable[..., Tensor]:
        def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            answers = activated(x.data, down.activation)
            largest.append(np.abs(answers).reshape(-1, x.shape[-1]).max(axis=0))
            return type(down).forward(down, x, *args, **kwargs)

        return forward

    layers = [block.mlp.down for block in model.blocks]
    for down in layers:
        down.forward = listen(down)
    try:
        with no_grad():
            model.hidden(ids.astype(np.int64))
    finally:
        for down in layers:
            del down.forward
    dead = [peaks < threshold * np.median(peaks) + 1e-12 for peaks in largest]
    return float(np.mean(np.concatenate(dead)))


def _one_step(session: Session) -> tuple[dict[str, float], float]:
    """Gradient norm of each part on one batch, and |change| / |weight| of one step at peak rate.

    The step is made on this process's copy of the weights only.
    """
    model, optimizer, recipe = session.model, session.optimizer, session.config.training
    gradients(model, [next(session.batches)], session.objective.loss, optimizer)
    norms: dict[str, float] = {}
    for name, part in itertools.chain(
        [("token embedding", model.token_embedding), ("positions", model.position_embedding)],
        ((f"block {i}", block) for i, block in enumerate(model.blocks)),
    ):
        if part is not None:  # a shape may have no table of positions
            norms[name] = optim.global_norm(part.parameters())
    matrices = [p for p in model.parameters() if p.data.ndim == 2]
    before = [p.data.copy() for p in matrices]
    norm = optim.global_norm(optimizer.parameters())
    update(optimizer, recipe.lr * session.state.lr_scale, norm, recipe.clip)
    ratios = [
        float(np.linalg.norm(p.data - old) / max(np.linalg.norm(old), 1e-12))
        for p, old in zip(matrices, before, strict=True)
    ]
    ratio = float(np.median(ratios))
    return norms, ratio if math.isfinite(ratio) else 0.0
