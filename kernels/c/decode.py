"""The Python side of decode.c: the network's weights as a table of pointers, built once."""

from __future__ import annotations

import weakref

import numpy as np

from kernels import checks, memory, threads
from kernels.c import library
from kernels.c.ids import pointer as int64_pointer
from kernels.c.library import ffi, pointer
from kernels.c.linear import KINDS
from kernels.numpy_ref.decode import (
    NO_TOKEN,
    PRODUCTS,
    LayerWeights,
    Matrix,
    Network,
    check_decode,
)
from kernels.packing import NF4_LEVELS, SCHEMES, Packed

# Network -> its table. An entry goes when its network does.
_tables: weakref.WeakKeyDictionary[Network, _Table] = weakref.WeakKeyDictionary()


class _Table:
    """A decode_network in C, and the arrays whose memory it points to."""

    def __init__(self, network: Network, keys: np.ndarray, values: np.ndarray):
        self.keys, self.values = keys, values
        self.in_order = np.arange(keys.shape[1])
        self.ends = (network.token.shape[0], network.positions, keys.shape[1])
        self.arrays: list[np.ndarray] = [NF4_LEVELS]
        self.layers = ffi.new("decode_layer[]", len(network.layers))
        for at, layer, k, v in zip(self.layers, network.layers, keys, values, strict=True):
            for name in ("norm1", "norm2"):
                self.fill_norm(getattr(at, name), layer, name)
            for name in PRODUCTS:
                self.fill(getattr(at, name), getattr(layer, name), getattr(layer, f"{name}_bias"))
                thin, wide = getattr(layer, f"{name}_beside") or (None, None)
                self.fill(getattr(at, f"{name}_thin"), thin, None)
                self.fill(getattr(at, f"{name}_wide"), wide, None)
            at.q_norm, at.k_norm = self.keep(layer.q_norm), self.keep(layer.k_norm)
            at.keys, at.values = ffi.from_buffer(k), ffi.from_buffer(v)
        self.net = net = ffi.new("decode_network *")
        self.fill(net.token, network.token, None)
        self.fill(net.head, network.output, network.head_bias)
        self.fill_norm(net.norm, network, "norm")
        net.position, net.bias = self.keep(network.position), self.keep(network.bias)
        net.smear = self.keep(network.smear)
        self.fill(net.bigrams, network.bigrams, None)
        self.looks_back = network.looks_back
        if network.bias is not None:
            net.distances = network.bias.shape[1]
        if network.rotary is not None:
            self.arrays.append(network.rotary)
            net.rates, net.pairs = ffi.from_buffer("double[]", network.rotary), len(network.rotary)
        net.levels, net.layer, net.layers = pointer(NF4_LEVELS), self.layers, len(network.layers)
        net.heads, net.kv_heads, net.head_dim = network.head_shape
        net.width = network.token.shape[1]
        net.hidden = max((layer.up.shape[0] for layer in network.layers), default=0)
        beside = [getattr(layer, f"{name}_beside") for layer in network.layers for name in PRODUCTS]
        for _, wide in filter(None, beside):
            net.thin, net.wide = max(net.thin, wide.shape[1]), max(net.wide, wide.shape[0])
        net.places, net.sight = keys.shape[2], network.sight(keys.shape[2])
        net.activation, net.gated = KINDS[network.activation]
        net.rms, net.post = network.norm_kind == "rmsnorm", network.norm_place == "post"
        net.eps, net.softcap = network.eps, network.softcap or 0
        net.rounded = keys.dtype == np.int8

    def takes(
        self, ids: np.ndarray, positions: np.ndarray, slots: np.ndarray, before: np.ndarray | None
    ) -> bool:
        """Whether C can have these as they are: check_decode in a tenth of its 14 us.

        Not where a sequence has several tokens: the rest is for check_decode to say.
        """
        if not (self.keys.flags.carray and self.values.flags.carray):
            return False  # somebody has made them read-only
        rows = len(slots)
        for array, end in zip((ids, positions, slots), self.ends, strict=True):
            if array.shape != (rows,) or array.dtype != np.int64 or not array.flags.carray:
                return False
            if library.lib.find_bad_id(int64_pointer(array), rows, end) >= 0:
                return False
        return not self.looks_back or self.takes_before(before, rows)

    def takes_before(self, before: np.ndarray | None, rows: int) -> bool:
        """Whether these are ids, or NO_TOKEN, of so many tokens."""
        if before is None or before.shape != (rows,) or before.dtype != np.int64:
            return False
        return bool(np.all((before >= NO_TOKEN) & (before < self.ends[0])))

    def keep(self, array: np.ndarray | None):
        """A pointer to an array that lives as long as the table; NULL for None."""
        if array is None:
            return ffi.NULL
        self.arrays.append(array)
        return pointer(array)

    def fill_norm(self, at, owner: Network | LayerWeights, name: str) -> None:
        """Describe one norm."""
        at.weight = self.keep(getattr(owner, name))
        at.bias = self.keep(getattr(owner, f"{name}_bias"))

    def fill(self, at, matrix: Matrix | None, bias: np.ndarray | None) -> None:
        """Describe one matrix, unless there is none."""
        if matrix is None:
            return
        at.n, at.k = matrix.shape
        at.bias = self.keep(bias)
        if not isinstance(matrix, Packed):
            at.codes = self.keep(matrix)
            return
        at.scheme = 1 + SCHEMES.index(matrix.scheme)
        self.arrays += [matrix.codes, matrix.scale]
        at.codes = ffi.cast("void *", matrix.codes.ctypes.data)
        at.scale = ffi.cast("void *", matrix.scale.ctypes.data)
        if matrix.offset is not None:
            self.arrays.append(matrix.offset)
            at.offset = ffi.cast("int32_t *", matrix.offset.ctypes.data)


def decode_step(
    ids, network: Network, keys, values, positions, slots=None, scored: int | None = None,
    before=None,
):
    """As numpy_ref.decode_step."""
    table = _tables.get(network)
    if table is None or table.keys is not keys or table.values is not values:
        check_decode(ids, network, keys, values, positions, slots, scored, before)
        table = _tables[network] = _Table(network, keys, values)
    in_order = slots is None
    slots = table.in_order if in_order else slots
    pieces = not in_order and len(set(np.ravel(slots).tolist())) < np.size(slots)
    taken = not pieces and table.takes(ids, positions, slots, before)
    if not taken or not (scored is None or 0 <= scored <= len(ids)):
        given = None if in_order else slots
        check_decode(ids, network, keys, values, positions, given, scored, before)
        ids, positions, slots = map(checks.int64, (ids, positions, slots))
    earlier = ffi.NULL
    if table.looks_back:
        before = checks.int64(before)  # a name that holds it until C has read it
        earlier = int64_pointer(before)
    scored = len(ids) if scored is None else scored
    logits = memory.empty((scored, network.output.shape[0]))
    size = library.lib.decode_scratch(table.net, len(ids), threads.get_num_threads())
    scratch = library.scratch(size)
    library.lib.decode_step(
        table.net, int64_pointer(ids), int64_pointer(positions), int64_pointer(slots), earlier,
        len(ids), scored, pieces, pointer(logits), scratch,
    )
    return logits
