"""From a recipe to the optimizer of a module: which parameters decay, and who moves them.

What is frozen (requires_grad False) gets no gradient, no moments and no update.
"""

from __future__ import annotations

from typing import Any

from minigrad import nn, optim
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


def make_optimizer(model: nn.Module, recipe: TrainingConfig) -> optim.Optimizer:
    """The optimizer that the recipe names, over what `model` trains."""
    matrices, others = decay_groups(model, recipe.weight_decay)
    betas = (recipe.beta1, recipe.beta2)
    adamw: dict[str, Any] = {"lr": recipe.lr, "betas": betas, "eps": recipe.eps}
    if recipe.optimizer == "adamw":
        return optim.AdamW([matrices, others], **adamw)
    if recipe.optimizer == "adamw8bit":
        return optim.AdamW8bit([matrices, others], **adamw)
    return optim.Muon(matrices["params"], [others], weight_decay=recipe.weight_decay, **adamw)
