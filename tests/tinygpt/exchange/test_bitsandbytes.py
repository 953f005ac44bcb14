"""NF4 in the layout of bitsandbytes: to the bit, and by its own code where that is installed."""

import json

import numpy as np
import pytest

from minigrad.nn.quantized import dequantize, quantize
from tests.tinygpt.exchange.models import made, tokenizer_of
from tinygpt.exchange.bitsandbytes import STATE, dynamic_map, quantize_nf4, read_nf4, write_nf4
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.huggingface_folder import open_folder, write_folder
from tinygpt.storage import safetensors
from tinygpt.storage.durable import replacing


def draw(*shape):
    return np.random.default_rng(shape[0]).standard_normal(shape).astype(np.float32)


def test_ours_go_there_and_come_back_the_same():
    packed = quantize(draw(37, 128), "nf4")
    state = write_nf4(packed, "w")
    assert state["w"].shape == (37 * 64, 1) and state["w.absmax"].dtype == np.float32
    back = read_nf4(state, "w")
    np.testing.assert_array_equal(dequantize(back), dequantize(packed))
    np.testing.assert_array_equal(back.codes, packed.codes)


@pytest.mark.parametrize("nested", [False, True])
def test_the_first_code_of_a_byte_is_the_high_one(nested):
    weight = np.zeros((1, 64), np.float32)
    weight[0, :3] = 1, -1, 0.5
    state = quantize_nf4(weight, "w", nested)
    assert state["w"][:2, 0].tolist() == [0xF0, 0xC7]
    assert dequantize(read_nf4(state, "w"))[0, :2].tolist() == [1, -1]


def test_the_error_of_nested_scales_is_small():
    weight = draw(64, 256)
    plain, nested = (dequantize(read_nf4(quantize_nf4(weight, "w", n), "w")) for n in (0, 1))
    off = [np.sqrt(np.mean((found - weight) ** 2)) for found in (plain, nested)]
    assert off[0] < 0.1 and off[1] < 1.02 * off[0]


def test_the_table_of_nested_scales():
    table = dynamic_map()
    assert len(np.unique(table)) == 256 and (table[0], table[127], table[-1]) == (
        np.float32(-0.99296875), 0, 1
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda s: s.pop(f"w.{STATE}"), "no NF4 of bitsandbytes"),
        (lambda s: s.update({"w.absmax": s["w.absmax"][:-1]}), "w.absmax must be"),
        (lambda s: s.update({"w.quant_map": s["w.quant_map"] * 2}), "not NF4's"),
        (lambda s: s.update(said(s, shape=[8, 96])), "rows of 96 values"),
        (lambda s: s.update(said(s, quant_type="fp4")), "quant_type that is 'fp4', not 'nf4'"),
        (lambda s: s.update(said(s, shape=[8, 1 << 40])), "must be"),
    ],
)
def test_a_damaged_state_is_a_sentence(change, what):
    state = quantize_nf4(draw(8, 128), "w")
    change(state)
    with pytest.raises(ExchangeError, match=what):
        read_nf4(state, "w")


def said(state, **changes):
    values = {**json.loads(state[f"w.{STATE}"].tobytes()), **changes}
    return {f"w.{STATE}": np.frombuffer(json.dumps(values).encode(), np.uint8)}


def test_what_their_blocks_cannot_hold_is_refused():
    for packed in (quantize(draw(8, 128), "int4"), quantize(draw(8, 96), "nf4")):
        with pytest.raises(ExchangeError, match="bitsandbytes keeps nf4 in blocks of 64"):
            write_nf4(packed, "w")


def rounded_folder(folder):
    """(a folder whose matrices are theirs, our model of the same values)."""
    changes = {"n_heads": 4, "head_dim": 16, "d_model": 64, "d_ff": 128}
    model = made("llama", **changes)
    write_folder(folder, model, tokenizer_of(model.shape.vocab_size))
    path, arrays = folder / "model.safetensors", {}
    for name, array in safetensors.open_tensors(path).arrays.items():
        rounds = "proj" in name
        arrays |= quantize_nf4(np.array(array), name) if rounds else {name: np.array(array)}
    with replacing(path) as file:
        safetensors.write(file, arrays, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return model, arrays


def test_a_folder_of_four_bits_is_opened(tmp_path):
    _, arrays = rounded_folder(tmp_path)
    model, _ = open_folder(tmp_path)
    down = dequantize(read_nf4(arrays, "model.layers.1.mlp.down_proj.weight"))
    np.testing.assert_array_equal(model.blocks[1].mlp.down.weight.data, down)
    k = dequantize(read_nf4(arrays, "model.layers.0.self_attn.k_proj.weight"))
    np.testing.assert_array_equal(model.blocks[0].attention.qkv.weight.data[64:96], k)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"bnb_4bit_quant_type": "fp4"}, "bnb_4bit_quant_type = 'fp4', which is not one of nf4"),
        ({"quant_method": "gptq", "bits": 4}, "quantization_config"),
    ],
)
def test_other_roundings_are_refused_by_name(change, what, tmp_path):
    rounded_folder(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"] |= change
    path.write_text(json.dumps(config))
    with pytest.raises(ExchangeError, match=what):
        open_folder(tmp_path)


# --- the oracle ---------------------------------------------------------------------------------


@pytest.fixture
def theirs():
    pytest.importorskip("torch", reason="an oracle that is not installed: torch")
    pytest.importorskip("bitsandbytes", reason="an oracle that is not installed: bitsandbytes")
    import bitsandbytes.functional as functional

    return functional


def state_of(functional, weight, nested):
    import torch

    codes, state = functional.quantize_4bit(
        torch.tensor(weight), blocksize=64, compress_statistics=nested, quant_type="nf4"
    )
    arrays = {f"w.{key}": part.numpy() for key, part in state.as_dict(packed=True).items()}
    return codes, state, {"w": codes.numpy(), **arrays}


@pytest.mark.parametrize("nested", [False, True])
def test_their_state_is_read_without_a_difference(theirs, nested):
    codes, state, arrays = state_of(theirs, draw(300, 576), nested)
    right = theirs.dequantize_4bit(codes, state).numpy()
    np.testing.assert_array_equal(dequantize(read_nf4(arrays, "w")), right)


@pytest.mark.parametrize("nested", [False, True])
def test_what_we_write_they_read_without_a_difference(theirs, nested):
    import torch

    packed = quantize(draw(300, 576), "nf4")
    arrays = quantize_nf4(draw(300, 576), "w") if nested else write_nf4(packed, "w")
    parts = {k.removeprefix("w."): torch.tensor(v) for k, v in arrays.items() if k != "w"}
    state = theirs.QuantState.from_dict(parts, device=torch.device("cpu"))
    found = theirs.dequantize_4bit(torch.tensor(arrays["w"]), state).numpy()
    np.testing.assert_array_equal(dequantize(read_nf4(arrays, "w")), found)


def test_our_codes_in_their_mode_are_theirs(theirs):
    weight = draw(1000, 1024)
    _, _, right = state_of(theirs, weight, nested=True)
    found = quantize_nf4(weight, "w")
    _, _, plain = state_of(theirs, weight, nested=False)
    np.testing.assert_array_equal(quantize_nf4(weight, "w", nested=False)["w.absmax"],
                                  plain["w.absmax"])
    assert (found["w"] == right["w"]).mean() >= 0.9999
    tables = found["w.nested_quant_map"], right["w.nested_quant_map"]
    np.testing.assert_allclose(*tables, rtol=3e-7)
    codes = found["w.absmax"].astype(int) - right["w.absmax"]
    assert (codes == 0).mean() >= 0.99 and np.abs(codes).max() <= 1
