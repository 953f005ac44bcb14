"""Modules: what a model is made of."""

from minigrad.nn import init
from minigrad.nn.attention import CausalSelfAttention
from minigrad.nn.dropout import Dropout
from minigrad.nn.embedding import Embedding
from minigrad.nn.layernorm import LayerNorm
from minigrad.nn.linear import Linear
from minigrad.nn.mlp import MLP
from minigrad.nn.module import (
    Module,
    ModuleList,
    Parameter,
    Sequential,
    copy_arrays,
    evaluating,
    replace_modules,
)
from minigrad.nn.quantized import QuantizedEmbedding, QuantizedLinear
from minigrad.nn.rmsnorm import RMSNorm

__all__ = [
    "MLP", "CausalSelfAttention", "Dropout", "Embedding", "LayerNorm", "Linear", "Module",
    "ModuleList", "Parameter", "QuantizedEmbedding", "QuantizedLinear", "RMSNorm", "Sequential",
    "copy_arrays", "evaluating", "init", "replace_modules",
]
