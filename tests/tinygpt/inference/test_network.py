"""Every model of the house decodes in one call; what a student has changed by its own forward."""

import numpy as np
import pytest

from minigrad import nn, no_grad
from tests.tinygpt.model.test_families import IDS, SHAPES, model_of, shape_of
from tinygpt.compression.quantize import quantize_model
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.network import network_of
from tinygpt.model.block import Block
from tinygpt.model.positions import Positions


@pytest.mark.parametrize("name", SHAPES)
def test_every_switch_is_known_to_the_kernel(name):
    assert network_of(model_of(name)) is not None


@pytest.mark.parametrize("name", ["llama", "qwen3", "mpt", "positions=relative", "bias=all"])
def test_a_quantized_model_of_every_family_decodes_as_its_forward(name):
    model = model_of(name).eval()
    quantize_model(model, "nf4")
    with no_grad():
        whole = model(IDS).data
    decoder = Decoder(model, batch=2)
    assert decoder._network is not None
    found = [decoder.feed(IDS[:, :9])] + [decoder.step(IDS[:, t]) for t in range(9, 24)]
    np.testing.assert_allclose(np.stack(found, axis=1), whole[:, 8:], atol=1e-4, rtol=1e-4)


class OtherBlock(Block):
    """What a student might write: the same parts, used in another way."""

    def forward(self, branch, stream, cache=None, sight=nn.EVERYTHING):
        branch, stream = super().forward(branch, stream, cache, sight)
        return branch * 2, stream


class Backwards(Positions):
    """A slope that prefers what is far away."""

    def bias(self, distances):
        found = super().bias(distances)
        return None if found is None else -found


def other_norm(model):
    model.blocks[0].norm1.eps = 0.5


def other_block(model):
    model.blocks[1].__class__ = OtherBlock


def other_activation(model):
    down = model.blocks[0].mlp.down
    down.activation = {"gelu": "relu", "swiglu": "geglu"}[down.activation]


def other_positions(model):
    model.positions.__class__ = Backwards


@pytest.mark.parametrize("name", ["mpt", "qwen3"])
@pytest.mark.parametrize(
    "change", [other_norm, other_block, other_activation, other_positions]
)
def test_a_changed_model_decodes_by_its_own_forward(name, change):
    model = model_of(name).eval()
    change(model)
    assert network_of(model) is None
    with no_grad():
        whole = model(IDS).data
    decoder = Decoder(model, batch=2)
    found = [decoder.feed(IDS[:, :9])] + [decoder.step(IDS[:, t]) for t in range(9, 24)]
    np.testing.assert_allclose(np.stack(found, axis=1), whole[:, 8:], atol=1e-4, rtol=1e-4)


def test_a_norm_of_another_kind_is_not_taken_for_the_shapes():
    model = model_of("mpt")
    model.blocks[0].norm2 = nn.RMSNorm(32)
    assert network_of(model) is None


def test_a_table_of_sines_is_made_for_those_who_read_it():
    kinds = {"positions=sinusoidal": True, "positions=rope": False, "bias=all": False}
    assert {
        name: model_of(shape_of(name)).positions.sinusoids is not None for name in kinds
    } == kinds
