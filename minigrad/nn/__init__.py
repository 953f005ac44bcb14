"""Modules: what a model is made of."""

from minigrad import ops as functional  # PyTorch's nn.functional
from minigrad.nn import init
from minigrad.nn.attention import EVERYTHING, CrossAttention, SelfAttention, Sight
from minigrad.nn.containers import ModuleDict, ModuleList, Sequential
from minigrad.nn.dropout import Dropout
from minigrad.nn.embedding import Embedding
from minigrad.nn.functions import (
    GELU,
    CrossEntropyLoss,
    Flatten,
    Function,
    Identity,
    LogSoftmax,
    MSELoss,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from minigrad.nn.layernorm import LayerNorm
from minigrad.nn.linear import Linear
from minigrad.nn.mlp import MLP
from minigrad.nn.module import (
    Module,
    Parameter,
    copy_arrays,
    evaluating,
    replace_modules,
    shared,
)
from minigrad.nn.quantized import QuantizedEmbedding, QuantizedLinear
from minigrad.nn.rmsnorm import RMSNorm

__all__ = [
    "EVERYTHING", "GELU", "MLP", "CrossAttention", "CrossEntropyLoss", "Dropout", "Embedding",
    "Flatten", "Function", "Identity", "LayerNorm", "Linear", "LogSoftmax", "MSELoss", "Module",
    "ModuleDict", "ModuleList", "Parameter", "QuantizedEmbedding", "QuantizedLinear", "RMSNorm",
    "ReLU", "SelfAttention", "Sequential", "SiLU", "Sight", "Sigmoid", "Softmax", "Tanh",
    "copy_arrays", "evaluating", "functional", "init", "replace_modules", "shared",
]
