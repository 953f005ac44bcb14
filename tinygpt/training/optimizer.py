"""From a recipe to the optimizer of a module: which parameters decay, who moves them, and how fast.

What is frozen (requires_grad False) gets no gradient, no moments and no update.
"""

from __future__ import annotations

from typing import Any

from minigrad import Tensor, nn, optim
from tinygpt.config import TrainingConfig


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: matrices decay; norms, biases and embeddings do not."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decays = [p.data.ndim >= 2 and id(p) not in embeddings for p in trained]
    pairs = list(zip(trained, decays, strict=True))
    return [
        {"params": [p for p, decay in pairs if decay], "weight_decay": weight_decay},
        {"params": [p for p, decay in pairs if not decay], "weight_decay": 0.0},
    ]


def rate_groups(
    model: nn.Module, group: dict[str, Any], recipe: TrainingConfig
) -> list[dict[str, Any]]:
    """A group of what does not decay as one group for each rate: tables, the head, vectors.

    A matrix that is updated along all its directions alike (Muon) wants another rate than a table
    of which a step sees a few rows.
    """
    output = getattr(model, "output", None)
    head = output.weight if isinstance(output, nn.Embedding) else None

    def scale(param: Tensor) -> float:
        if param is head:
            return recipe.head_lr
        return recipe.embedding_lr if param.data.ndim >= 2 else recipe.vector_lr

    scales = dict.fromkeys(scale(param) for param in group["params"])
    return [
        {**group, "params": [p for p in group["params"] if scale(p) == one], "lr_scale": one}
        for one in scales
    ] or [group]


def make_optimizer(model: nn.Module, recipe: TrainingConfig) -> optim.Optimizer:
    """The optimizer that the recipe names, over what `model` trains."""
    matrices, rest = decay_groups(model, recipe.weight_decay)
    others = rate_groups(model, rest, recipe)
    betas = (recipe.beta1, recipe.beta2)
    adamw: dict[str, Any] = {"lr": recipe.lr, "betas": betas, "eps": recipe.eps}
    if recipe.optimizer == "adamw":
        return optim.AdamW([matrices, *others], **adamw)
    if recipe.optimizer == "adamw8bit":
        return optim.AdamW8bit([matrices, *others], **adamw)
    start = recipe.momentum_start
    return optim.Muon(
        matrices["params"], others, weight_decay=recipe.weight_decay, momentum=recipe.momentum,
        warmup=None if start is None else (start, recipe.momentum_steps), **adamw,
    )
