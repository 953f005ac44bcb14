"""adamw8bit: what the coding promises, and every fast version against the reference."""

import numpy as np
import pytest
from judge import floats, worst

import kernels
from kernels import numpy_ref
from kernels.numpy_ref import adamw8bit as reference

SETTINGS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}
NAMES = ("param", "m", "m_scale", "v", "v_scale")


def state(*shape, dtype=np.float32):
    size = int(np.prod(shape))
    blocks = -(-size // reference.BLOCK)
    return {
        "param": floats(0, *shape).astype(dtype),
        "m": np.zeros(size, np.int8), "m_scale": np.zeros(blocks, dtype),
        "v": np.zeros(size, np.uint8), "v_scale": np.zeros(blocks, dtype),
    }


def steps(module, arrays, count, spread=2.0):
    """Apply `count` steps with gradients of very different sizes; returns arrays."""
    shape = arrays["param"].shape
    size_of = np.exp(spread * floats(99, *shape))
    for step in range(1, count + 1):
        grad = (floats(step, *shape) * size_of).astype(arrays["param"].dtype)
        module.adamw8bit_update(grad=grad, **arrays, **SETTINGS, step=step, grad_scale=0.5)
    return arrays


def in_blocks(values):
    return np.ascontiguousarray(values, np.float32).reshape(1, -1)


@pytest.mark.parametrize("name", ["signed", "positive"])
def test_the_mean_over_steps_of_what_is_kept_is_the_value(name):
    values = floats(1, 8, 256) * np.exp(floats(2, 8, 256))
    values = values if name == "signed" else values**2
    encode = getattr(reference, f"encode_{name}")
    decode = getattr(reference, f"decode_{name}")
    kept = [decode(*encode(values, reference.dither(8, step))) for step in range(400)]
    error = np.abs(np.mean(kept, axis=0) - values) / np.abs(values)
    assert np.median(error) < 0.005


def test_the_dither_is_spread_evenly():
    noise = np.sort(reference.dither(4, 7).reshape(-1))
    assert noise[0] >= 0 and noise[-1] < 1
    assert np.diff(noise).max() < 3 / 1024


@pytest.mark.parametrize("noise", [0.0, 0.5, 1 - 2.0**-24])
def test_a_whole_level_keeps_its_code(noise):
    m = in_blocks((np.arange(128) / 127) ** 2)
    v = in_blocks((np.arange(256) / 255) ** 4)
    codes, _ = reference.encode_signed(-m, np.full_like(m, noise))
    assert np.abs(codes[0] + np.arange(128)).max() <= (1 if noise in (0, 1 - 2.0**-24) else 0)
    codes, _ = reference.encode_positive(v, np.full_like(v, noise))
    assert np.abs(codes[0].astype(int) - np.arange(256)).max() <= (0 if noise == 0.5 else 1)


def test_a_second_moment_above_zero_never_becomes_zero():
    codes, scale = reference.encode_positive(in_blocks([1.0] + [1e-30] * 9), np.float32(0.9))
    assert (codes >= 1).all()
    assert (reference.decode_positive(codes, scale) > 0).all()


def test_the_reference_follows_adamw_within_the_coding():
    """With both moments read from codes, one step is adamw's on the decoded moments."""
    coded = steps(numpy_ref, state(1000, dtype=np.float64), 3)
    blocks = {name: reference._blocks(coded[name]) for name in ("m", "v")}
    m = reference.decode_signed(blocks["m"], coded["m_scale"]).reshape(-1)[:1000]
    v = reference.decode_positive(blocks["v"], coded["v_scale"]).reshape(-1)[:1000]
    plain, grad = coded["param"].copy(), floats(4, 1000).astype(np.float64)
    numpy_ref.adamw_update([plain], [grad], [m], [v], **SETTINGS, step=4)
    numpy_ref.adamw8bit_update(grad=grad, **coded, **SETTINGS, step=4)
    np.testing.assert_allclose(coded["param"], plain, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 7, 255, 256, 257, 4099, 100_003])
def test_one_step_agrees(fast, size):
    ours, theirs = steps(fast, state(size), 1), steps(numpy_ref, state(size), 1)
    assert worst(ours["param"], theirs["param"]) < 3e-7
    for name in ("m_scale", "v_scale"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    for name in ("m", "v"):  # where the dither meets the chance, a last bit decides
        apart = np.abs(ours[name].astype(int) - theirs[name])
        assert apart.max() <= 1 and np.count_nonzero(apart) <= 1e-4 * size


@pytest.mark.parametrize("size", [257, 100_003])
def test_without_fused_products_the_bytes_are_the_references(isa, size):
    import platform

    from kernels import c

    if isa != "generic" or platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("only the plain x86-64 build rounds every product")
    ours, theirs = steps(c, state(size), 5), steps(numpy_ref, state(size), 5)
    for name in NAMES:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_hundred_steps_stay_together(fast):
    ours, theirs = steps(fast, state(37, 41), 100), steps(numpy_ref, state(37, 41), 100)
    # A code that differs by one differs until the dither forgets it: some lr / 127 a step.
    assert np.abs(ours["param"] - theirs["param"]).max() < 5 * SETTINGS["lr"]
    assert np.abs(ours["param"] - theirs["param"]).mean() < 0.02 * SETTINGS["lr"]


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-21, 1e15])
def test_gradients_of_any_size_give_finite_numbers(fast, scale):
    arrays = state(300)
    for step in (1, 2):
        grad = floats(step, 300, scale=scale)
        fast.adamw8bit_update(grad=grad, **arrays, **SETTINGS, step=step)
    assert all(np.isfinite(arrays[name]).all() for name in ("param", "m_scale", "v_scale"))
    if scale == 0:
        assert not any(arrays[name].any() for name in NAMES[1:])


def test_the_bytes_do_not_depend_on_the_number_of_threads(fast):
    before = kernels.get_num_threads()
    results = []
    for threads in (1, 2):
        kernels.set_num_threads(threads)
        results.append(steps(fast, state(300_007), 2))
    kernels.set_num_threads(before)
    for name in NAMES:
        np.testing.assert_array_equal(results[0][name], results[1][name])


@pytest.mark.parametrize("name", ["m", "v", "m_scale", "v_scale"])
def test_a_state_of_another_size_is_refused(fast, name):
    arrays = state(600)
    arrays[name] = arrays[name][:-1]
    with pytest.raises(ValueError, match=name):
        fast.adamw8bit_update(grad=floats(0, 600), **arrays, **SETTINGS, step=1)


def test_codes_of_another_dtype_are_refused(fast):
    arrays = state(600)
    arrays["v"] = arrays["v"].astype(np.int8)
    with pytest.raises(TypeError, match="uint8"):
        fast.adamw8bit_update(grad=floats(0, 600), **arrays, **SETTINGS, step=1)
