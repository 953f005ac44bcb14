"""What `tinygpt plan` says against what a training then takes.

    python -m bench.plan [S M B L] [--data FILE] [--steps 12]
    python -m bench.plan L --limit-mb 450        under a real memory limit (cgroup v1, root)

For each configuration: the plan (with its trial), then a real training of a few steps in a process
of its own, whose peak resident memory and seconds per step are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tinygpt.runs import metrics as metrics_files

PLAN = """
import json, sys, tempfile
from pathlib import Path
from tinygpt.config import from_dict
from tinygpt.planning import plan as plans
from tinygpt.planning.probe import warm_runtime
from tinygpt.pretraining.objective import Pretraining
config, fit = from_dict(json.loads(sys.argv[1])), sys.argv[2] == "fit"
with tempfile.TemporaryDirectory() as folder:
    training = Pretraining.prepare(config, Path(folder), None)
runtime = warm_runtime()
counted = plans.make_plan(training, runtime, trial=False)
made = plans.fit(training, runtime) if fit else plans.make_plan(training, runtime)
recipe = made.config.training
print(json.dumps({"total": made.memory.total, "counted": counted.memory.total,
                  "step": made.step_seconds, "others": made.others,
                  "settings": [recipe.batch_size, recipe.accumulation, recipe.recompute,
                               recipe.sum_order]}))
"""

TRAIN = """
import json, sys
from tinygpt.config import from_dict
from tinygpt.training.begin import begin
from tinygpt.machine.memory import peak_bytes
from tinygpt.training.trainer import Trainer
Trainer(begin(from_dict(json.loads(sys.argv[1])), sys.argv[2])).run()
print(peak_bytes())
"""


def run(code: str, *arguments: str, group: Path | None = None) -> str:
    """Standard output of a Python process, in a control group if one is given."""

    def enter():
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE, text=True, check=False, preexec_fn=enter,
    )
    if done.returncode:
        raise SystemExit(f"the process ended with {done.returncode}")
    return done.stdout.strip().splitlines()[-1]


def compare(name: str, data: str, steps: int, group: Path | None, folder: Path) -> None:
    """Plan one configuration, train it for `steps` steps, print both."""
    from tinygpt.config import from_dict, load_config

    settings = [
        f"training.steps={steps}", "training.eval_tokens=20000", "data.split=0.96,0.04,0",
        "training.warmup_steps=2",
    ]
    config = load_config(name, settings).replace("data", source=data)
    text = json.dumps(config.to_dict())
    plan = json.loads(run(PLAN, text, "fit" if group else "", group=group))
    batch, accumulation, recompute, order = plan["settings"]
    chosen = config.replace(
        "training", batch_size=batch, accumulation=accumulation, recompute=recompute,
        sum_order=order,
    )
    out = folder / name
    peak = int(run(TRAIN, json.dumps(from_dict(chosen.to_dict()).to_dict()), str(out), group=group))
    lines = [m for m in metrics_files.read(out / "metrics.jsonl") if "loss" in m]
    seconds = float(np.median([m["seconds"] for m in lines[1:]]))
    planned, total = plan["step"][0] if plan["step"] else float("nan"), plan["total"]
    print(
        f"{name}: batch {batch} x {accumulation}{', recomputed' if recompute else ''}; memory "
        f"counted {plan['counted'] / 2**20:.0f}, planned {total / 2**20:.0f}, measured "
        f"{peak / 2**20:.0f} MB (planned / measured {total / peak:.3f}); step planned "
        f"{planned:.3f}, measured {seconds:.3f} s ({planned / seconds:.3f}), others "
        f"had {plan['others']:.0%} of the processors during the trial",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=["S", "M", "B", "L"])
    parser.add_argument("--data", default="python")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--limit-mb", type=int)
    chosen = parser.parse_args()
    group = None
    if chosen.limit_mb:
        group = Path("/sys/fs/cgroup/memory") / f"tinygpt-{os.getpid()}"
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(chosen.limit_mb << 20))
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in chosen.names:
                compare(name, chosen.data, chosen.steps, group, Path(folder))
        if group is not None:
            most = int((group / "memory.max_usage_in_bytes").read_text())
            print(f"limit {chosen.limit_mb} MB, most ever used {most >> 20} MB, page cache too")
    finally:
        if group is not None:
            group.rmdir()


if __name__ == "__main__":
    main()
