"""The encoder-decoder's task: trained, asked in both directions, counted."""

import json

from click.testing import CliRunner

from bench.__main__ import main

TINY = ["model.n_layers=1", "model.d_model=16", "data.count=40", "training.steps=3",
        "training.batch_size=4", "training.sample_every=none"]


def test_held_out_numbers_are_asked_for_in_both_directions():
    settings = [word for setting in TINY for word in ("--set", setting)]
    call = ["numbers", "--threads", "1", *settings]
    told = CliRunner().invoke(main, [*call, "--seeds", "2", "--json"], catch_exceptions=False)
    first, second = (json.loads(line) for line in told.output.splitlines()[-2:])
    assert (first["seed"], second["seed"], first["held_out"]) == (0, 1, 4)
    assert first["loss"] != second["loss"]
    assert first["digits"] == first["names"] == 0  # three steps teach nothing
    sources = {source for source, _, _ in first["wrong"]}
    assert any(map(str.isdigit, sources)) and not all(map(str.isdigit, sources))
    shown = CliRunner().invoke(main, call, catch_exceptions=False).output
    assert "seed 0: 4 held-out numbers; as digits 0.00% exact, by name 0.00%" in shown
    assert "(right: " in shown
