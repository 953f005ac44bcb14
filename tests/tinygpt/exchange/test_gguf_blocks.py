"""Every kind of block, against the definition written out weight by weight, and against `gguf`."""

import numpy as np
import pytest

from tinygpt.exchange import gguf_blocks
from tinygpt.exchange.gguf_blocks import KINDS, WRITTEN

f = np.float32


def half(block, at):
    return f(np.array(block[at : at + 2], np.uint8).view("<f2")[0])


def nibble(block, at, i):
    """4 bits of weight i of 32, low halves first."""
    return block[at + i % 16] >> 4 * (i // 16) & 15


def bit(block, at, i):
    return block[at + i // 8] >> i % 8 & 1


def q8_0(b, i):
    return half(b, 0) * f(np.int8(np.uint8(b[2 + i])))


def q4_0(b, i):
    return half(b, 0) * f(nibble(b, 2, i) - 8)


def q4_1(b, i):
    return half(b, 0) * f(nibble(b, 4, i)) + half(b, 2)


def q5_0(b, i):
    return half(b, 0) * f((nibble(b, 6, i) | bit(b, 2, i) << 4) - 16)


def q5_1(b, i):
    return half(b, 0) * f(nibble(b, 8, i) | bit(b, 4, i) << 4) + half(b, 2)


def scale_and_floor(b, j):
    s = b[4:16]
    if j < 4:
        return s[j] & 63, s[j + 4] & 63
    return s[j + 4] & 15 | s[j - 4] >> 6 << 4, s[j + 4] >> 4 | s[j] >> 6 << 4


def k_nibble(b, at, i):
    return b[at + i // 64 * 32 + i % 32] >> 4 * (i // 32 % 2) & 15


def q4_k(b, i, q=None):
    s, t = scale_and_floor(b, i // 32)
    q = k_nibble(b, 16, i) if q is None else q
    return half(b, 0) * f(s) * f(q) - half(b, 2) * f(t)


def q5_k(b, i):
    return q4_k(b, i, k_nibble(b, 48, i) | (b[16 + i % 32] >> i // 32 & 1) << 4)


def q6_k(b, i):
    upper, within = divmod(i, 128)
    run, l = divmod(within, 32)
    low = b[64 * upper + 32 * (run % 2) + l] >> 4 * (run // 2) & 15
    high = b[128 + 32 * upper + l] >> 2 * run & 3
    scale = f(np.int8(np.uint8(b[192 + i // 16])))
    return half(b, 208) * scale * f((low | high << 4) - 32)


BY_HAND = {
    "Q8_0": q8_0, "Q4_0": q4_0, "Q4_1": q4_1, "Q5_0": q5_0, "Q5_1": q5_1, "Q4_K": q4_k,
    "Q5_K": q5_k, "Q6_K": q6_k,
}


def some_blocks(kind, rows=3, per_row=2):
    """Random bytes with scales that are finite."""
    known = KINDS[kind]
    blocks = np.random.default_rng(0).integers(0, 256, (rows * per_row, known.bytes), np.uint8)
    halves = {"Q6_K": (208,), "Q8_0": (0,), "Q4_0": (0,), "Q5_0": (0,)}.get(kind, (0, 2))
    for at in halves if known.weights > 1 else ():
        blocks[:, at + 1] &= 0b10111011  # an exponent below all ones
    return blocks.reshape(rows, -1)


@pytest.mark.parametrize("kind", BY_HAND)
def test_a_block_is_read_as_it_is_defined(kind):
    rows = some_blocks(kind)
    known = KINDS[kind]
    blocks = rows.reshape(-1, known.bytes).tolist()
    expected = [[BY_HAND[kind](b, i) for i in range(known.weights)] for b in blocks]
    np.testing.assert_array_equal(
        gguf_blocks.dequantize(rows, kind), np.array(expected).reshape(len(rows), -1)
    )


def test_floats_are_read():
    x = np.array([[1.5, -2.25, 65504.0]], np.float32)
    assert gguf_blocks.dequantize(x.view(np.uint8), "F32").tolist() == x.tolist()
    assert gguf_blocks.dequantize(x.astype("<f2").view(np.uint8), "F16").tolist() == x.tolist()
    upper = (np.array([[1.5, -2.25]], "<f4").view("<u4") >> 16).astype("<u2")
    assert gguf_blocks.dequantize(upper.view(np.uint8), "BF16").tolist() == [[1.5, -2.25]]


def test_many_blocks_are_read_in_parts(monkeypatch):
    rows = some_blocks("Q4_K", rows=7)
    whole = gguf_blocks.dequantize(rows, "Q4_K")
    monkeypatch.setattr(gguf_blocks, "AT_ONCE", 512)
    np.testing.assert_array_equal(gguf_blocks.dequantize(rows, "Q4_K"), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_the_package_of_llama_cpp_reads_the_same(kind):
    quants = pytest.importorskip("gguf.quants")
    rows = some_blocks(kind, 50)
    with np.errstate(over="ignore", invalid="ignore"):
        theirs = quants.dequantize(rows, quants.GGMLQuantizationType[kind])
        np.testing.assert_array_equal(gguf_blocks.dequantize(rows, kind), theirs)


# --- from floats --------------------------------------------------------------------------------


def some_weights():
    x = np.random.default_rng(1).standard_normal((40, 96)).astype(np.float32)
    x[3] = 0
    x[4, :32] = 0
    x[5] *= 1e-7
    x[6] = np.rint(x[6] * 2) / 2  # halves between codes, and ties for the largest
    return x


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_package_of_llama_cpp_writes_the_same(kind):
    quants = pytest.importorskip("gguf.quants")
    theirs = quants.quantize(some_weights(), quants.GGMLQuantizationType[kind]).view(np.uint8)
    np.testing.assert_array_equal(gguf_blocks.quantize(some_weights(), kind), theirs)


@pytest.mark.parametrize(("kind", "steps"), [("F32", 0), ("F16", 2**-11), ("Q8_0", 0.6 / 127),
                                             ("Q4_0", 1.1 / 8)])
def test_a_weight_comes_back_as_near_as_its_kind_allows(kind, steps):
    x = some_weights()
    back = gguf_blocks.dequantize(gguf_blocks.quantize(x, kind), kind)
    largest = np.abs(x.reshape(40, 3, 32)).max(axis=2, keepdims=True)
    off = np.abs((back - x).reshape(40, 3, 32))
    assert (off <= largest * steps + 127 * 2**-25).all()  # a scale is at best so near in f16


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize("value", [1e10, np.nan, np.inf])
def test_a_weight_that_the_kind_cannot_hold_is_refused(kind, value):
    x = np.zeros((2, 32), np.float32)
    x[1, 3] = value
    with pytest.raises(ValueError, match=f"too large for {kind}"), np.errstate(invalid="ignore"):
        gguf_blocks.quantize(x, kind)


def test_a_kind_that_is_only_read_is_not_written():
    with pytest.raises(ValueError, match="not written"):
        gguf_blocks.quantize(np.zeros((1, 256), np.float32), "Q6_K")
