"""Random calls of every C kernel: what bench/sanitizers.py runs with a sanitizer in the process.

    python -m bench.sanitizers_calls '{"calls": 100, "seed": 0, "isas": ["generic", "avx2"]}'
    ... '{"calls": 1, "seed": 0, "first": 123, "isas": ["avx2"]}'       draw 123 again

Half of the calls are the registry's operations, forward and backward, compared with the reference
as the tests do; half draw the arrays of a line of kernels/contracts.py, whatever it allows: any
sizes, 0 too, views with gaps, steps that are no multiple of an item, odd addresses, repeated axes,
and arrays given twice. Runs without a sanitizer, too. The last line of its output is JSON.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import kernels
from kernels import checks, contracts, memory, packing
from kernels.contract import Contract
from kernels.numpy_ref.decode import LayerWeights, Network
from kernels.numpy_ref.heads import round_heads
from minigrad.testing import REGISTRY, RandomSource, certify

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 130)
THREADS = 7
WRONG = 0.01  # relative error that is no rounding; the tests judge accuracy
ADAMW = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1, "step": 3}
Rng = np.random.Generator

libc = ctypes.CDLL(None)
libc.free.argtypes = [ctypes.c_void_p]


def lend(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    """memory.empty and scratch with a guard right behind each array.

    The pool's blocks are rounded up and its scratch is longer than asked for: what reads a little
    too far there stays in memory that is ours, where no sanitizer looks.
    """
    shape = (int(shape),) if np.isscalar(shape) else tuple(shape)
    nbytes = max(int(np.prod(shape)) * np.dtype(dtype).itemsize, 1)
    address = ctypes.c_void_p()
    if libc.posix_memalign(ctypes.byref(address), ctypes.c_size_t(64), ctypes.c_size_t(nbytes)):
        raise MemoryError(nbytes)
    block = (ctypes.c_char * nbytes).from_address(address.value)
    weakref.finalize(block, libc.free, address.value)
    return np.ndarray(shape, dtype, block)


def guarded() -> None:
    """Let every buffer of the kernels come from `lend`."""
    memory.scratch = lend
    memory.pool.take = lambda nbytes: _Lent(nbytes)  # of 32 kB and more; smaller ones are malloc's


class _Lent:
    def __init__(self, nbytes: int):
        self.nbytes = nbytes

    def lend(self, shape: Any, dtype: Any) -> np.ndarray:
        return lend(shape, dtype)


# ---- Arrays -----------------------------------------------------------------------------------


def values(rng: Rng, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    if np.dtype(dtype).kind == "f":
        array = np.asarray(rng.standard_normal(shape) * rng.choice([1e-3, 1, 1, 30]))
        array[rng.random(shape) < 0.02] = rng.choice([0, -np.inf, np.inf, np.nan, 1e30])
        return array.astype(dtype)
    return np.asarray(rng.integers(0, 100, shape)).astype(dtype)


def laid_out(rng: Rng, array: np.ndarray) -> np.ndarray:
    """The same values, or some of them repeated, in one of the ways that memory can be seen."""
    kind = rng.integers(0, 10)
    if kind == 0:  # strides that are no multiple of the item size
        records = np.zeros(array.shape, [("tag", np.int16), ("value", array.dtype)])
        records["value"] = array
        return records["value"]
    if kind == 1:  # an address that is none
        view = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
        view[...] = array
        return view
    if kind == 2 and array.ndim:
        wide = np.zeros((*array.shape[:-1], 3 * array.shape[-1]), array.dtype)
        wide[..., ::3] = array
        return wide[..., ::3]
    if kind == 3 and array.ndim:
        backwards = (slice(None, None, -1),) * array.ndim
        return np.ascontiguousarray(array[backwards])[backwards]
    if kind == 4 and array.ndim:
        return np.asfortranarray(array)
    if kind == 5 and array.size and array.ndim:
        return np.broadcast_to(array[:1], array.shape)
    if kind == 6 and array.ndim:  # rows with something between them
        wide = np.zeros((*array.shape[:-1], array.shape[-1] + 3), array.dtype)
        wide[..., :-3] = array
        return wide[..., :-3]
    return array


class Draw:
    """Arguments for one contract: sizes as they come or as given, arrays of them."""

    def __init__(self, rng: Rng, contract: Contract, **sizes: int):
        self.rng, self.contract, self.sizes = rng, contract, dict(sizes)
        self.lead = tuple(self.size(3) for _ in range(rng.integers(0, 3)))
        if "R" in sizes:
            self.lead = (sizes["R"],)
        self.read: list[np.ndarray] = []  # what nobody writes: any of it may be given twice
        self.arrays: list[Any] = []
        for parameter in contract.parameters:
            self.arrays.append(self.array(parameter))

    def size(self, most: int = 16) -> int:
        """Now and then 0; mostly small; `most` cuts the list."""
        if self.rng.random() < 0.03:
            return 0
        return int(self.rng.choice(SIZES[:most]))

    def axes(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        shape: tuple[int, ...] = ()
        for axis in axes:
            if axis in ("...", "*"):
                shape += self.lead
            else:
                if axis == "R":
                    self.sizes.setdefault("R", int(np.prod(self.lead)))
                shape += (self.sizes.setdefault(axis, self.size()),)
        return shape

    def array(self, parameter: Any) -> np.ndarray | None:
        if "optional" in parameter.words and self.rng.random() < 0.3:
            return None
        if parameter.axes[:1] == ("...",):
            self.sizes.setdefault("R", int(np.prod(self.lead)))
        shape = self.axes(parameter.axes)
        if "int" in parameter.words:
            dtype = self.rng.choice([np.int64, np.int32, np.uint8])
        else:
            dtype = parameter.dtype
        made = values(self.rng, shape, dtype)
        if "written" in parameter.words:
            return np.asarray(np.abs(made)) if dtype == np.float32 else made
        same = [x for x in self.read if x.shape == shape and x.dtype == dtype]
        if same and self.rng.random() < 0.2:
            return same[-1]
        self.read.append(laid_out(self.rng, made))
        return self.read[-1]


def below(rng: Rng, ids: np.ndarray, size: int) -> np.ndarray:
    """ids within [0, size), laid out anew."""
    return laid_out(rng, rng.integers(0, max(size, 1), ids.shape).astype(ids.dtype))


# ---- Calls ------------------------------------------------------------------------------------


def plain(name: str, **settings: Callable[[Rng], Any]) -> Callable[[Rng], None]:
    """A call whose arrays a contract describes whole; settings are drawn."""

    def call(rng: Rng) -> None:
        drawn = Draw(rng, getattr(contracts, name))
        chosen = {key: draw(rng) for key, draw in settings.items()}
        getattr(kernels.active, name)(*drawn.arrays, **chosen)

    return call


def linear(rng: Rng) -> None:
    chosen = activation(rng)
    gate = "_gated" if chosen in checks.GATED else ""
    inner = int(rng.choice(SIZES))
    sizes = {"in": inner, "halves": 2 * inner}
    x, weight, bias, residual = Draw(
        rng, getattr(contracts, f"linear{gate}_forward"), **sizes).arrays
    kernels.active.linear_forward(x, weight, bias, chosen, residual)
    dy, x, weight, bias = Draw(rng, getattr(contracts, f"linear{gate}_backward"), **sizes).arrays
    wants = (True, False, True) if x is None else tuple(map(bool, rng.integers(0, 2, 3)))
    chosen = None if x is None else chosen
    kernels.active.linear_backward(dy, x, weight, chosen, bias, wants)
    chosen = activation(rng)
    halves = 2 * inner if chosen in checks.GATED else inner
    da, x = Draw(rng, contracts.activate_backward, n=inner, C=halves).arrays
    kernels.active.activate_backward(da, x, chosen)


def attention(rng: Rng) -> None:
    Hkv, Tq, D = int(rng.integers(1, 4)), *map(int, rng.choice(SIZES, 2))
    Tk = Tq + int(rng.choice([0, *SIZES])) if rng.random() < 0.7 else int(rng.choice([0, *SIZES]))
    sizes = {"B": int(rng.integers(1, 4)), "Hkv": Hkv, "H": Hkv * int(rng.integers(1, 4))}
    sizes |= {"Tq": Tq, "Tk": Tk, "D": D, "distances": max(Tq + Tk - 1, 0)}
    sizes |= {"positions": Tk + int(rng.integers(0, 4)), "R": int(rng.integers(0, D // 2 + 1))}
    q, k, v, first, last, bias, *tables = Draw(rng, contracts.attention_forward, **sizes).arrays
    settings = {
        "causal": bool(rng.integers(0, 2)), "bias": bias,
        "first": None if first is None else below(rng, first, min(Tk + 1, 256)),
        "last": None if last is None else below(rng, last, min(Tk + 1, 256)),
        "rotary": tuple(tables) if tables[0] is not None and tables[1] is not None and Tq <= Tk
        else None,
    }
    y, lse = kernels.active.attention_forward(q, k, v, **settings)
    dy = values(rng, y.shape, np.float32)
    out = None
    if Tq == Tk and rng.random() < 0.5:  # one packed gradient
        B, T, H, D = q.shape
        packed = np.zeros((B, T, H + 2 * Hkv, D), np.float32)
        out = packed[:, :, :H], packed[:, :, H : H + Hkv], packed[:, :, H + Hkv :]
    wants = bool(rng.integers(0, 2))
    kernels.active.attention_backward(
        dy, q, k, v, y, lse, out=out, wants_bias=wants, **settings
    )


def losses(rng: Rng) -> None:
    logits, targets = Draw(rng, contracts.cross_entropy_forward, V=int(rng.choice(SIZES))).arrays
    settings = {"label_smoothing": float(rng.choice([0, 0.1])), "ignore_index": None}
    targets = below(rng, targets, min(logits.shape[1], 256))
    if rng.random() < 0.3:
        targets, settings["ignore_index"] = targets.astype(np.int64), -100
        targets[::2] = -100
    _, lse = kernels.active.cross_entropy_forward(logits, targets, **settings)
    kernels.active.cross_entropy_backward(1.0, logits, targets, lse, **settings)
    if logits.size:
        k = int(rng.integers(1, logits.shape[1] + 1))
        kernels.active.softmax_summary(logits, np.abs(targets) % logits.shape[1], k)


def projected(rng: Rng) -> None:
    V = int(rng.choice([1, 2, 17, 65, 300]))
    drawn = Draw(rng, contracts.linear_cross_entropy, V=V).arrays
    x, weight, targets, weights = drawn
    targets = below(rng, targets, min(V, 256))
    cap = (None, 3.0)[rng.integers(0, 2)]
    kernels.active.linear_cross_entropy_forward(x, weight, targets, 0.1, None, weights, cap)
    kernels.active.linear_cross_entropy_gradients(x, weight, targets, 0.0, None, weights, cap)
    y = kernels.active.linear_log_probability_forward(x, weight, targets)
    kernels.active.linear_log_probability_backward(y, x, weight, targets)


def embedding(rng: Rng) -> None:
    weight, ids = Draw(rng, contracts.embedding_forward, V=int(rng.choice(SIZES))).arrays
    ids = below(rng, ids, len(weight))
    y = kernels.active.embedding_forward(weight, ids)
    kernels.active.embedding_backward(laid_out(rng, y), ids, len(weight))


def adamw(rng: Rng) -> None:
    drawn = [Draw(rng, contracts.adamw).arrays for _ in range(rng.integers(0, 4))]
    lists = [list(column) for column in zip(*drawn, strict=True)] or [[], [], [], []]
    kernels.active.adamw_update(*lists, **ADAMW)
    kernels.active.sum_of_squares(lists[1])


def muon(rng: Rng) -> None:
    drawn = [Draw(rng, contracts.muon).arrays for _ in range(rng.integers(0, 4))]
    lists = [list(column) for column in zip(*drawn, strict=True)] or [[], [], []]
    kernels.active.muon_update(*lists, lr=0.1, momentum=0.9, weight_decay=0.1)


def adamw8bit(rng: Rng) -> None:
    n = int(rng.choice([0, 1, 255, 256, 257, 1000, 5000]))
    arrays = Draw(rng, contracts.adamw8bit, R=n, blocks=-(-n // 256)).arrays
    grad = np.nan_to_num(arrays[1], posinf=1, neginf=1)
    param, _, m, m_scale, v, v_scale = (np.nan_to_num(a, posinf=1, neginf=1) for a in arrays)
    kernels.active.adamw8bit_update(param, grad, m, m_scale, v, v_scale, **ADAMW)


def packed(rng: Rng, scheme: str, N: int, K: int) -> packing.Packed:
    if scheme == "int8":
        codes = rng.integers(-128, 128, (N, K)).astype(np.int8)
        return packing.pack_int8(codes, values(rng, (N,), np.float32))
    parts = packing.layout(scheme, (N, K))
    codes = rng.integers(0, 256, parts["codes"][0], dtype=np.uint8)
    scale = values(rng, *parts["scale"])
    return packing.Packed(scheme, (N, K), codes, scale)


def quantized(rng: Rng) -> None:
    scheme = str(rng.choice(packing.SCHEMES))
    N, K = int(rng.choice([0, *SIZES])), int(rng.choice([0, *SIZES, 200]))
    weight = packed(rng, scheme, N, K)
    x, bias, residual = Draw(rng, contracts.linear_packed[scheme], N=N, K=K).arrays
    forward = getattr(kernels.active, f"linear_{scheme}_forward")
    y = forward(np.nan_to_num(x, posinf=1, neginf=1), weight, bias, residual)
    kernels.active.linear_packed_backward(laid_out(rng, y), weight)
    q, _ = kernels.active.quantize_rows(np.nan_to_num(x, posinf=1, neginf=1))
    if scheme == "int8":
        kernels.active.matmul_int8(laid_out(rng, q), weight)


def decode(rng: Rng) -> None:
    Hkv, D, group, B, L, places = map(int, rng.integers([1, 1, 1, 1, 1, 1], [3, 9, 3, 5, 3, 40]))
    H, D = Hkv * group, 2 * D
    C, F, V = (int(rng.choice(SIZES)) for _ in range(3))
    kinds = [*checks.ACTIVATIONS, *checks.GATED]
    scheme, activation = (str(rng.choice(x)) for x in (["float32", *packing.SCHEMES], kinds))
    up = 2 * F if activation in checks.GATED else F

    def matrix(n: int, k: int) -> Any:
        if scheme != "float32":
            return packed(rng, scheme, n, k)
        return rng.standard_normal((n, k)).astype(np.float32)

    def vector(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    def maybe(part: Any) -> Any:
        return part if rng.random() < 0.5 else None

    layers = tuple(
        LayerWeights(
            vector(C), matrix((H + 2 * Hkv) * D, C), matrix(C, H * D), vector(C), matrix(up, C),
            matrix(C, F), qkv_bias=maybe(vector((H + 2 * Hkv) * D)), up_bias=maybe(vector(up)),
            q_norm=maybe(vector(D)), k_norm=maybe(vector(D)),
        )
        for _ in range(L)
    )
    network = Network(
        matrix(V, C), maybe(vector(places, C)), layers, vector(C), H,
        str(rng.choice(["layernorm", "rmsnorm"])), activation, kv_heads=Hkv, head_dim=D,
        rotary=maybe(rng.random(int(rng.integers(D // 2 + 1)))), bias=maybe(vector(H, places)),
        window=maybe(int(rng.integers(1, 40))), softcap=maybe(3.0),
        norm_place=str(rng.choice(["pre", "post"])), smear=maybe(vector(C)),
        bigrams=maybe(matrix((V + 1) * V, C)),
    )
    keys, caches = (np.zeros((L, B, places, Hkv, D), np.float32) for _ in range(2))
    if rng.random() < 0.5:
        keys, caches = round_heads(keys), round_heads(caches)
    beyond = () if network.position is not None else (places, 2 * places + 1, 2**31 - 1)
    for position in (0, places // 2, places - 1, *beyond):
        ids = laid_out(rng, rng.integers(0, V, B))
        before = laid_out(rng, rng.integers(-1, V, B))
        kernels.active.decode_step(ids, network, keys, caches, np.full(B, position), before=before)
    piece = min(places, 5)  # several tokens of one sequence, and one of another
    slots, at = np.array([0] * piece + [B - 1] * (B > 1)), np.array([*range(piece), 0])
    ids = laid_out(rng, rng.integers(0, V, len(slots)))
    kernels.active.decode_step(ids, network, keys, caches, at[: len(slots)], slots,
                               int(rng.integers(len(slots) + 1)), rng.integers(-1, V, len(slots)))


ALPHABET = "abcde  ,.'!\n12\u00e9\u4e16\U0001f600"


def tokenizer(rng: Rng) -> None:
    """Training, encoding and decoding in C, of text and of bytes that are none."""
    from tinygpt.tokenizer.trainer import train_bpe

    def text(n: int) -> str:
        return "".join(rng.choice(list(ALPHABET), n))

    trained = train_bpe([text(int(rng.integers(1, 2000)))], 270 + int(rng.integers(0, 80)))
    for n in (0, 1, int(rng.integers(1, 3000))):
        trained.decode(trained.encode(text(n)))
        trained.encode(rng.integers(0, 256, n).astype(np.uint8).tobytes())


def operation(rng: Rng) -> None:
    """One of the registry's, compared with the reference."""
    names = [name for name, op in REGISTRY.items() if op.kernels]
    op = REGISTRY[str(rng.choice(names))]
    case = op.sample(RandomSource(rng))
    backend = f"c:{kernels.load('c').current_isa()}"
    error, _ = certify.against_reference(op, case, backend)
    if not error <= WRONG:
        raise AssertionError(f"{op.name} on {backend}: error {error:.3g}")


def minhash(rng: Rng) -> None:
    text = lend(int(rng.integers(0, 400)), np.uint8)
    text[...] = rng.choice(np.frombuffer(b"  abc\xff", np.uint8), len(text))
    hashes = kernels.active.shingle_hashes(text, int(rng.integers(1, 12)))
    factors, offsets = lend(size := int(rng.integers(0, 40)), np.uint64), lend(size, np.uint64)
    factors[...], offsets[...] = rng.integers(0, 2**63, (2, size), np.uint64) | np.uint64(1)
    kernels.active.minhash_signature(hashes, factors, offsets)


def ngrams(rng: Rng) -> None:
    text = lend(int(rng.integers(0, 400)), np.uint32)
    text[...] = rng.choice(np.frombuffer("  ab.!-)\uffff".encode("utf-32-le"), "<u4"), len(text))
    kinds = lend(int(rng.integers(0, 128)), np.uint8)
    kinds[...] = rng.integers(0, 64, len(kinds))
    words, lengths, _ = kernels.active.split_words(text, kinds, bool(rng.integers(2)))
    kernels.active.repeated_ngrams(words, lengths, int(rng.integers(2, 12)))
    data, n = text.view(np.uint8), int(rng.integers(1, 9))
    kernels.active.byte_ngrams(data, n)
    buckets, classes = 1 << int(rng.integers(0, 15)), int(rng.integers(0, 20))
    kernels.active.byte_ngram_counts(data, n, buckets)
    weight, bias = lend(buckets * classes).reshape(buckets, classes), lend(classes)
    weight[...], bias[...] = 1, 0
    kernels.active.byte_ngram_logits(data, n, weight, bias)
    known = lend(buckets, np.uint8).view(bool)
    known[...] = True
    kernels.active.byte_ngrams_known(data, n, known)


def activation(rng: Rng) -> str | None:
    return (None, *checks.ACTIVATIONS, *checks.GATED)[
        rng.integers(0, 1 + len(checks.ACTIVATIONS) + len(checks.GATED))
    ]


CALLS: dict[str, Callable[[Rng], None]] = {
    **{name: plain(name) for name in (
        "matmul_forward", "matmul_backward", "softmax_forward", "softmax_backward",
        "layernorm_forward", "layernorm_backward", "rmsnorm_forward", "rmsnorm_backward",
        "gelu_forward", "gelu_backward",
    )},
    "linear": linear,
    "dropout": lambda rng: kernels.active.dropout_forward(
        *Draw(rng, contracts.dropout).arrays, 0.5, int(rng.integers(0, 2**63))
    ),
    "attention": attention, "losses": losses, "projected": projected, "embedding": embedding,
    "adamw": adamw, "adamw8bit": adamw8bit, "muon": muon, "quantized": quantized,
    "minhash": minhash, "ngrams": ngrams, "decode": decode, "tokenizer": tokenizer,
}


def run(calls: int, seed: int, isas: list[str], first: int = 0) -> dict[str, Any]:
    """Draw until at least `calls` kernels have been called; what was done, by op.

    Draw number n depends on seed and n alone, so that one that fails can be repeated.
    """
    c = kernels.load("c")
    ready = [isa for isa in isas if c.available_isas().get(isa) == "ready"]
    counts: Counter[str] = Counter()
    _count_calls(c, counts)
    started, threads, draw = time.monotonic(), Counter[int](), first
    np.seterr(all="ignore")  # nan and inf are among what is drawn
    while sum(counts.values()) < calls:
        rng = np.random.default_rng((seed, draw))
        kernels.use("c", str(rng.choice(ready)))
        kernels.set_num_threads(int(rng.integers(1, THREADS + 1)))
        threads[kernels.get_num_threads()] += 1
        name = str(rng.choice([*CALLS, *["operation"] * len(CALLS)]))
        try:
            (operation if name == "operation" else CALLS[name])(rng)
        except Exception:
            print(f"seed {seed}, draw {draw}: {name}", file=sys.stderr)
            raise
        draw += 1
    return {
        "calls": sum(counts.values()), "ops": dict(counts), "isas": ready,
        "threads": sorted(threads), "draws": draw - first, "seconds": time.monotonic() - started,
    }


def plant(kind: str, isa: str) -> dict[str, Any]:
    """A mistake of one kind, made from outside: a sanitizer that is in force reports it.

    kind: "overflow" (one float too far), "misaligned" (floats at an odd address) or "race" (the
    team updates one array as if it were two).
    """
    from kernels.c import adamw, library

    kernels.use("c", isa)
    kernels.set_num_threads(4)
    x = lend(1 << 12)
    x[...] = 1
    at, new = x.ctypes.data, library.ffi.new
    floats = library.ffi.cast("float *", at)
    if kind == "overflow":
        library.lib.gelu_forward(floats, library.pointer(lend(x.size + 1)), x.size + 1)
    elif kind == "misaligned":
        odd = library.ffi.cast("float *", at + 1)
        library.lib.sum_of_squares(new("float_array[]", [(odd, 9)]), 1)
    else:
        table = new("adamw_array[]", 2 * [(floats, floats, floats, floats, x.size)])
        library.lib.adamw_update(table, 2, adamw.pack(0.1, 0.9, 0.9, 1e-8, 0.1, 1, 1.0))
    return {"planted": kind}


def _count_calls(c: Any, counts: Counter[str]) -> None:
    """Let each of the module's kernels add to its count."""
    def counting(name: str, op: Callable) -> Callable:
        def counted(*args, **settings):
            counts[name] += 1
            return op(*args, **settings)

        return counted

    for name in kernels.OPS:
        setattr(c, name, counting(name, getattr(c, name)))


if __name__ == "__main__":
    guarded()
    settings = json.loads(sys.argv[1])
    print(json.dumps(plant(**settings) if "kind" in settings else run(**settings)))
