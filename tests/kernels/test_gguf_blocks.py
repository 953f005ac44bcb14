"""GGUF's blocks in panels: the weights that the bytes stand for, to the bit."""

import struct
import tracemalloc

import numpy as np
import pytest

from kernels import gguf_blocks, packing

FORMS = {"q4_0": ("<e16s", "q4_1"), "q4_1": ("<ee16s", "q4_1"), "q8_0": ("<e32b", "q8_0")}


def blocks(kind, n, groups, seed=0):
    """Rows of random blocks; their scales are of both signs and of every size."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (n, groups, gguf_blocks.BLOCK_BYTES[kind]), dtype=np.uint8)
    scales = rng.standard_normal((n, groups, gguf_blocks.NUMBERS[kind])).astype(np.float16)
    # The least, a denormal, the most of q4_0.
    special = np.array([0, 6e-8, -6e-5, 8188], np.float16)
    scales.reshape(-1)[: len(special)] = special[: scales.size]
    rows[:, :, : 2 * scales.shape[2]] = scales.view(np.uint8)
    return rows.reshape(n, -1)


def block_weights(kind, block):
    """The 32 weights of a block, one by one."""
    parts = [np.float32(part) if isinstance(part, float) else part
             for part in struct.unpack(FORMS[kind][0], block)]
    if kind == "q8_0":
        return [parts[0] * np.float32(code) for code in parts[1:]]
    codes = [byte & 15 for byte in parts[-1]] + [byte >> 4 for byte in parts[-1]]
    if kind == "q4_0":
        return [parts[0] * np.float32(code - 8) for code in codes]
    return [parts[0] * np.float32(code) + parts[1] for code in codes]


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize(("n", "groups"), [(1, 1), (16, 2), (37, 3)])
def test_packing_keeps_every_weight_to_the_bit(kind, n, groups):
    rows = blocks(kind, n, groups, n)
    size = gguf_blocks.BLOCK_BYTES[kind]
    expected = [[weight for at in range(0, len(row), size)
                 for weight in block_weights(kind, row[at : at + size].tobytes())] for row in rows]
    packed = getattr(gguf_blocks, f"pack_{kind}")(rows)
    assert (packed.scheme, packed.shape) == (FORMS[kind][1], (n, 32 * groups))
    np.testing.assert_array_equal(packing.dequantize(packed), np.array(expected, np.float32))
    some = np.array([[n - 1], [0]])
    np.testing.assert_array_equal(packing.dequantize(packed, some), np.array(expected)[some])


@pytest.mark.parametrize("kind", FORMS)
def test_packed_blocks_take_no_more_room_than_the_file(kind):
    rows = blocks(kind, 32, 2)
    packed = getattr(gguf_blocks, f"pack_{kind}")(rows)
    assert packed.nbytes == 32 * 2 * (34 if kind == "q8_0" else 20)


@pytest.mark.parametrize("kind", FORMS)
def test_rows_may_lie_in_a_read_only_mapping_at_any_address(kind):
    rows = blocks(kind, 5, 2)
    raw = np.frombuffer(b"x" + rows.tobytes(), np.uint8)[1:].reshape(rows.shape)
    pack = getattr(gguf_blocks, f"pack_{kind}")
    np.testing.assert_array_equal(pack(raw).codes, pack(rows).codes)
    np.testing.assert_array_equal(pack(raw).scale, pack(rows).scale)


@pytest.mark.parametrize("kind", FORMS)
def test_rows_taken_some_at_a_time_are_laid_as_all_at_once(kind, monkeypatch):
    rows = blocks(kind, 53, 3)
    pack = getattr(gguf_blocks, f"pack_{kind}")
    whole = pack(rows)
    monkeypatch.setattr(gguf_blocks, "AT_ONCE", 1)
    np.testing.assert_array_equal(pack(rows).codes, whole.codes)
    np.testing.assert_array_equal(pack(rows).scale, whole.scale)


@pytest.mark.parametrize("kind", FORMS)
def test_packing_takes_the_memory_of_what_it_gives_and_little_more(kind):
    rows = blocks(kind, 1000, 200)  # 3.6 to 6.8 MB
    tracemalloc.start()
    packed = getattr(gguf_blocks, f"pack_{kind}")(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < packed.nbytes + 8 * gguf_blocks.AT_ONCE


@pytest.mark.parametrize("kind", FORMS)
def test_no_rows_and_no_blocks(kind):
    pack, size = getattr(gguf_blocks, f"pack_{kind}"), gguf_blocks.BLOCK_BYTES[kind]
    assert pack(np.zeros((0, size), np.uint8)).shape == (0, 32)
    assert pack(np.zeros((3, 0), np.uint8)).shape == (3, 0)


@pytest.mark.parametrize("kind", FORMS)
def test_rows_of_another_form_and_numbers_that_are_not_finite_are_errors(kind):
    pack, rows = getattr(gguf_blocks, f"pack_{kind}"), blocks(kind, 3, 2)
    for wrong in (rows[:, :-1], rows.view(np.int8), rows[0]):
        with pytest.raises(ValueError, match=f"{kind}: rows must be"):
            pack(wrong)
    bad = [0x7C00, 0x7E00, 0xFC00] + [0x7000] * (kind == "q4_0")  # inf, nan, -inf; 8192
    for bits in bad:
        rows[1, : 2 * gguf_blocks.NUMBERS[kind]].view(np.uint16)[-1] = bits
        with pytest.raises(ValueError, match="not finite"):
            pack(rows)
