"""Abuse a training the way a laptop does, and check that nothing is lost.

    python -m bench.soak kills --kills 200      SIGKILL at random moments, resume, compare bytes
    python -m bench.soak adapter --kills 50     likewise while LoRA learns beside a base
    python -m bench.soak damage --flips 1000    truncate and flip bits of every checkpoint file
    python -m bench.soak tmpfs                  fill a real disk while a checkpoint is written
    python -m bench.soak memory --steps 20000   resident memory of a long run
    python -m bench.soak trouble                NaN, garbage and a rate ten times too high
    python -m bench.soak draws --runs 30        gradients of examples drawn at random
    python -m bench.soak files --count 10000    damaged and hostile files, read by every command

Everything runs in a temporary folder. Each prints what it did and ends with PASS or FAIL (exit 1).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tinygpt.config import Config, from_dict
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.checkpoint import CheckpointError

WORDS = "the a cat dog sat ran on under mat tree and then it saw an old red hat by night".split()


def tiny_config(text: Path, **training) -> Config:
    """A model with dropout that takes a few milliseconds a step."""
    recipe = {
        "steps": 1500, "batch_size": 4, "lr": 3e-3, "min_lr": 3e-4, "warmup_steps": 20,
        "eval_every": 100, "eval_tokens": 500, "checkpoint_every": 10, "sample_every": None,
    }
    return from_dict(
        {
            "model": {"n_layers": 2, "n_heads": 2, "d_model": 32, "context": 32, "dropout": 0.1},
            "data": {"source": str(text), "split": [0.9, 0.1, 0.0], "by_position": True},
            "training": {**recipe, **training},
        }
    )


def adapter_config(folder: Path, steps: int = 600) -> Config:
    """LoRA with dropout beside a base of one layer, which is made first."""
    recipe = {"batch_size": 2, "eval_every": None, "checkpoint_every": 10, "sample_every": None}
    values = {
        "objective": "finetuning", "data": {"source": "addition", "count": 100},
        "model": {"n_layers": 1, "n_heads": 2, "d_model": 16, "context": 32},
        "training": {**recipe, "steps": 2},
    }
    worker(folder / "base", from_dict(values)).communicate()
    return from_dict({
        **values, "base": str(folder / "base"), "training": {**recipe, "steps": steps},
        "method": {"name": "lora", "rank": 2, "dropout": 0.1},
    })


def write_text(folder: Path, lines: int = 3000) -> Path:
    """A text of seeded sentences from WORDS; returns its file."""
    rng = np.random.default_rng(0)
    path = folder / "text.txt"
    text = [" ".join(rng.choice(WORDS, rng.integers(3, 9))) + ".\n" for _ in range(lines)]
    path.write_text("".join(text), encoding="utf-8")
    return path


# What the killed process runs: the same calls as `tinygpt train --resume`, without the display.
WORKER = """
import json, sys
from pathlib import Path
from tinygpt.config import from_dict
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
path, config = sys.argv[1], from_dict(json.loads(sys.argv[2]))
made = (Path(path) / "config.json").exists()
Trainer(resume(path) if made else begin(config, path)).run()
"""


def worker(path: Path, config: Config) -> subprocess.Popen:
    """Start a training at `path`, or take it up again where one stands."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), json.dumps(config.to_dict())],
        env={**os.environ, "TINYGPT_THREADS": "1"}, stderr=subprocess.PIPE,
    )


def wait_for_steps(process: subprocess.Popen, log: Path, count: int) -> None:
    """Until training has written `count` new lines, or has ended."""
    first = last = None
    while process.poll() is None and (first is None or last - first < count):
        if log.exists():
            last = log.read_bytes().count(b"\n")
            # A resumed process first rewinds the file to its checkpoint: count from the lowest.
            first = last if first is None else min(first, last)
        if count == 0:
            return
        time.sleep(0.003)


def final_files(path: Path) -> dict[str, bytes]:
    """Name -> bytes of the newest good checkpoint, empty without one."""
    newest = checkpoints.newest_good(path / "checkpoints")
    if newest is None:
        return {}
    return {
        name: (newest.path / name).read_bytes()
        for name in ("model.safetensors", "optimizer.safetensors")
    }


def kills(folder: Path, config: Config, count: int, seed: int) -> bool:
    """SIGKILL at random moments until `count` kills are done; the end must be byte-identical."""
    started = time.monotonic()
    worker(folder / "straight", config).communicate()
    whole = time.monotonic() - started
    print(f"undisturbed: {config.training.steps} steps in {whole:.1f} s")
    expected, chance = final_files(folder / "straight"), random.Random(seed)
    done, lives, finished, damaged, drafts, steps = 0, 0, 0, 0, 0, []
    while done < count:
        path = folder / f"killed-{finished}"
        process = worker(path, config)
        lives += 1
        # Up to four checkpoints into this life, at any point of a step; one in ten at start-up.
        wait = chance.randrange(1, 40) if chance.random() < 0.9 else 0
        wait_for_steps(process, path / "metrics.jsonl", wait)
        time.sleep(chance.uniform(0.0, 0.05) if wait else chance.uniform(0.0, 0.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
            newest = checkpoints.listed(path / "checkpoints")
            steps.append(newest[0].step if newest else 0)
            drafts += any((path / "checkpoints").glob("unfinished-*"))
            continue
        errors = process.communicate()[1]
        if process.returncode != 0:
            print(errors.decode()[-2000:])
            return False
        finished += 1
        damaged += final_files(path) != expected
        print(f"  {done:4} kills, {finished} runs finished, {damaged} differ", flush=True)
    process = worker(path := folder / f"killed-{finished}", config)
    process.communicate()
    finished += 1
    damaged += final_files(path) != expected or not expected
    print(f"newest checkpoint at the kills: {sorted(steps)[:: max(1, count // 10)]}")
    print(f"{drafts} kills came while a checkpoint was being written")
    print(
        f"{done} kills, {lives + 1} starts, {finished} runs brought to their end, "
        f"{damaged} of them with other bytes than the undisturbed one"
    )
    return damaged == 0 and process.returncode == 0


def damage(folder: Path, flips: int, seed: int) -> bool:
    """Every 4 KiB truncation and random flipped bits: all found, the one before is used."""
    process = worker(folder / "run", tiny_config(write_text(folder), steps=20))
    process.wait()
    place = folder / "run" / "checkpoints"
    newest, before = checkpoints.listed(place)[:2]
    names = (*checkpoints.FILES, checkpoints.MANIFEST)
    whole = {name: (newest.path / name).read_bytes() for name in names}
    missed = tried = 0

    def found(name: str, content: bytes) -> bool:
        (newest.path / name).write_bytes(content)
        good = checkpoints.newest_good(place)
        try:
            checkpoints.verify(newest)
            named = False
        except CheckpointError as error:
            named = name in str(error)
        (newest.path / name).write_bytes(whole[name])
        return named and good == before

    for name in names:
        sizes = range(0, len(whole[name]), 4096)
        missed += sum(not found(name, whole[name][:size]) for size in sizes)
        tried += len(sizes)
    print(f"{tried} truncations, {missed} missed")
    chance = random.Random(seed)
    missed_flips = 0
    for _ in range(flips):
        name = chance.choice(names)
        bit = chance.randrange(8 * len(whole[name]))
        content = bytearray(whole[name])
        content[bit // 8] ^= 1 << (bit % 8)
        missed_flips += not found(name, bytes(content))
    print(f"{flips} flipped bits over {len(names)} files, {missed_flips} missed")
    return missed == 0 and missed_flips == 0


def tmpfs(folder: Path) -> bool:
    """A real file system of 2 MB that fills up while training saves into it (needs root)."""
    mount = folder / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], check=True)
    try:
        config = tiny_config(write_text(folder), steps=60, eval_every=None)
        process = worker(mount / "run", config.replace("training", steps=30))
        process.wait()
        good = checkpoints.newest_good(mount / "run" / "checkpoints")
        kept = final_files(mount / "run")
        free = os.statvfs(mount).f_bavail * os.statvfs(mount).f_frsize
        (mount / "ballast").write_bytes(b"x" * max(0, free - 60_000))
        outcome = _resume_on_full_disk(mount / "run", steps=60)
        after = checkpoints.newest_good(mount / "run" / "checkpoints")
        print(f"checkpoint before: step {good.step}; after the full disk: step {after.step}")
        print(f"training reached step {outcome.step}, saved: {outcome.saved}")
        intact = outcome.step == 60 and not outcome.saved and final_files(mount / "run") == kept
        (mount / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        return intact and _read_only(mount / "run", kept)
    finally:
        subprocess.run(["umount", "-l", mount], check=True)  # -l: the tokens are still mapped


def _read_only(path: Path, kept: dict[str, bytes]) -> bool:
    """On a folder that has become read-only, resuming says so in a sentence and touches nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "tinygpt", "train", "--out", str(path), "--resume",
         "--set", "training.steps=90"],
        capture_output=True, text=True, check=False,
    )
    print(f"  read-only: exit {done.returncode}, {done.stderr.strip()}")
    clear = done.returncode == 1 and "Traceback" not in done.stderr and "Errno" not in done.stderr
    return clear and final_files(path) == kept


def _resume_on_full_disk(path: Path, steps: int):
    from tinygpt.training.begin import resume
    from tinygpt.training.trainer import Trainer
    from tinygpt.training.watch import Watcher

    class Say(Watcher):
        def event(self, step, kind, text):
            if kind == "warning":
                print(f"  warning: {text}")

    session = resume(path, lambda config: config.replace("training", steps=steps))
    return Trainer(session, [Say()]).run()


def memory(folder: Path, steps: int) -> bool:
    """Resident memory must stay flat after warm-up."""
    config = tiny_config(write_text(folder), steps=steps, checkpoint_every=1000, eval_every=1000)
    process = worker(folder / "run", config)
    process.wait()
    lines = [m for m in metrics_files.read(folder / "run" / "metrics.jsonl") if "loss" in m]
    rss = np.array([m["rss_bytes"] for m in lines]) / 2**20
    for step in (1, 100, 1000, *range(5000, steps + 1, 5000)):
        print(f"  step {step:6}: {rss[step - 1]:.1f} MB")
    growth = rss[-100:].mean() - rss[steps // 10 : steps // 10 + 100].mean()
    print(f"{len(lines)} steps, from step {steps // 10} to the end memory grew by {growth:.2f} MB")
    return len(lines) == steps and growth < 2.0


def trouble(folder: Path) -> bool:
    """NaN gradients, garbage batches and a tenfold rate: the loss ends near the clean run's."""
    from bench.soak_trouble import run_all

    recipe = {"steps": 800, "lr": 1e-2, "min_lr": 1e-3, "checkpoint_every": 50}
    return run_all(folder, tiny_config(write_text(folder), **recipe))


def draws(runs: int, seed: int) -> bool:
    """Each run of tests/ops and tests/minigrad draws from another seed; all pass."""
    from bench.soak_draws import run_all

    return run_all(runs, seed)


def files(count: int, seed: int) -> bool:
    """Each damaged file is refused in words, left out with a warning, or harmless (tests/fuzz)."""
    call = [sys.executable, "-m", "tests.fuzz", "--count", str(count), "--seed", str(seed)]
    return subprocess.run(call, cwd=Path(__file__).parent.parent, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "what",
        choices=("kills", "adapter", "damage", "tmpfs", "memory", "trouble", "draws", "files"),
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        passed = {
            "kills": lambda: kills(
                folder, tiny_config(write_text(folder)), chosen.kills, chosen.seed
            ),
            "adapter": lambda: kills(folder, adapter_config(folder), chosen.kills, chosen.seed),
            "damage": lambda: damage(folder, chosen.flips, chosen.seed),
            "tmpfs": lambda: tmpfs(folder),
            "memory": lambda: memory(folder, chosen.steps),
            "trouble": lambda: trouble(folder),
            "draws": lambda: draws(chosen.runs, chosen.seed),
            "files": lambda: files(chosen.count, chosen.seed),
        }[chosen.what]()
    print("PASS" if passed else "FAIL")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
