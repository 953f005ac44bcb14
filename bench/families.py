"""Every switch of the model's shape at equal budgets: loss, parameters, time.

    python -m bench families                            config S, three seeds, all switches
    python -m bench families --config M --only window
    python -m bench families --data my.txt --out zoo.svg

A switch is one setting changed of a shipped recipe; a family changes several. All see the same
batches of the same text, equally many, and are judged by the loss of the whole held-out tenth. They
take turns, some steps each, so that seconds are ratios to the default's of the same turn: the
median of them, with quartiles.

Read next: ../docs/zoo.md, what the switches are.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import timing
from tinygpt.model.families import FAMILIES
from tinygpt.screens.charts import Dots, dot_chart

TURN = 10  # steps
DEFAULT = "default"

STYLE = """
svg{--card:#fff;--ink:#1c1d21;--soft:#6b6d76;--line:#e4e2dc;--a:#2866cf;--b:#b54a14}
@media(prefers-color-scheme:dark){svg{--card:#1c1e24;--ink:#ecedf1;--soft:#9a9da8;--line:#2e3139;
--a:#7aa8ff;--b:#ff9863}}
.page{fill:var(--card)}text{font:12px system-ui,sans-serif;fill:var(--soft)}
.name,.title{fill:var(--ink)}.title{font-size:15px;font-weight:600}
.grid{stroke:var(--line)}.level{stroke:var(--soft);stroke-dasharray:2 5}
.mean{fill:var(--soft)}.dot.a{fill:var(--a)}.dot.b{fill:var(--b)}
"""


def switches(model: Any) -> dict[str, tuple[str, ...]]:
    """Name -> settings of [model], in the order of docs/zoo.md.  model: the shape to start from."""
    window = f"window={max(1, model.context // 4)}"  # Mistral's own is longer than our contexts
    one = [
        *(f"positions={kind}" for kind in ("sinusoidal", "rope", "alibi", "relative", "none")),
        "norm=rmsnorm", "eps=1e-6", "norm_place=post", "qk_norm=true",
        *(f"activation={kind}" for kind in ("relu", "relu2", "silu", "swiglu", "geglu")),
        f"d_ff={2 * model.d_model}", f"n_kv_heads={model.n_heads // 2}", "n_kv_heads=1",
        f"head_dim={2 * model.heads[2]}", window, "bias=qkv",
        "bias=all", "tied=false", "n_blocks=1", "softcap=30",
        f"dropout={0 if model.dropout else 0.1}",
    ]
    several = {
        "rope, theta 100": ("positions=rope", "rope_theta=100"),
        **{f"family={name}": (f"family={name}",) for name, row in FAMILIES.items() if len(row) > 1},
        "family=mistral": ("family=mistral", window),
    }
    return {DEFAULT: (), **{setting: (setting,) for setting in one}, **several}


@dataclass
class Result:
    """Of one switch.  losses: of each seed, nats a token.  slower: ratios of turns."""

    name: str
    parameters: int = 0
    losses: list[float] = field(default_factory=list)
    slower: list[float] = field(default_factory=list)

    @property
    def loss(self) -> float:
        return float(np.mean(self.losses))


class Racer:
    """One model on its way."""

    def __init__(self, config: Any, dataset: Any, seed: int):
        from minigrad import optim
        from tinygpt.pretraining.objective import Pretraining
        from tinygpt.training.loop import train
        from tinygpt.training.optimizer import make_optimizer
        from tinygpt.training.state import TrainState

        config = config.replace("model", vocab_size=dataset.vocab_size)
        self.objective, recipe = Pretraining(config, dataset), config.training
        seeds = np.random.SeedSequence(seed).spawn(2)  # of weights, of batches: as a run's
        state = TrainState(rng=np.random.default_rng(seeds[0]))
        self.model = self.objective.build(state.rng)
        self._steps = train(
            self.model, self.objective.batches(self.model, np.random.default_rng(seeds[1])),
            self.objective.loss, make_optimizer(self.model, recipe),
            optim.warmup_cosine(recipe.lr, recipe.min_lr, recipe.warmup_steps, recipe.steps),
            state, steps=recipe.steps, accumulation=recipe.accumulation, clip=recipe.clip,
        )

    def turn(self) -> float | None:
        """Seconds of TURN steps, of fewer at the end; None where nothing is left."""
        seconds = [metrics.seconds for _, metrics in zip(range(TURN), self._steps, strict=False)]
        return sum(seconds) if seconds else None

    def loss(self) -> float:
        """Of the held-out split."""
        found = self.objective.evaluate(self.model)
        if found is None:
            raise click.ClickException("the held-out tenth is shorter than the context. Give more.")
        return found


def race(configs: dict[str, Any], seeds: Sequence[int], dataset: Any) -> Iterator[list[Result]]:
    """Train all configurations in turn, seed after seed; yields the results so far after each.

    configs: by name, DEFAULT the first.
    """
    results = {name: Result(name) for name in configs}
    for seed in seeds:
        racers = {name: Racer(config, dataset, seed) for name, config in configs.items()}
        while (usual := racers[DEFAULT].turn()) is not None:
            for name, racer in racers.items():
                seconds = usual if name == DEFAULT else racer.turn()
                results[name].slower.append(seconds / usual)
        for name, racer in racers.items():
            results[name].losses.append(racer.loss())
            results[name].parameters = racer.model.count_parameters()
        yield list(results.values())


def table(results: Sequence[Result]) -> str:
    """A line for each switch, in their order."""
    usual = results[0]
    width = max(len(r.name) for r in results)
    lines = [f"{'':{width}}    loss  seeds' range   against   parameters  time of a step"]
    for r in results:
        lines.append(
            f"{r.name:{width}}  {r.loss:6.4f}  {min(r.losses):6.4f}-{max(r.losses):6.4f}  "
            f"{r.loss - usual.loss:+8.4f}  {r.parameters:10,}  {timing.spread(r.slower)}"
        )
    return "\n".join(lines)


def figure(results: Sequence[Result], title: str) -> str:
    """The losses of all seeds as an SVG file: best above, the default marked."""
    ranked = sorted(results, key=lambda r: (np.isnan(r.loss), r.loss))
    rows = [Dots(r.name, r.losses, "b" if r.name == DEFAULT else "a") for r in ranked]
    width, height, left, top = 760, 24 * len(rows), 170, 44
    plot = dot_chart(rows, at=results[0].loss, width=width - left - 30, height=height, title=title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + top + 40}">'
        f'<style>{STYLE}</style><rect class="page" width="100%" height="100%"/>'
        f'<text class="title" x="16" y="26">{title}</text>'
        f'<g transform="translate({left} {top})">{plot}</g></svg>\n'
    )


@click.command()
@click.option("--config", "name", default="S", show_default=True, help="S, M or a TOML file.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--only", multiple=True, help="Switches with this in their name; may be repeated.")
@click.option("--set", "overrides", multiple=True, help="section.key=value, for all of them.")
@click.option("--data", help="A text (default: tinyshakespeare.txt if it is there, else stories).")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="families.svg",
              show_default=True, help="Where the chart goes.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON in place of the table.")
def command(name, seeds, only, overrides, data, out, threads, as_json):
    """Every switch of the shape at equal budgets: loss, parameters, time."""
    import kernels
    from tinygpt.config import load_config
    from tinygpt.pretraining.objective import prepare_data

    kernels.set_num_threads(threads)
    overrides = [f"data.source={data or text()}", *overrides]
    usual = load_config(name, overrides)
    wanted = {
        key: load_config(name, [*overrides, *(f"model.{setting}" for setting in settings)])
        for key, settings in switches(usual.model).items()
        if not only or key == DEFAULT or any(part in key for part in only)
    }
    recipe = usual.training
    tokens = recipe.steps * recipe.batch_size * recipe.accumulation * usual.model.context
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepare_data(usual, Path(folder) / "tokens", None)
        for results in race(wanted, range(seeds), dataset):
            click.echo(f"seed {len(results[0].losses)} of {seeds} done", err=True)
        del dataset  # its files are mapped, and their folder goes now
    title = f"Loss of config {Path(name).stem} after {tokens:,} tokens, by switch"
    out.write_text(figure(results, title), encoding="utf-8")
    if as_json:
        rows = [{**vars(r), "loss": r.loss} for r in results]
        click.echo(json.dumps({"config": name, "tokens": tokens, "switches": rows,
                               "commit": timing.commit()}))
        return
    click.echo(f"{timing.headline()}. {title}, {seeds} seed(s)\n{table(results)}\n"
               f"chart: {out}")


def text() -> str:
    """The text that is there."""
    from bench.race import shakespeare

    try:
        return str(shakespeare().resolve())
    except click.ClickException:
        return "stories"
