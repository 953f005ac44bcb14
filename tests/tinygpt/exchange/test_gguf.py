"""The one reader and writer of GGUF: whole files come back, others are refused in words."""

import struct
import tracemalloc

import numpy as np
import pytest

from tests.tinygpt.exchange import made
from tinygpt.exchange.gguf import looks_like, open_gguf
from tinygpt.exchange.gguf_write import Unsigned, write
from tinygpt.storage.durable import replacing
from tinygpt.storage.reading import FormatError

FLOATS = np.arange(6, dtype="<f4").tobytes()


def opened(tmp_path, content):
    path = tmp_path / "f.gguf"
    path.write_bytes(content)
    return open_gguf(path)


KEYS = {
    "u8": (0, struct.pack("<B", 200), 200), "i8": (1, struct.pack("<b", -3), -3),
    "u16": (2, struct.pack("<H", 60000), 60000), "i16": (3, struct.pack("<h", -300), -300),
    "u32": (4, struct.pack("<I", 1 << 31), 1 << 31), "i32": (5, struct.pack("<i", -9), -9),
    "f32": (6, struct.pack("<f", 0.5), 0.5), "true": (7, b"\1", True), "false": (7, b"\0", False),
    "text": (8, made.text("hä"), "hä"), "u64": (10, struct.pack("<Q", 1 << 40), 1 << 40),
    "i64": (11, struct.pack("<q", -(1 << 40)), -(1 << 40)),
    "f64": (12, struct.pack("<d", 0.1), 0.1),
}


@pytest.mark.parametrize("version", [2, 3])
def test_values_of_every_type_come_back(tmp_path, version):
    keys = [made.key(name, kind, value) for name, (kind, value, _) in KEYS.items()]
    found = opened(tmp_path, made.file(keys, version=version)).keys
    assert found == {name: value for name, (_, _, value) in KEYS.items()}
    assert all(type(found[name]) is type(value) for name, (_, _, value) in KEYS.items())


def test_lists_come_back(tmp_path):
    keys = [
        made.key("words", 9, made.list_of(8, made.text("a"), made.text(""), made.text("ö"))),
        made.key("ids", 9, made.list_of(5, *(struct.pack("<i", i) for i in (3, -1)))),
        made.key("nothing", 9, made.list_of(8)),
    ]
    found = opened(tmp_path, made.file(keys)).keys
    assert found["words"] == ["a", "", "ö"]
    assert found["ids"].tolist() == [3, -1]
    assert found["nothing"] == []


def test_dimensions_stand_fastest_first_in_a_file(tmp_path):
    file = opened(tmp_path, made.file(tensors=[made.tensor("w", 0, 0, 3, 2)], data=FLOATS))
    assert file.tensors["w"].shape == (2, 3)
    np.testing.assert_array_equal(file.read("w"), [[0, 1, 2], [3, 4, 5]])
    assert not file.blocks("w").flags.writeable


def test_tensors_lie_at_multiples_of_the_files_own_alignment(tmp_path):
    keys = [made.key("general.alignment", 4, struct.pack("<I", 64))]
    tensors = [made.tensor("v", 0, 0, 2), made.tensor("w", 0, 64, 6)]
    file = opened(tmp_path, made.file(keys, tensors, bytes(64) + FLOATS, alignment=64))
    assert file.read("w").tolist() == [0, 1, 2, 3, 4, 5]


def test_a_file_cut_anywhere_is_refused(tmp_path):
    keys = [made.key(name, kind, value) for name, (kind, value, _) in KEYS.items()]
    keys.append(made.key("words", 9, made.list_of(8, made.text("a"), made.text("bc"))))
    whole = made.file(keys, [made.tensor("w", 0, 0, 3, 2)], FLOATS)
    for end in range(len(whole)):
        with pytest.raises(FormatError):
            opened(tmp_path, whole[:end])


W = made.tensor("w", 0, 0, 6)
REFUSED = {
    "another format": (b"GGML" + bytes(40), "it is no GGUF file"),
    "version 1": (made.file(version=1), "version 1"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "a billion keys": (made.file(counts=(0, 1 << 30)), "keys, 1,073,741,824 of them"),
    "2^63 tensors": (made.file(counts=(1 << 63, 0)), "tensors, 9,223,372,036,854,775,808"),
    "a text beyond the file": (
        made.file([struct.pack("<Q", 1 << 62) + bytes(40)]), "the name of a key"),
    "a list beyond the file": (
        made.file([made.key("a", 9, struct.pack("<IQ", 8, 1 << 60) + bytes(40))]), "items of"),
    "a list of lists": (made.file([made.key("a", 9, made.list_of(9))]), "type 9"),
    "a type nobody knows": (made.file([made.key("a", 13, bytes(8))]), "type 13"),
    "a bool of 2": (made.file([made.key("a", 7, b"\2")]), "neither true nor false"),
    "a key that is not UTF-8": (made.file([made.key("a", 8, made.text(b"\xff"))]), "not UTF-8"),
    "an item that is not UTF-8": (
        made.file([made.key("a", 9, made.list_of(8, made.text(b"\xff")))]), "item 0 is not UTF-8"),
    "a key twice": (made.file([made.key("a", 7, b"\0")] * 2), "'a' twice"),
    "a tensor twice": (made.file(tensors=[W, W], data=FLOATS), "'w' twice"),
    "alignment of 48": (
        made.file([made.key("general.alignment", 4, struct.pack("<I", 48))]), "no power of two"),
    "alignment as text": (
        made.file([made.key("general.alignment", 8, made.text("x"))]), "no power of two"),
    "no dimensions": (made.file(tensors=[made.tensor("w", 0, 0)], data=FLOATS), "0 dimensions"),
    "five dimensions": (
        made.file(tensors=[made.tensor("w", 0, 0, 1, 1, 1, 1, 1)], data=FLOATS), "5 dimensions"),
    "a dimension of 0": (made.file(tensors=[made.tensor("w", 0, 0, 0)], data=FLOATS), "[0]"),
    "2^80 values": (
        made.file(tensors=[made.tensor("w", 0, 0, 1 << 40, 1 << 40)], data=FLOATS), "no tensor"),
    "a tensor beyond the file": (
        made.file(tensors=[made.tensor("w", 0, 0, 7)], data=FLOATS), "does not lie within"),
    "an offset beyond the file": (
        made.file(tensors=[made.tensor("w", 0, 1 << 40, 1)], data=FLOATS), "does not lie within"),
    "an offset between": (
        made.file(tensors=[made.tensor("w", 0, 4, 1)], data=FLOATS), "not a multiple of 32"),
    "tensors that overlap": (
        made.file(tensors=[W, made.tensor("v", 0, 0, 2)], data=FLOATS), "in the bytes of"),
    "rows of half a block": (
        made.file(tensors=[made.tensor("w", 8, 0, 16, 2)], data=bytes(34)), "rows of 16"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_contradicts_itself_is_refused_in_words_and_nothing_is_built(tmp_path, name):
    content, words = REFUSED[name]
    tracemalloc.start()
    with pytest.raises(FormatError) as error:
        opened(tmp_path, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert words in str(error.value)
    assert peak < 1 << 20  # bytes


@pytest.mark.parametrize(("kind", "name"), [(10, "Q2_K"), (39, "MXFP4"), (99, "type 99")])
def test_a_kind_that_is_not_read_is_listed_and_refused_when_asked_for(tmp_path, kind, name):
    file = opened(tmp_path, made.file(tensors=[made.tensor("w", kind, 0, 256)], data=bytes(84)))
    assert file.tensors["w"].kind == name
    with pytest.raises(FormatError, match=f"has w as {name}, which is not read"):
        file.read("w")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FormatError, match="no regular file"):
        open_gguf(tmp_path)


# --- writing ------------------------------------------------------------------------------------

ARRAYS = {
    "w": ("F32", np.arange(64, dtype=np.float32).reshape(2, 32)),
    "half": ("F16", np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)),
    "v": ("F32", np.arange(3, dtype=np.float32)),
    "eight": ("Q8_0", np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32)),
}
VALUES = {
    "general.architecture": "llama", "yes": True, "count": Unsigned(7), "eps": 1e-5,
    "words": ["a", "b c"], "types": np.array([1, 3], np.int32),
}


def written(path):
    tensors = {
        name: (kind, array.shape, lambda array=array: array)
        for name, (kind, array) in ARRAYS.items()
    }
    with replacing(path) as file:
        write(file, VALUES, tensors)
    return path


def test_what_is_written_comes_back(tmp_path):
    path = written(tmp_path / "f.gguf")
    assert looks_like(path)
    file = open_gguf(path)
    assert file.keys["types"].tolist() == [1, 3]
    assert {**file.keys, "types": None} == {**VALUES, "types": None, "eps": np.float32(1e-5)}
    for name, (kind, array) in ARRAYS.items():
        assert file.tensors[name].kind == kind
        np.testing.assert_allclose(file.read(name), array, atol={"F32": 0}.get(kind, 4e-3))


def test_the_package_of_llama_cpp_reads_the_same(tmp_path):
    gguf = pytest.importorskip("gguf")
    reader = gguf.GGUFReader(written(tmp_path / "f.gguf"))
    assert reader.fields["general.architecture"].contents() == "llama"
    assert reader.fields["words"].contents() == ["a", "b c"]
    assert reader.fields["count"].types == [gguf.GGUFValueType.UINT32]
    for tensor in reader.tensors:
        kind, array = ARRAYS[tensor.name]
        assert tensor.tensor_type.name == kind
        assert tensor.shape.tolist() == list(array.shape[::-1])
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(values.reshape(array.shape), open_gguf(
            tmp_path / "f.gguf").read(tensor.name))


def test_an_array_of_another_shape_than_announced_is_refused(tmp_path):
    with pytest.raises(ValueError, match="announced"), replacing(tmp_path / "f") as file:
        write(file, {}, {"w": ("F32", (2, 3), lambda: np.zeros((3, 2), np.float32))})
    assert not (tmp_path / "f").exists()
