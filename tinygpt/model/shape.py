"""The shape of a model: everything that decides which arrays it has and what they compute.

Read next: families.py (rows of it), gpt.py (the model).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from minigrad.ops.linear import GATED
from tinygpt.config import ConfigError, require
from tinygpt.model.families import FAMILIES

MOST_IN_BIGRAMS = 512  # tokens of a vocabulary whose pairs have a table
POSITIVE = ("vocab_size", "context", "n_layers", "n_heads", "d_model")
POSITIVE_OR_NONE = ("n_kv_heads", "head_dim", "d_ff", "n_blocks", "window", "embedding_size")


@dataclass(frozen=True)
class ModelShape:
    """Shape of a transformer. The defaults are GPT-2's choices, without biases."""

    vocab_size: int = 65
    context: int = 64  # tokens the model can look back on
    n_layers: int = 4
    n_heads: int = 4
    d_model: int = 128  # width C of the residual stream
    dropout: float = 0.0
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    activation: Literal["gelu", "gelu_erf", "relu", "relu2", "silu", "swiglu", "geglu"] = "gelu"
    family: str = "gpt"  # a row of families.py, which fills in what is not given
    assembly: Literal["decoder", "encoder", "encoder-decoder"] = "decoder"  # of the same blocks
    positions: Literal["learned", "sinusoidal", "rope", "alibi", "relative", "none"] = "learned"
    rope_theta: float = 10000.0  # the slowest pair turns once in 2 pi theta positions, about
    alibi_scale: float = 1.0  # times alibi's slopes: above 1, heads look nearer
    eps: float = 1e-5  # of the norms
    norm_place: Literal["pre", "post"] = "pre"  # of each half: before it, or after adding it
    qk_norm: bool = False  # queries and keys are normed, head by head
    n_kv_heads: int | None = None  # key and value heads, each for some query heads; None: n_heads
    head_dim: int | None = None  # None: d_model / n_heads
    d_ff: int | None = None  # width of the MLP; None: 4 d_model, with a gate 8/3 of it
    bias: Literal["none", "qkv", "all"] = "none"
    tied: bool = True  # the output projection is the token embedding
    n_blocks: int | None = None  # different blocks, shared by groups of layers; None: n_layers
    window: int | None = None  # keys that a query sees, itself included; None: all before it
    softcap: float | None = None  # logits become cap tanh(logit / cap)
    smear: bool = False  # a token's vector is added to the next one's, by a learned share a channel
    bigrams: bool = False  # a token and the one before it have a vector together, added to its own
    zero_init: bool = False  # what adds to the stream begins as zeros: each block as nothing
    embedding_size: int | None = None  # width of an encoder's tables, lifted to d_model; None: it

    @classmethod
    def fill(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` with its family's row below them (config.structure asks)."""
        family = values.get("family", "gpt")
        if not isinstance(family, str) or family not in FAMILIES:
            near = difflib.get_close_matches(str(family), FAMILIES, n=1, cutoff=0.5)
            advice = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(FAMILIES)}."
            raise ConfigError(f"unknown model.family {family!r}. {advice}")
        return {**FAMILIES[family], **values}

    @property
    def heads(self) -> tuple[int, int, int]:
        """(H, Hkv, D): query heads, key heads, size of each."""
        return (
            self.n_heads, self.n_kv_heads or self.n_heads,
            self.head_dim or self.d_model // self.n_heads,
        )

    @property
    def sight(self) -> int:
        """Keys that a query sees at most, itself included."""
        return min(self.window or self.context, self.context)

    @property
    def slides(self) -> bool:
        """Whether a text may go on beyond the context, each token seeing the last `sight`.

        A vector that is added for a position means the place in the text that it was learned at;
        everything else tells positions by their distance alone.
        """
        return self.positions not in ("learned", "sinusoidal")

    @property
    def hidden(self) -> int:
        """Width of the MLP's middle.

        A gate's third matrix is paid for by making all three smaller (Shazeer 2020): 8/3 of C in
        place of 4, up to the next multiple of 16, which quantized weights are panels of.
        """
        if self.d_ff is not None:
            return self.d_ff
        return -(-8 * self.d_model // 48) * 16 if self.activation in GATED else 4 * self.d_model

    @property
    def embedding(self) -> int:
        """Width E of the tables of tokens and positions."""
        return self.embedding_size or self.d_model

    @property
    def blocks(self) -> int:
        """Different blocks: layers l and l + 1 share one where l * blocks // n_layers agrees."""
        return self.n_blocks or self.n_layers

    @property
    def parameters(self) -> int:
        """How many values a model of this shape has: known before anything is built.

        Tables, the blocks, one more norm a stack, and C if smeared.
        """
        c, stacks = self.d_model, 1 + (self.assembly == "encoder-decoder")
        layers = self.blocks * self.layer_parameters + stacks * self._norm
        return self.tables + layers + c * self.smear + self._encoders

    @property
    def tables(self) -> int:
        """How many of them are read by an id or a place: V E of tokens, twice if untied; T E of
        learned positions, or one a bucket and head, for each stack; (V + 1) V C of pairs."""
        tokens = self.vocab_size * self.embedding * (1 if self.tied else 2)
        pairs = (self.vocab_size + 1) * self.vocab_size * self.d_model * self.bigrams
        places = {"learned": self.context * self.embedding, "relative": 32 * self.n_heads}
        stacks = 1 + (self.assembly == "encoder-decoder")
        return tokens + pairs + stacks * places.get(self.positions, 0)

    @property
    def layer_parameters(self) -> int:
        """How many a layer has, an encoder-decoder's in both stacks.

        Attention's projections in and out, the MLP's up (twice behind a gate) and down; their
        biases; two norms, and one a head where queries and keys are normed.  What looks across has
        attention once more, and a norm.
        """
        c, (heads, kv_heads, size), hidden = self.d_model, self.heads, self.hidden
        packed, up = (heads + 2 * kv_heads) * size, hidden * (2 if self.activation in GATED else 1)
        attention = packed * c + heads * size * c + self._norm
        attention += {"none": 0, "qkv": packed, "all": packed + c}[self.bias]
        attention += 2 * size if self.qk_norm else 0
        mlp = up * c + hidden * c + self._norm + (up + c) * (self.bias == "all")
        if self.assembly == "encoder-decoder":
            return 3 * attention + 2 * mlp
        return attention + mlp

    @property
    def _norm(self) -> int:
        biased = self.norm == "layernorm" and self.bias == "all"
        return self.d_model * (2 if biased else 1)

    @property
    def _encoders(self) -> int:
        """What an encoder has more: the lift, a norm of another width, and before the table a
        product, its norm and a bias for each token."""
        if self.assembly != "encoder":
            return 0
        c, e, biased = self.d_model, self.embedding, self.bias == "all"
        of_norm = 2 if self.norm == "layernorm" and biased else 1  # a channel
        lift = (e * c + c * biased) if self.embedding_size is not None else 0
        before = (e - c) * of_norm if self.norm_place == "post" else 0
        return lift + before + c * e + e * biased + e * of_norm + self.vocab_size * biased

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations of one training token: 6 N + 12 L H D T.

        N leaves out tables that are read, not multiplied, and counts a shared block once for each
        layer; the causal half of attention is counted in full, as is usual.  Of an encoder-decoder:
        of a token of a target beside one of its source, whose attention is three times that.
        Source: Chowdhery et al. 2022, appendix B.
        """
        multiplied = self.parameters - self.tables + self.vocab_size * self.embedding
        multiplied += (self.n_layers - self.blocks) * self.layer_parameters
        heads, _, size = self.heads
        each = 36 if self.assembly == "encoder-decoder" else 12
        return 6 * multiplied + each * self.n_layers * heads * size * self.context

    def with_vocabulary(self, size: int) -> ModelShape:
        """This shape with as many tokens as a tokenizer has.

        Raises ConfigError if another number was asked for: the data decides.
        """
        if self.vocab_size not in (ModelShape.vocab_size, size):
            raise ConfigError(
                f"model.vocab_size = {self.vocab_size}, but the tokenizer of the data has {size} "
                "tokens. Leave model.vocab_size out: it follows from the data and "
                "tokenizer.vocab_size."
            )
        return dataclasses.replace(self, vocab_size=size)

    def __post_init__(self) -> None:
        for name in POSITIVE:
            require(getattr(self, name) >= 1, f"model.{name}", getattr(self, name), "at least 1")
        for name in POSITIVE_OR_NONE:
            value = getattr(self, name)
            require(value is None or value >= 1, f"model.{name}", value, "at least 1, or none")
        if self.head_dim is None and self.d_model % self.n_heads:
            raise ConfigError(
                f"model.d_model = {self.d_model} is not divisible by model.n_heads = "
                f"{self.n_heads}. Choose a width that is a multiple of the number of heads."
            )
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "in [0, 1)")
        require(self.eps > 0, "model.eps", self.eps, "above 0")
        require(self.alibi_scale > 0, "model.alibi_scale", self.alibi_scale, "above 0")
        require(self.rope_theta > 1, "model.rope_theta", self.rope_theta, "above 1")
        capped = self.softcap is None or self.softcap > 0
        require(capped, "model.softcap", self.softcap, "above 0, or none")
        self._agree()

    def _agree(self) -> None:
        """Raise ConfigError for two settings that contradict each other, naming both."""
        _, kv_heads, head_dim = self.heads
        if self.n_heads % kv_heads:
            raise ConfigError(
                f"model.n_kv_heads = {kv_heads} does not divide model.n_heads = {self.n_heads}. "
                "Each key head serves equally many query heads."
            )
        if self.positions == "rope" and head_dim % 2:
            raise ConfigError(
                f'model.positions = "rope" turns pairs of coordinates, but a head has {head_dim} '
                "(model.head_dim, or d_model / n_heads). Choose an even size."
            )
        if self.assembly == "encoder" and self.window is not None:
            raise ConfigError(
                f'model.window = {self.window} limits how far a decoder looks back, but '
                'model.assembly = "encoder" sees both ways. Set model.window=none.'
            )
        if self.embedding_size is not None and self.assembly != "encoder":
            raise ConfigError(
                f"model.embedding_size = {self.embedding_size} is of an encoder's tables, but "
                f'model.assembly = "{self.assembly}". Set model.embedding_size=none.'
            )
        for name in ("smear", "bigrams"):
            if getattr(self, name) and self.assembly != "decoder":
                raise ConfigError(
                    f"model.{name} = true gives a token the one before it, as a decoder reads "
                    f'them, but model.assembly = "{self.assembly}". Set model.{name}=false.'
                )
        if self.bigrams and self.vocab_size > MOST_IN_BIGRAMS:
            raise ConfigError(
                f"model.bigrams = true has a row for each of {self.vocab_size:,} x "
                f"{self.vocab_size:,} pairs of tokens; it is for vocabularies of at most "
                f"{MOST_IN_BIGRAMS}. Set model.bigrams=false, or tokenizer.kind=char."
            )
        if self.blocks > self.n_layers:
            raise ConfigError(
                f"model.n_blocks = {self.blocks} is more than model.n_layers = {self.n_layers}. "
                "Layers share blocks; choose at most as many."
            )
