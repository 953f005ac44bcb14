"""Put a method into a model, take out what it learned, put that into another, make one of both.

    adapt(model, MethodConfig("lora", rank=8), rng)     in place; only what is new can be trained
    arrays = adapter_state(model)                       what was trained, by name
    load_adapter(model, method, arrays)                 into a fresh copy of the base
    merge(model)                                        in place; no adapter is left
    remove(model)                                       in place; the base as it was
    settle(model)                                       in place; for writing, no longer taught

All of it is surgery on the tree of modules (nn.replace_modules): the model knows no method, the
optimizer takes what has requires_grad, and autograd computes no other gradients.

Read next: lora.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from minigrad import nn
from tinygpt.adapters.bottleneck import Bottleneck
from tinygpt.adapters.config import MethodConfig
from tinygpt.adapters.dora import DoRALinear
from tinygpt.adapters.ia3 import ScaledInput, ScaledOutput
from tinygpt.adapters.lora import LoRALinear
from tinygpt.adapters.prefix import Behind, LaterPositions, PrefixAttention, as_cache
from tinygpt.adapters.prompt import Prompt
from tinygpt.adapters.targets import Adapted, Product, Rows, floats, parts, replace_products
from tinygpt.errors import UserError
from tinygpt.model import GPT, LanguageModel

Rng = np.random.Generator | None
Method = Callable[[LanguageModel, MethodConfig, Rng], None]


def adapt(model: LanguageModel, method: MethodConfig, rng: Rng) -> None:
    """Freeze a model and install what a method trains, in place.

    rng: draws the initial values, and dropout while training; None: zeros, to be loaded.
    Raises UserError for a method that this model cannot have.
    """
    if method.name == "full":
        _check_float(model, method)
        return
    model.zero_grad()  # of an earlier training: what is frozen keeps none
    model.requires_grad_(False)
    METHODS[method.name](model, method, rng)


def _factors(kind: type[LoRALinear]) -> Method:
    def install(model: LanguageModel, method: MethodConfig, rng: Rng) -> None:
        replace_products(
            model, method.matrices, lambda base, rows: kind(base, rows, method, rng)
        )

    return install


def _qlora(model: LanguageModel, method: MethodConfig, rng: Rng) -> None:
    """LoRA on weights of four bits: what is float becomes nf4 first, one matrix at a time."""

    def is_float(name: str, module: nn.Module) -> bool:
        return type(module) is nn.Linear and bool(parts(name, model.shape))

    if any(is_float(name, module) for name, module in model.named_modules()):
        nn.replace_modules(
            model, is_float,
            lambda linear: nn.QuantizedLinear.from_linear(cast(nn.Linear, linear), "nf4"),
        )
    _factors(LoRALinear)(model, method, rng)


def _ia3(model: LanguageModel, method: MethodConfig, rng: Rng) -> None:
    def make(base: Product, rows: list[Rows]) -> nn.Module:
        return ScaledInput(base) if id(base) in last else ScaledOutput(base, rows)

    last = {id(module) for name, module in model.named_modules() if name.endswith("mlp.down")}
    replace_products(model, method.matrices, make)


def _bottleneck(model: LanguageModel, method: MethodConfig, rng: Rng) -> None:
    width = model.shape.d_model
    nn.replace_modules(
        model, lambda _, module: isinstance(module, HALVES),
        lambda module: Bottleneck(module, width, method.width, rng),
    )


def _prefix(model: LanguageModel, method: MethodConfig, rng: Rng) -> None:
    decoder, n = _decoder(model, method), method.tokens
    nn.replace_modules(
        decoder, lambda _, module: isinstance(module, nn.SelfAttention),
        lambda module: PrefixAttention(cast(nn.SelfAttention, module), n, rng),
    )
    decoder.positions = Behind(decoder.positions, n)  # type: ignore[assignment]
    if decoder.position_embedding is not None:
        decoder.position_embedding = LaterPositions(decoder.position_embedding, n)  # type: ignore[assignment]
    decoder.before = n


def _prompt(model: LanguageModel, method: MethodConfig, rng: Rng) -> None:
    decoder, n = _decoder(model, method), method.tokens
    decoder.prompt = Prompt(decoder.token_embedding, (n, model.shape.embedding), rng)
    decoder.before = n


def _decoder(model: LanguageModel, method: MethodConfig) -> GPT:
    """The model, with room for what is to stand before its texts.  Raises UserError."""
    if not isinstance(model, GPT):
        raise UserError(
            f"method {method.name} stands before what a decoder goes on with, and this model is an "
            f"{model.shape.assembly}. Choose lora."
        )
    if method.tokens >= model.shape.context and not model.shape.slides:
        raise UserError(
            f"method.tokens = {method.tokens} leaves no room in a context of {model.shape.context} "
            "tokens. Choose fewer."
        )
    return model


AROUND = (Adapted, Bottleneck, PrefixAttention, Behind, LaterPositions)  # each has a `base`
HALVES = (nn.SelfAttention, nn.CrossAttention, nn.MLP)
METHODS: dict[str, Method] = {
    "lora": _factors(LoRALinear), "dora": _factors(DoRALinear), "qlora": _qlora, "ia3": _ia3,
    "bottleneck": _bottleneck, "prefix": _prefix, "prompt": _prompt,
}


def adapter_state(model: LanguageModel) -> dict[str, np.ndarray]:
    """Name -> array of what is trained; the arrays themselves, not copies."""
    return {name: p.data for name, p in model.named_parameters() if p.requires_grad}


def load_adapter(
    model: LanguageModel, method: MethodConfig, state: Mapping[str, np.ndarray]
) -> None:
    """Install a method with what `adapter_state` gave, in place.

    Raises UserError for arrays of another base or another method.
    """
    adapt(model, method, None)
    try:
        nn.copy_arrays(adapter_state(model), state, "model")
    except ValueError as error:
        raise UserError(
            f"this adapter is not of this model and method: {error}\nGive the base that it was "
            "trained on."
        ) from error


def remove(model: LanguageModel) -> None:
    """Take a method out of a model, in place: what is left is its base, frozen.

    No array is copied, so another adapter of the same base can be installed at once. What qlora
    rounded stays rounded.
    Raises UserError if there is none.
    """
    prompted = isinstance(model, GPT) and (model.prompt or model.begins) is not None
    if isinstance(model, GPT):
        model.prompt = model.begins = None
    model.before = 0
    if any(isinstance(module, AROUND) for module in model.modules()):
        nn.replace_modules(
            model, lambda _, module: isinstance(module, AROUND),
            lambda module: cast(Any, module).base,
        )
    elif not prompted:
        raise UserError("this model has no adapter to take out. Give one that was adapted.")


def settle(model: LanguageModel) -> None:
    """Give an adapted model the form in which it writes quickly, in place; it computes the same.

    A step of generation knows factors beside a matrix, so LoRA's stay there: many adapters can
    share one base. DoRA's and IA3's products become float matrices of their own, a prefix what a
    cache begins with. What stands beside rounded weights otherwise than LoRA, and a bottleneck,
    stays as it is and writes by the model's own forward, more slowly.
    """
    if any(isinstance(module, PrefixAttention) for module in model.modules()):
        as_cache(cast(GPT, model))
    if any(_becomes_one("", module) for module in model.modules()):
        nn.replace_modules(model, _becomes_one, lambda module: cast(Adapted, module).merged())


def _becomes_one(name: str, module: nn.Module) -> bool:
    if not isinstance(module, Adapted) or type(module) is LoRALinear:
        return False
    return isinstance(cast(Any, module).base, nn.Linear)


def merge(model: LanguageModel) -> None:
    """Make plain float matrices of adapted ones, in place: the same model without an adapter.

    Quantized weights become floats, for only so is nothing lost.
    Raises UserError if there is nothing to merge, or something that is no matrix.
    """
    if not any(isinstance(module, Adapted) for module in model.modules()):
        raise UserError(
            "this model has no adapter that could become part of its matrices. Give one that was "
            "adapted by lora, dora, qlora or ia3."
        )
    nn.replace_modules(
        model, lambda _, module: isinstance(module, Adapted | nn.QuantizedLinear), _plain
    )
    model.requires_grad_(True)


def _plain(module: nn.Module) -> nn.Module:
    return module.merged() if isinstance(module, Adapted) else floats(cast(Product, module))


def _check_float(model: LanguageModel, method: MethodConfig) -> None:
    """Raise UserError if a method that moves all weights is given rounded ones."""
    for name, module in model.named_modules():
        if isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding):
            raise UserError(
                f"method {method.name} moves every weight, and {name} is "
                f"{module.packed.scheme}: rounded weights cannot move. Give the float model that "
                "it was made of, or choose the method lora."
            )
