"""The Python side of decode.c: the network's weights as a table of pointers, built once."""

from __future__ import annotations

import weakref

import numpy as np

from kernels import memory, threads
from kernels.c import library
from kernels.c.library import ffi, pointer
from kernels.c.linear import ACTIVATIONS
from kernels.numpy_ref.decode import Network, check_decode
from kernels.packing import NF4_LEVELS, SCHEMES, Packed

# Network -> its table. An entry goes when its network does.
_tables: weakref.WeakKeyDictionary[Network, _Table] = weakref.WeakKeyDictionary()


class _Table:
    """A decode_network in C, and the arrays whose memory it points to."""

    def __init__(self, network: Network, keys: np.ndarray, values: np.ndarray):
        self.keys, self.values = keys, values
        self.arrays: list[np.ndarray] = [NF4_LEVELS]
        self.layers = ffi.new("decode_layer[]", len(network.layers))
        for at, layer, k, v in zip(self.layers, network.layers, keys, values, strict=True):
            at.norm1, at.norm2 = self.keep(layer.norm1), self.keep(layer.norm2)
            for name in ("qkv", "proj", "up", "down"):
                self.fill(getattr(at, name), getattr(layer, name))
            at.keys, at.values = pointer(k), pointer(v)
        self.net = net = ffi.new("decode_network *")
        self.fill(net.token, network.token)
        net.position, net.norm = self.keep(network.position), self.keep(network.norm)
        net.levels, net.layer, net.layers = pointer(NF4_LEVELS), self.layers, len(network.layers)
        net.heads, net.eps = network.heads, network.eps
        net.width = network.token.shape[1]
        net.hidden = network.layers[0].up.shape[0]
        net.context = keys.shape[2]
        net.activation = ACTIVATIONS[network.activation]
        net.rms = network.norm_kind == "rmsnorm"

    def keep(self, array: np.ndarray):
        """A pointer to an array that lives as long as the table."""
        self.arrays.append(array)
        return pointer(array)

    def fill(self, at, matrix) -> None:
        """Describe one matrix."""
        at.n, at.k = matrix.shape
        if not isinstance(matrix, Packed):
            at.codes = self.keep(matrix)
            return
        at.scheme = 1 + SCHEMES.index(matrix.scheme)
        self.arrays.append(matrix.codes)
        at.codes = ffi.cast("void *", matrix.codes.ctypes.data)
        at.scale = self.keep(matrix.scale)
        if matrix.offset is not None:
            self.arrays.append(matrix.offset)
            at.offset = ffi.cast("int32_t *", matrix.offset.ctypes.data)


def decode_step(ids, network: Network, keys, values, position: int):
    """As numpy_ref.decode_step."""
    check_decode(ids, network, keys, values, position)
    table = _tables.get(network)
    if table is None or table.keys is not keys or table.values is not values:
        table = _tables[network] = _Table(network, keys, values)
    ids = np.ascontiguousarray(ids, dtype=np.int64)
    logits = memory.empty((len(ids), network.token.shape[0]))
    size = library.lib.decode_scratch(table.net, len(ids), threads.get_num_threads())
    scratch = memory.scratch(size)
    library.lib.decode_step(
        table.net, ffi.from_buffer("int64_t[]", ids), len(ids), position, pointer(logits),
        pointer(scratch),
    )  # fmt: skip
    return logits
