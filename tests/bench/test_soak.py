"""A killed training ends in the bytes of one that was left alone: a few kills of many."""

import sys

import pytest

from bench.soak import adapter_config, kills


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a signal of POSIX")
def test_an_adapter_killed_twice_ends_in_the_same_bytes(tmp_path, capsys):
    assert kills(tmp_path, adapter_config(tmp_path, steps=60), 2, seed=0)
    assert "2 kills" in capsys.readouterr().out
