"""The best product of two thin matrices: known, and no worse for what is read than without."""

import numpy as np
import pytest
from click.testing import CliRunner

from tests.tinygpt.compression.test_second_order import correlated, inputs_of
from tinygpt.cli import cli
from tinygpt.compression.low_rank import factors, low_rank, rank_of
from tinygpt.compression.second_order import damage
from tinygpt.errors import UserError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def weight(rng):
    return rng.standard_normal((24, 40)).astype(np.float32)


def plain(weight, rank):
    u, s, vt = np.linalg.svd(weight.astype(np.float64), full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ vt[:rank]


def test_of_inputs_alike_it_is_the_plain_svd(weight):
    up, down = factors(weight, 3.0 * np.eye(40), 7)
    assert up.shape == (24, 7) and down.shape == (7, 40)
    assert up @ down == pytest.approx(plain(weight, 7), abs=1e-9)


def test_a_matrix_of_that_rank_comes_back(rng):
    made = (rng.standard_normal((24, 5)) @ rng.standard_normal((5, 40))).astype(np.float32)
    up, down = factors(made, inputs_of(correlated(rng, 40)).second, 5)
    assert up @ down == pytest.approx(made, abs=1e-4)


def test_what_is_read_is_damaged_less_than_without_looking(rng, weight):
    second = inputs_of(correlated(rng, 40)).second
    up, down = factors(weight, second, 6)
    assert damage(up @ down - weight, second) < 0.7 * damage(plain(weight, 6) - weight, second)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_factors_have_a_share_fewer_values(share):
    rank = rank_of((24, 40), share)
    assert rank * 64 <= (1 - share) * 960 < (rank + 1) * 64
    made = low_rank(np.random.default_rng(0).standard_normal((24, 40)), np.eye(40), share)
    assert np.linalg.matrix_rank(made) == rank


def test_a_share_that_leaves_no_rank_is_refused():
    with pytest.raises(UserError, match="no rank at all"):
        rank_of((2, 40), 0.9)


def test_the_command_makes_one(tmp_path, tiny_text):
    shape = ("--set", "model.n_layers=1", "--set", "model.d_model=32", "--set", "model.context=16")
    run = CliRunner().invoke
    run(cli, ["train", "--data", str(tiny_text), "--out", str(tmp_path / "run"), *shape,
              "--set", "training.steps=2", "--set", "training.sample_every=none"])
    made = run(cli, ["compress", str(tmp_path / "run"), "--method", "svd", "--share", "0.5",
                     "--eval-tokens", "200", "--calibration-tokens", "1024"])
    assert made.exit_code == 0 and "perplexity" in made.output
