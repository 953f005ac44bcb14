"""The one reader and writer of safetensors: whole files come back, others are refused in words."""

import json

import numpy as np
import pytest
from safetensors import safe_open

from tinygpt.storage import safetensors
from tinygpt.storage.durable import DurableFile, replacing

ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "t": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "half": np.array([0x3F80, 0xBF80], np.uint16),
    "n": np.array(7),
    "empty": np.zeros((0, 3), np.int8),
}


def written(path, alignment=8):
    with DurableFile(path) as file:
        safetensors.write(file, ARRAYS, {"a": "b"}, bfloat16={"half"}, alignment=alignment)
    return path


def with_header(path, header, data=b"\0" * 8):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_arrays_and_texts_come_back(tmp_path):
    opened = safetensors.open_tensors(written(tmp_path / "f"))
    assert opened.metadata == {"a": "b"}
    assert opened.entries["half"]["dtype"] == "BF16"
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(opened.arrays[name], array)
        assert not opened.arrays[name].flags.writeable


def test_the_library_reads_the_same(tmp_path):
    with safe_open(written(tmp_path / "f"), framework="numpy") as file:
        assert file.metadata() == {"a": "b"}
        for name in ("w", "t", "n", "empty"):
            np.testing.assert_array_equal(file.get_tensor(name), ARRAYS[name])


def test_the_lowest_byte_comes_first_whatever_the_array_has(tmp_path):
    for name, order in (("little", "<"), ("big", ">")):
        with DurableFile(tmp_path / name) as file:
            safetensors.write(file, {"w": ARRAYS["w"].astype(f"{order}f4"), "n": ARRAYS["n"]})
    assert (tmp_path / "little").read_bytes() == (tmp_path / "big").read_bytes()
    read = safetensors.open_tensors(tmp_path / "big").arrays["w"]
    np.testing.assert_array_equal(read, ARRAYS["w"])
    assert read.dtype.isnative


def test_the_first_array_is_aligned(tmp_path):
    whole = written(tmp_path / "f", alignment=64).read_bytes()
    assert (8 + int.from_bytes(whole[:8], "little")) % 64 == 0


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}, "does not fill"),
        ({"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]}, "a whole number"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}, "a whole number"),
        ({"dtype": "F9", "shape": [2], "data_offsets": [0, 8]}, "F9"),
        ({"dtype": "F32", "shape": [2]}, "data_offsets"),
        ("text", "cannot be read"),
        ({"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 1 << 62]}, "bytes of"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, entry, words):
    with pytest.raises(safetensors.FormatError, match=words):
        safetensors.open_tensors(with_header(tmp_path / "f", {"x": entry}))


def test_arrays_that_overlap_or_leave_a_gap_are_refused(tmp_path):
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    for begin in (4, 9):
        other = {"dtype": "U8", "shape": [4], "data_offsets": [begin, begin + 4]}
        path = with_header(tmp_path / "f", {"x": one, "y": other}, b"\0" * (begin + 4))
        with pytest.raises(safetensors.FormatError, match="'y' at byte"):
            safetensors.open_tensors(path)


def test_sizes_beyond_numpys_are_refused(tmp_path):
    for shape in ([0, 1 << 62, 4], [1] * 70):
        size = 4 * int(np.prod(shape, dtype=object))
        entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}
        with pytest.raises(safetensors.FormatError, match="shape"):
            safetensors.open_tensors(with_header(tmp_path / "f", {"x": entry}, b"\0" * size))


def test_every_truncation_is_refused(tmp_path):
    whole = written(tmp_path / "f").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "f").write_bytes(whole[:size])
        with pytest.raises(safetensors.FormatError):
            safetensors.open_tensors(tmp_path / "f")


def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), replacing(path) as file:
        file.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
