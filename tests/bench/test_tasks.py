"""Tasks learned from conversations: trained, asked, counted; and with the end masked."""

import json

import pytest
from click.testing import CliRunner

from bench.__main__ import main

TINY = ["model.n_layers=1", "model.d_model=16", "data.count=40", "training.steps=3",
        "training.batch_size=4", "training.sample_every=none", "data.held_out=0.1"]


@pytest.mark.parametrize("masked", [[], ["--masked-end"]])
def test_held_out_questions_are_asked(masked):
    settings = [word for setting in TINY for word in ("--set", setting)]
    call = ["tasks", "addition", "--threads", "1", *settings, *masked]
    told = CliRunner().invoke(main, [*call, "--seeds", "2", "--json"], catch_exceptions=False)
    first, second = (json.loads(line) for line in told.output.splitlines()[-2:])
    assert (first["seed"], second["seed"], first["asked"]) == (0, 1, 4)
    assert first["loss"] != second["loss"] and first["right"] == 0 and first["wrong"]
    shown = CliRunner().invoke(main, call, catch_exceptions=False).output
    assert "addition, seed 0: 4 held-out questions, 0.0% right" in shown
    assert ("end not learned" in shown) == bool(masked)
