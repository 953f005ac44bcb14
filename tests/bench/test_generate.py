"""bench generate: every shape that it offers is a decoder, of which it knows what a step reads."""

import pytest

from bench.generate import KINDS
from bench.peers.writers import Ours

TINY = {"vocab_size": 31, "context": 40, "n_layers": 2, "n_heads": 2, "d_model": 32}


@pytest.mark.parametrize("kind", KINDS)
def test_every_shape_writes_and_says_how_much_a_step_reads(kind):
    writer = Ours({**TINY, "dtype": "fp32", "threads": 1, "settings": KINDS[kind]})
    assert writer.decode(2) > 0
    blocks = sum(p.data.nbytes for block in writer.model.layers() for p in block.parameters())
    assert writer.weight_bytes() == blocks + 31 * 32 * 4
