"""Every switch of the model's shape at equal budgets: loss, parameters, time.

    python -m bench families --out zoo                  S and M, three seeds, all switches
    python -m bench families --out zoo --size M --only window
    python -m bench families --out zoo --jobs 8 --threads 2 --steps-s 1000 --steps-m 300 --limit 360
    python -m bench families --draw zoo

A switch is one setting changed of a shipped recipe; a family changes several. All see the same
batches of the same text, equally many, and are judged by the loss of the whole held-out tenth. Each
training is a job for one of several processes and ends as a line of zoo/families.jsonl; started
again, the command does what has no line yet. Seeds come one after the other, so that a run cut
short is a comparison of fewer seeds.

Read next: families_chart.py (what is drawn of the lines), ../docs/zoo.md (what the switches are).
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import kernels
from bench import timing
from bench.families_chart import DEFAULT, figure, results_of, table
from tinygpt.model.families import FAMILIES
from tinygpt.storage.durable import AppendLog
from tinygpt.storage.reading import COUNT, NUMBER, TEXT, optional, read_lines

LINES, FIGURE = "families.jsonl", "families.svg"
LINE = {
    "key": TEXT, "size": TEXT, "name": TEXT, "seed": COUNT, "steps": COUNT, "tokens": COUNT,
    "parameters": COUNT, "loss": optional(NUMBER), "ms": NUMBER,
}


def switches(model: Any) -> dict[str, tuple[str, ...]]:
    """Name -> settings of [model], in the order of docs/zoo.md.  model: the shape to start from."""
    window = f"window={max(1, model.context // 4)}"  # Mistral's own is longer than our contexts
    one = [
        *(f"positions={kind}" for kind in ("sinusoidal", "rope", "alibi", "relative", "none")),
        "norm=rmsnorm", "eps=1e-6", "norm_place=post", "qk_norm=true",
        *(f"activation={kind}" for kind in ("gelu_erf", "relu", "relu2", "silu", "swiglu",
                                         "geglu")),
        f"d_ff={2 * model.d_model}", f"n_kv_heads={model.n_heads // 2}", "n_kv_heads=1",
        f"head_dim={2 * model.heads[2]}", window, "bias=qkv",
        "bias=all", "tied=false", "n_blocks=1", "softcap=30",
        "smear=true", "bigrams=true", "zero_init=true",
        f"dropout={0 if model.dropout else 0.1}",
    ]
    several = {
        "rope, theta 100": ("positions=rope", "rope_theta=100"),
        "alibi, slopes times 4": ("positions=alibi", "alibi_scale=4"),
        **{f"family={name}": (f"family={name}",) for name, row in FAMILIES.items()
           if len(row) > 1 and "assembly" not in row},
        "family=mistral": ("family=mistral", window),
    }
    return {DEFAULT: (), **{setting: (setting,) for setting in one}, **several}


@dataclass(frozen=True)
class Job:
    """One training.  settings: of the recipe `size`, as after --set."""

    size: str
    name: str
    seed: int
    settings: tuple[str, ...]

    def config(self) -> Any:
        from tinygpt.config import load_config

        return load_config(self.size, list(self.settings))

    @property
    def key(self) -> str:
        """What its line is found again by: two jobs of one key would end alike."""
        return json.dumps([self.size, self.name, self.seed, self.settings])


def plan(
    sizes: Sequence[str], seeds: int, overrides: dict[str, list[str]], only: Sequence[str]
) -> list[Job]:
    """The jobs, a seed of everything before the next, the longest of a seed first.

    overrides: settings of every job, by size.  only: parts of names that are wanted; none: all.
    """
    from tinygpt.config import load_config

    found = []
    for size in sizes:
        base = overrides[size]
        for name, settings in switches(load_config(size, base).model).items():
            if not only or name == DEFAULT or any(part in name for part in only):
                own = (*base, *(f"model.{setting}" for setting in settings))
                found += [Job(size, name, seed, own) for seed in range(seeds)]
    cost = {size: _operations(load_config(size, overrides[size])) for size in sizes}
    return sorted(found, key=lambda job: (job.seed, -cost[job.size]))


def _operations(config: Any) -> int:
    recipe = config.training
    tokens = recipe.steps * recipe.batch_size * recipe.accumulation * config.model.context
    return tokens * config.model.parameters


def train(job: Job, tokens: str) -> dict[str, Any]:
    """Do a job in this process.  tokens: folder of its prepared text.

    Returns a LINE: loss in nats a token (None: not finite), ms of a step in the middle.
    """
    import numpy as np

    from minigrad import optim
    from tinygpt.data import open_dataset
    from tinygpt.pretraining.objective import Pretraining
    from tinygpt.training import loop
    from tinygpt.training.optimizer import make_optimizer
    from tinygpt.training.state import TrainState

    dataset, config = open_dataset(Path(tokens)), job.config()
    objective = Pretraining(config.replace("model", vocab_size=dataset.vocab_size), dataset)
    recipe = config.training
    seeds = np.random.SeedSequence(job.seed).spawn(2)  # of weights, of batches: as a run's
    state = TrainState(rng=np.random.default_rng(seeds[0]))
    model = objective.build(state.rng)
    steps = loop.train(
        model, objective.batches(model, np.random.default_rng(seeds[1])), objective.loss,
        make_optimizer(model, recipe),
        optim.warmup_cosine(recipe.lr, recipe.min_lr, recipe.warmup_steps, recipe.steps),
        state, steps=recipe.steps, accumulation=recipe.accumulation, clip=recipe.clip,
    )
    seconds = [metrics.seconds for metrics in steps]
    loss = objective.evaluate(model)
    if loss is None:
        raise click.ClickException("the held-out tenth is shorter than the context. Give more.")
    return {
        "key": job.key, "size": job.size, "name": job.name, "seed": job.seed,
        "steps": recipe.steps, "parameters": model.count_parameters(),
        "tokens": recipe.steps * recipe.batch_size * recipe.accumulation * config.model.context,
        "loss": loss if np.isfinite(loss) else None, "ms": statistics.median(seconds) * 1e3,
    }


def run(
    jobs: Sequence[Job], tokens: dict[str, str], workers: int, threads: int, limit: float | None
) -> Iterator[dict[str, Any]]:
    """Do jobs in `workers` processes of `threads` threads each; yields their lines as they end.

    tokens: folders of prepared text, by size.  limit: seconds from now; a job that would end later,
    judged by the slowest of its size so far, is not begun.
    """
    began, slowest = time.monotonic(), dict.fromkeys(tokens, 0.0)
    started, running = {}, set()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, kernels.set_num_threads, (threads,)) as pool:
        waiting = list(reversed(jobs))
        while waiting or running:
            while waiting and len(running) < workers:
                job, now = waiting.pop(), time.monotonic()
                if limit is None or now - began + slowest[job.size] < limit:
                    future = pool.submit(train, job, tokens[job.size])
                    running.add(future)
                    started[future] = job.size, now
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                size, since = started.pop(future)
                slowest[size] = max(slowest[size], time.monotonic() - since)
                yield future.result()


@click.command()
@click.option("--size", "sizes", multiple=True, default=("S", "M"), show_default=True,
              help="S, M or a TOML file; may be repeated.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--steps-s", type=click.IntRange(1), help="Of a training of S, in place of its own.")
@click.option("--steps-m", type=click.IntRange(1), help="Of a training of M.")
@click.option("--only", multiple=True, help="Switches with this in their name; may be repeated.")
@click.option("--set", "overrides", multiple=True, help="section.key=value, for all of them.")
@click.option("--text", "source", help="tinyshakespeare.txt if it is there, else stories.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True,
              help="Trainings at a time, each a process.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True,
              help="Of each training.")
@click.option("--limit", type=float, help="Seconds; begin no training that would end later.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default="families",
              show_default=True, help=f"Folder for {LINES} and {FIGURE}; goes on where it stands.")
@click.option("--draw", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Train nothing: draw the lines of this folder.")
@click.option("--times/--no-times", default=True, help="Beside each switch its step's time.")
def command(
    sizes, seeds, steps_s, steps_m, only, overrides, source, jobs, threads, limit, out, draw, times
):
    """Every switch of the shape at equal budgets: loss, parameters, time."""
    if draw is not None:
        return show(draw, times)
    steps = {"S": steps_s, "M": steps_m}
    own = {
        size: [f"data.source={source or text()}", *overrides,
               *([f"training.steps={steps[size]}"] if steps.get(size) else [])]
        for size in sizes
    }
    wanted = plan(sizes, seeds, own, only)
    out.mkdir(parents=True, exist_ok=True)
    have = {line["key"] for line in lines_of(out)}
    todo = [job for job in wanted if job.key not in have]
    click.echo(f"{timing.headline()}. {len(todo)} of {len(wanted)} trainings, {jobs} at a time",
               err=True)
    about = {"threads": threads, "jobs": jobs, "commit": timing.commit()}
    log = AppendLog(out / LINES, lambda sentence: click.echo(sentence, err=True))
    with tempfile.TemporaryDirectory() as folder:
        for line in run(todo, prepared(todo, Path(folder)), jobs, threads, limit):
            log.line(json.dumps(line | about))
            click.echo(f"{line['size']} {line['name']}, seed {line['seed']}: {line['loss']}, "
                       f"{line['ms']:.1f} ms a step", err=True)
    return show(out, times)


def prepared(jobs: Sequence[Job], folder: Path) -> dict[str, str]:
    """Size -> folder of its text as tokens, made once for all processes."""
    from tinygpt.pretraining.objective import prepare_data

    found: dict[str, str] = {}
    for job in jobs:
        if job.size not in found:
            place = folder / str(len(found))
            prepare_data(job.config(), place, None)
            found[job.size] = str(place)
    return found


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder, oldest first; none where nothing has ended yet."""
    return list(read_lines(folder / LINES, LINE, lambda sentence: click.echo(sentence, err=True)))


def show(folder: Path, times: bool = True) -> None:
    """Draw the figure and print the tables of a folder's lines."""
    try:
        results = results_of(lines_of(folder))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if not results:
        raise click.ClickException(f"no line with a result in {folder / LINES}. Train first.")
    (folder / FIGURE).write_text(figure(results, times), encoding="utf-8")
    for size, found in results.items():
        click.echo(f"\n{size}\n{table(found)}")
    click.echo(f"\nchart: {folder / FIGURE}")


def text() -> str:
    """The text that is there."""
    from bench.race import shakespeare

    try:
        return str(shakespeare().resolve())
    except click.ClickException:
        return "stories"
