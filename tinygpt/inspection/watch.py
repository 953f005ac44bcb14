"""One forward pass of a model, with everything on its way kept.

The model is the one that trains and writes, and it runs as it always does: for the length of the
pass some of its modules have a `forward` of their own (an attribute of the instance, in front of
the class's), which calls the real one and writes down what went in and what came out. Whatever was
put into the model (LoRA, int8) is seen as it computes.

A head is switched off where its answer enters the projection back: what it read is set to zero
there, which is what values of zero would give.

Read next: lens.py, account.py, habits.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import Tensor, nn
from minigrad.nn import evaluating
from minigrad.ops.attention import attention_weights
from tinygpt.errors import UserError
from tinygpt.model import EncoderDecoder, LanguageModel
from tinygpt.model.block import Block
from tinygpt.model.transformer import Stack, Transformer

Head = tuple[int, int]  # layer, head


@contextmanager
def wrapped(module: nn.Module, around: Callable[..., Any]) -> Iterator[None]:
    """For the length of a with block, around(forward, *arguments) in place of forward(*arguments).

    forward: what the module would have done.  Blocks may stand in each other.
    """
    before, forward = vars(module).get("forward"), module.forward
    vars(module)["forward"] = lambda *args, **kwargs: around(forward, *args, **kwargs)
    try:
        yield
    finally:
        if before is None:
            del vars(module)["forward"]
        else:
            vars(module)["forward"] = before


@dataclass
class AttentionSeen:
    """What one attention did with a text of T tokens.

    q: (T, H, D); k, v: (Tk, Hkv, D), normed where the model norms, not turned by RoPE yet.
    read: (T, H, D), what each head took from the values: what enters the projection back.
    output: (T, C), what the projection back made of it, which is added to the stream.
    """

    heads: tuple[int, int, int]
    causal: bool = False
    q: np.ndarray = field(default_factory=lambda: np.empty(0))
    k: np.ndarray = field(default_factory=lambda: np.empty(0))
    v: np.ndarray = field(default_factory=lambda: np.empty(0))
    read: np.ndarray = field(default_factory=lambda: np.empty(0))
    output: np.ndarray = field(default_factory=lambda: np.empty(0))
    sight: nn.Sight | None = None

    def maps(self) -> tuple[np.ndarray, np.ndarray]:
        """(scores, weights), each (H, T, Tk): q k / sqrt(D) with what is added to it, -inf where
        masked; and its softmax, what the values were weighed by.

        Raises UserError where learned keys stand in front of the text's.
        """
        if self.sight is None:
            raise UserError(
                "this model reads learned keys in front of every text (prefix tuning), which are "
                "no tokens. Look at its base instead."
            )
        sight, bias = self.sight, self.sight.bias
        scores, weights, _ = attention_weights(
            self.q[None], self.k[None], self.causal, None, sight.first, sight.last,
            bias.data if isinstance(bias, Tensor) else bias, sight.rotary,
        )
        return scores[0], weights[0]


@dataclass
class LayerSeen:
    """What one layer did: each (T, C) is a half's answer, `stream` what they left behind.

    In a post-norm model a half's answer is added and normed, so `stream` is no sum of the answers.
    cross: attention to a source, of an encoder-decoder's layers.
    """

    attention: AttentionSeen
    cross: AttentionSeen | None = None
    mlp: np.ndarray = field(default_factory=lambda: np.empty(0))
    attended: np.ndarray = field(default_factory=lambda: np.empty(0))
    stream: np.ndarray = field(default_factory=lambda: np.empty(0))


@dataclass
class Seen:
    """One pass over a text of T tokens.

    ids: (T,) int64.  start: (T, C), what entered the first layer.
    hidden: (T, C), after the last norm.  logits: (T, V).
    source: what the encoder saw, of an encoder-decoder.
    """

    ids: np.ndarray
    start: np.ndarray = field(default_factory=lambda: np.empty(0))
    layers: list[LayerSeen] = field(default_factory=list)
    hidden: np.ndarray = field(default_factory=lambda: np.empty(0))
    logits: np.ndarray = field(default_factory=lambda: np.empty(0))
    source: Seen | None = None


def watch(model: LanguageModel, ids: Sequence[int] | np.ndarray,
          silenced: Collection[Head] = ()) -> Seen:
    """A pass over one text, dropout off.

    ids: (T,) integers, at most a context of them.  silenced: heads that are switched off.
    Raises UserError for a text that is empty or too long, a head that is not there, and a model
    that reads a source first (`watch_pair`).
    """
    if not isinstance(model, Transformer):
        model.check_writes()
        raise UserError(
            f"a {type(model).__name__} is not looked into: it is no decoder and no encoder. "
            "Open a run of one."
        )
    row = _row(model, ids)
    check_heads(model, silenced)
    seen = Seen(row[0])
    with evaluating(model), _watching(model, seen, silenced):
        _keep(seen, model, model.hidden(row))
    return seen


def watch_pair(
    model: EncoderDecoder, source: Sequence[int] | np.ndarray, ids: Sequence[int] | np.ndarray,
    silenced: Collection[Head] = (),
) -> Seen:
    """A pass over a source and what is written about it.  silenced: of the decoder.

    Raises UserError as `watch`.
    """
    read, row = _row(model, source), _row(model, ids)
    check_heads(model, silenced)
    seen = Seen(row[0], source=Seen(read[0]))
    assert seen.source is not None
    with evaluating(model):
        with _watching(model.encoder, seen.source, ()):
            reading = model.read(read, np.array([read.shape[1]]))
        with _watching(model.decoder, seen, silenced):
            _keep(seen, reading, reading.hidden(row))
    return seen


def attention_in(block: Block) -> nn.SelfAttention:
    """A block's attention, whatever adapters stand around it."""
    return next(m for m in block.attention.modules() if isinstance(m, nn.SelfAttention))


def check_heads(model: LanguageModel, heads: Collection[Head]) -> None:
    """Raise UserError for a head that the model does not have."""
    layers, count = model.shape.n_layers, model.shape.n_heads
    for layer, head in heads:
        if not (0 <= layer < layers and 0 <= head < count):
            raise UserError(
                f"there is no head {head} in layer {layer}: this model has layers 0 to "
                f"{layers - 1} with heads 0 to {count - 1}. Choose one of them."
            )


def _row(model: LanguageModel, ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """The ids as a batch of one row, (1, T) int64."""
    row = np.asarray(ids, np.int64).reshape(1, -1)
    room = model.shape.context - model.before
    if not 1 <= row.shape[1] <= room:
        raise UserError(
            f"the text has {row.shape[1]} tokens, and from 1 to {room} fit this model's context. "
            "Give another text."
        )
    return row


def _keep(seen: Seen, model: LanguageModel, hidden: Tensor) -> None:
    seen.hidden, seen.logits = hidden.data[0], model.head(hidden).data[0]


@contextmanager
def _watching(stack: Stack, seen: Seen, silenced: Collection[Head]) -> Iterator[None]:
    """Write down in `seen` what the stack does meanwhile.  A block may serve several layers."""
    post = stack.shape.norm_place == "post"

    def block(forward: Any, branch: Tensor, stream: Tensor | None, *rest: Any) -> Any:
        if not seen.layers:
            seen.start = branch.data[0]
        seen.layers.append(LayerSeen(AttentionSeen(stack.shape.heads)))
        branch, stream = forward(branch, stream, *rest)
        assert stream is not None
        seen.layers[-1].stream = branch.data[0] if post else (branch.data + stream.data)[0]
        return branch, stream

    def attended(forward: Any, *given: Any) -> Tensor:
        result = forward(*given)
        seen.layers[-1].attended = result.data[0]
        return result

    def mlp(forward: Any, x: Tensor) -> Tensor:
        result = forward(x)
        seen.layers[-1].mlp = result.data[0]
        return result

    with ExitStack() as stacked:
        for one in stack.blocks:
            found: Any = one
            for module, around in ((found, block), (found.attention, attended), (found.mlp, mlp)):
                stacked.enter_context(wrapped(module, around))
            _watch_attention(stacked, attention_in(found), seen, silenced)
            if hasattr(found, "cross"):
                _watch_cross(stacked, found.cross, seen, stack.shape.heads)
        yield


def _watch_attention(
    stacked: ExitStack, attention: nn.SelfAttention, seen: Seen, silenced: Collection[Head]
) -> None:
    def whole(forward: Any, x: Tensor, cache: Any = None, sight: Any = nn.EVERYTHING) -> Tensor:
        seen.layers[-1].attention.sight = sight
        return forward(x, cache, sight)

    def project(forward: Any, x: Tensor) -> Tensor:
        result = forward(x)
        parts = (part.data[0] for part in attention.split(result))
        found = seen.layers[-1].attention
        found.q, found.k, found.v = parts
        found.causal = attention.causal
        return result

    def back(forward: Any, x: Tensor) -> Tensor:
        layer, found = len(seen.layers) - 1, seen.layers[-1].attention
        read = x.data.reshape(*x.shape[:-1], attention.n_heads, -1).copy()  # (1, T, H, D)
        for where, head in silenced:
            if where == layer:
                read[:, :, head] = 0
        result = forward(Tensor(read.reshape(x.shape)))
        found.read, found.output = read[0], result.data[0]
        return result

    for module, around in ((attention, whole), (attention.qkv, project), (attention.proj, back)):
        stacked.enter_context(wrapped(module, around))


def _watch_cross(
    stacked: ExitStack, cross: nn.CrossAttention, seen: Seen, heads: tuple[int, int, int]
) -> None:
    def whole(forward: Any, x: Tensor, keys: Tensor, values: Tensor, last: Any = None) -> Tensor:
        found = AttentionSeen(heads, sight=nn.Sight(last=last))
        found.k, found.v = keys.data[0], values.data[0]
        seen.layers[-1].cross = found
        result = forward(x, keys, values, last)
        found.output = result.data[0]
        return result

    def project(forward: Any, x: Tensor) -> Tensor:
        result, found = forward(x), seen.layers[-1].cross
        assert found is not None
        q = result.reshape(*result.shape[:-1], heads[0], heads[2])
        found.q = (q if cross.q_norm is None else cross.q_norm(q)).data[0]
        return result

    def back(forward: Any, x: Tensor) -> Tensor:
        found = seen.layers[-1].cross
        assert found is not None
        found.read = x.data[0].reshape(x.shape[1], heads[0], heads[2])
        return forward(x)

    for module, around in ((cross, whole), (cross.q, project), (cross.proj, back)):
        stacked.enter_context(wrapped(module, around))
