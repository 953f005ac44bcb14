"""The measuring tools measure what they say; no test here depends on how fast the machine is."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from bench import timing
from bench.__main__ import COMMANDS, main
from bench.shares import measure
from bench.train import flops_per_step, read_spec
from kernels import ISAS

ROOT = Path(__file__).resolve().parents[2]


def test_every_command_offers_all_instruction_sets():
    commands = [main.get_command(click.Context(main), name) for name in COMMANDS]
    options = [one for command in commands for one in command.params if "--isa" in one.opts]
    assert len(options) >= 7
    for option in options:
        assert set(option.type.choices) - {"auto", "numba"} == set(ISAS)


def test_spread_is_median_and_quartiles():
    assert timing.spread([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 2.0, 4.0, 5)
    assert f"{timing.spread([2.0])}" == "2.00 [2.00 .. 2.00]"


def test_ratio_says_how_many_times_faster_round_by_round():
    times = {"ours": [1.0, 10.0], "peer": [2.0, 20.0]}
    assert timing.ratio(times, "ours", "peer").median == 2.0


def test_interleave_takes_turns():
    calls = []
    functions = {name: (lambda name=name: calls.append(name)) for name in "ab"}
    times = timing.interleave(functions, rounds=3, seconds=0)
    assert [len(times[name]) for name in "ab"] == [3, 3]
    assert "".join(calls[-6:]) == "ababab"


def test_isa_restricts_every_library_in_the_child():
    environment = timing.thread_environment(2, "avx2")
    assert environment["KERNELS_ISA"] == environment["ATEN_CPU_CAPABILITY"] == "avx2"
    assert environment["OMP_NUM_THREADS"] == "2"


def test_help_names_every_command_without_importing_one():
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


def bench(*arguments, folder=ROOT, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KERNELS_")}
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=folder, capture_output=True, text=True,
        env={**kept, "PYTHONPATH": str(folder), **environment}, check=True,
    )


def test_without_the_c_extension_a_benchmark_says_what_auto_chose_and_what_mends_it(tmp_path):
    for package in ("bench", "kernels", "tinygpt"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.so"))
    (line,) = bench("environment", "--help", folder=tmp_path).stderr.splitlines()
    assert '"auto" chose numba' in line and "the C extension was not built" in line
    assert str(tmp_path / "kernels") in line and "`pip install -e .`" in line
    asked = bench("environment", "--help", folder=tmp_path, KERNELS_BACKEND="numba")
    assert asked.stderr == ""


def test_with_the_c_extension_there_is_no_warning():
    pytest.importorskip("kernels.c", reason="the C extension is not built")
    assert bench("environment", "--help").stderr == ""


def test_flops_are_those_the_model_counts():
    from tinygpt.model.gpt import GPT
    from tinygpt.model.shape import ModelShape

    for name in "SMBL":
        spec = read_spec(name, 1)
        shape = {k: spec[k] for k in ("vocab_size", "context", "n_layers", "n_heads", "d_model")}
        tokens = spec["batch_size"] * spec["context"]
        assert flops_per_step(spec) == GPT(ModelShape(**shape), None).flops_per_token() * tokens


def test_sizes_are_those_of_the_design():
    spec = read_spec("B", 1)
    assert (spec["n_layers"], spec["n_heads"], spec["d_model"]) == (6, 8, 256)
    assert (spec["context"], spec["batch_size"], spec["vocab_size"]) == (256, 8, 4096)


def test_train_prints_one_line_of_json_with_the_promised_keys():
    run = subprocess.run(
        [sys.executable, "-m", "bench", "train", "--steps", "1", "--rounds", "1", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    promised = (
        "tokens_per_second", "ms_per_step", "mfu", "sgemm_gflops", "peak_rss_bytes",
        "first_step_seconds", "isa", "threads",
    )
    assert set(promised) <= set(result)
    assert result["parameters"] == 804_096 and result["tokens_per_second"] > 0


def test_torch_peer_is_our_model():
    """Same weights, same batch, same loss: what is compared is the same computation."""
    torch = pytest.importorskip("torch")
    from bench.peers.torch_gpt import GPT as TorchGPT
    from tinygpt.model.gpt import GPT
    from tinygpt.model.shape import ModelShape

    ours = GPT(ModelShape(vocab_size=11, context=8, n_layers=2, n_heads=2, d_model=8),
               np.random.default_rng(0))
    theirs = TorchGPT(11, 8, 2, 2, 8)
    assert sum(p.numel() for p in theirs.parameters()) == ours.count_parameters()
    names = {"attention.qkv": "qkv", "attention.proj": "projection", "mlp.up": "up",
             "mlp.down": "down"}
    state = {}
    for name, array in ours.state_dict().items():
        for a, b in names.items():
            name = name.replace(a, b)
        state[name] = torch.from_numpy(np.array(array))
    theirs.load_state_dict(state)
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 11, (2, 3, 8))
    expected = theirs(torch.from_numpy(x), torch.from_numpy(y)).item()
    assert ours.loss(x, y).item() == pytest.approx(expected, rel=1e-5)


def test_an_encoder_is_asked_for_the_tokens_that_it_reads():
    from bench.train import read_spec
    from bench.worker import make_batches

    for ids, targets in make_batches(read_spec("S", 1, "bert"), count=2):
        asked = targets != -1
        assert abs(asked.mean() - 0.15) < 0.005
        assert (targets[asked] == ids[asked]).all()


def test_the_shares_of_a_step_are_those_of_its_phases():
    done = CliRunner().invoke(main, ["shares", "--config", "S", "--rounds", "1", "--steps", "1",
                                     "--optimizer", "muon", "--threads", "1"])
    assert done.exit_code == 0, done.output
    line = done.output.splitlines()[-1]
    shares = [float(word) for word in re.findall(r"([\d.]+) \[", line)]
    assert line.startswith("S muon") and len(shares) == 5
    assert sum(shares) == pytest.approx(100, abs=0.3)


def test_turns_are_taken_in_order_and_the_first_does_not_count():
    calls = []
    turns = {name: lambda steps, name=name: calls.append(name) or len(calls) for name in "ab"}
    assert measure(turns, rounds=2, steps=1) == {"a": [3, 5], "b": [4, 6]}
    assert calls == list("ababab")
