"""Every algorithm on every task whose answer is known, one table.

    python -m bench align                              the bandit: a minute
    python -m bench align --addition BASE              and sums, from a model that can half add
    python -m bench align --addition BASE --kills 20   killed in rollouts and updates, same bytes
    python -m bench align --rollouts                   answers a second, beside PyTorch's generate

BASE is made where it is not there: `tinygpt train addition`, stopped after 168 of 1,500 steps, when
it answers 56 of 100 sums rightly.

Controls run beside every claim: a random reward must leave a policy where it is, an inverted one
must spoil it. What holds it there is the leash as a loss (k2 of ../tinygpt/alignment/kl.py), which
pulls the harder the further a policy has walked; so a rate does no harm by which a policy without
one is carried away.

Read next: ../tinygpt/alignment/bandit.py, align_rewards.py.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import timing

ALGORITHMS = ("reinforce", "rloo", "ppo", "grpo", "dr_grpo", "dapo")
STOPPED = 168  # step of the supervised training
LEASHED = {"reinforce": 0.15, "rloo": 0.15, "dr_grpo": 0.15}  # others divide rewards by a deviation
CONTROLS = {"right": "exact", "random": "random", "inverted": "-1*exact"}
WORKER = """
import sys
from tinygpt.training.begin import resume
from tinygpt.training.trainer import Trainer
session = resume(sys.argv[1])
print(session.state.step, flush=True)
Trainer(session).run()
"""


def on_the_bandit(name: str) -> tuple[float, float]:
    """Total variation from the known optimum: with exact gradients, and from samples."""
    from tinygpt.alignment.bandit import Bandit, by_pairs, by_policy_gradient
    from tinygpt.alignment.policy import PolicyConfig

    bandit, rng = Bandit.draw(np.random.default_rng(0)), np.random.default_rng(1)
    if name == "dpo":
        exact, sampled = by_pairs(bandit, bandit.choices()), by_pairs(bandit, bandit.choices(rng))
    else:
        policy = PolicyConfig(name, group=32)  # type: ignore[arg-type]
        exact, sampled = (by_policy_gradient(bandit, policy, of) for of in (None, rng))
    return bandit.distance(exact), bandit.distance(sampled)


def half_taught(folder: Path) -> None:
    """Train a model that can half add, where none is."""
    from tinygpt.config import load_config
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    if folder.exists():
        return
    session = begin(load_config("addition", ["training.eval_every=none"]), folder)
    Trainer(session, stops=[lambda: "enough" if session.state.step >= STOPPED else None]).run()


def on_addition(
    base: str, algorithm: str, reward: str, folder: Path, settings: dict[str, Any]
) -> tuple[float, float, float]:
    """(share of held-out sums right before, after, seconds of CPU)."""
    from tinygpt.config import from_dict
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    config = from_dict({
        "objective": "reinforcement", "base": base, "data": {"source": "addition"},
        "policy": {"algorithm": algorithm, "rewards": [reward], "prompts": 128, "group": 4,
                   "draws": 4, "beta": LEASHED.get(algorithm, 0.3), "leash": "k2"},
        "training": {"batch_size": 128, "steps": 400, "optimizer": "muon", "lr": 2e-3,
                     "min_lr": 2e-5, "eval_every": None, "sample_every": None,
                     "checkpoint_every": 100, **settings},
    })
    session = begin(config, folder)
    objective: Any = session.objective
    before = objective.score(session.model)
    began = time.process_time()
    Trainer(session).run()
    seconds = time.process_time() - began
    after = objective.score(session.model)
    return before.right / before.asked, after.right / after.asked, seconds


def killed(base: str, times: int) -> tuple[int, bool]:
    """(kills, whether the bytes are those of an undisturbed run)."""
    from tinygpt.config import from_dict
    from tinygpt.training.begin import begin, resume
    from tinygpt.training.trainer import Trainer

    config = from_dict({
        "objective": "reinforcement", "base": base,
        "data": {"source": "addition", "count": 1000},  # read again after every kill
        "policy": {"algorithm": "ppo", "prompts": 4, "group": 4, "draws": 2, "epochs": 2},
        "training": {"steps": 20 * times, "batch_size": 4, "checkpoint_every": 5,
                     "eval_every": None, "sample_every": None},
    })
    with tempfile.TemporaryDirectory() as place:
        whole, other = Path(place) / "whole", Path(place) / "killed"
        Trainer(begin(config, whole)).run()
        Trainer(begin(config, other), stops=[lambda: "a stop"]).run()
        rng, done = np.random.default_rng(0), 0
        while done < times:
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(other)], stdout=subprocess.PIPE
            )
            assert worker.stdout is not None
            worker.stdout.readline()
            time.sleep(float(rng.uniform(0.02, 0.6)))
            worker.send_signal(signal.SIGKILL)
            done += worker.wait() != 0
            worker.stdout.close()
        Trainer(resume(other)).run()
        return done, _bytes(whole) == _bytes(other)


def _bytes(run: Path) -> list[bytes]:
    from tinygpt.runs import checkpoint

    newest = checkpoint.newest_good(run / "checkpoints")
    assert newest is not None
    return [(newest.path / f"{name}.safetensors").read_bytes() for name in ("model", "optimizer")]


def rollouts(config: str, answers: int, tokens: int, rounds: int) -> tuple[timing.Spread, str]:
    """Ratio of seconds, PyTorch's to ours, for as many answers of as many tokens; and what ran.

    transformers' generate where it is installed, with its cache, sampling and a batch of all
    answers; the same shape and random weights.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from tinygpt.alignment.rollouts import draw_answers
    from tinygpt.config import load_config
    from tinygpt.model import build

    shape = load_config(config).with_vocabulary(4096).model
    model = build(shape, np.random.default_rng(0)).eval()
    torch.set_num_threads(2)
    peer = GPT2LMHeadModel(GPT2Config(
        vocab_size=shape.vocab_size, n_positions=shape.context, n_embd=shape.d_model,
        n_layer=shape.n_layers, n_head=shape.n_heads,
    )).eval()
    prompt = np.random.default_rng(1).integers(0, 4096, 16)
    ids = torch.from_numpy(np.tile(prompt, (answers, 1)))

    def ours() -> None:
        draw_answers(model, [prompt], answers, {shape.vocab_size}, tokens, 1.0,
                     np.random.default_rng(0))

    def theirs() -> None:
        with torch.inference_mode():
            peer.generate(ids, do_sample=True, top_k=0, max_new_tokens=tokens,
                          min_new_tokens=tokens, pad_token_id=0)

    ratios = []
    for turn in range(rounds + 1):
        seconds = []
        for run in (theirs, ours):
            time.sleep(timing.REST)
            began = timing.clock()
            run()
            seconds.append(timing.clock() - began)
        if turn:  # the first is a warm-up
            ratios.append(seconds[0] / seconds[1])
    return timing.spread(ratios), f"torch {torch.__version__}"


@click.command()
@click.option("--addition", metavar="BASE", help="Sums as well, from this model.")
@click.option("--algorithm", "names", multiple=True, type=click.Choice(ALGORITHMS),
              help="Only these; repeatable.")
@click.option("--control", "controls", multiple=True, type=click.Choice(list(CONTROLS)),
              default=tuple(CONTROLS), help="Only these rewards; repeatable.")
@click.option("--set", "settings", multiple=True, help="training.KEY=VALUE for the sums.")
@click.option("--kills", type=int, help="Kill a training on sums so often; needs --addition.")
@click.option("--rollouts", "timed", is_flag=True, help="Time rollouts of B beside PyTorch's.")
@click.option("--rounds", default=5, show_default=True)
def command(addition, names, controls, settings, kills, timed, rounds):
    """Every algorithm on every task whose answer is known."""
    click.echo(timing.headline())
    if addition is not None:
        half_taught(Path(addition))
    if timed:
        ratio, peer = rollouts("B", 64, 64, rounds)
        click.echo(f"64 answers of 64 tokens, B: {ratio} times as fast as {peer}'s generate")
        return
    if kills:
        done, same = killed(addition, kills)
        click.echo(f"killed {done} times: {'identical bytes' if same else 'OTHER BYTES'}")
        return
    changed = dict(one.removeprefix("training.").split("=") for one in settings)
    click.echo("algorithm   bandit: exact, sampled    sums right: before -> after")
    for name in ("dpo", *(names or ALGORITHMS)):
        exact, sampled = on_the_bandit(name)
        click.echo(f"{name:11} {exact:13.4f} {sampled:8.4f}")
        if addition is None or name == "dpo":
            continue
        for control in controls:
            with tempfile.TemporaryDirectory() as folder:
                before, after, seconds = on_addition(
                    addition, name, CONTROLS[control], Path(folder) / "run", changed
                )
            click.echo(f"{'':34} {control:9} {before:.1%} -> {after:.1%} in {seconds:.0f} s "
                       "of CPU")


if __name__ == "__main__":
    command()
