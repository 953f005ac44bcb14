"""`tinygpt plan`: what a training will need, of one machine, of several, or of a budget.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

from pathlib import Path

import click

from tinygpt.cli.paths import Place, one_text
from tinygpt.cli.training import with_data


@click.command()
@click.argument("config", required=False)
@click.option("--data", multiple=True, callback=one_text,
              help="A text file or folder, - for stdin, or: stories, python, python+tests.")
@click.option("--out", type=Place(),
              help="Where the run would be kept, to see if the disk has room.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Change one setting, as in training.steps=30. May be repeated.")
@click.option("--fit", is_flag=True, help="Choose the micro-batch that the memory allows.")
@click.option("--ranks", type=int, help="Of several machines together: time, traffic, memory.")
@click.option("--link", metavar="RATE",
              help="Between them: 100mbit, 1gbit, 10gbit, or measured Mbit/s.  [1gbit]")
@click.option("--budget", metavar="TIME",
              help="As \"48 hours\": the size and the tokens that make the most of it.")
@click.option("--hourly", type=float, help="With --budget an amount of money: an hour's price.")
def plan(config, data, out, overrides, fit, ranks, link, budget, hourly):
    """Say what a training will need before it starts: memory, time, disk.

    The model is tried for a few seconds in a process of its own. Exits 2 if the memory is too
    small, naming the largest setting that fits; --fit chooses it. With --ranks it says what so
    many machines like this one make of it, and which way to divide it is the best. With --budget it
    chooses: a model of stories, by what our own runs say of size and length.

    \b
    tinygpt plan L --data my.txt
    tinygpt plan L --ranks 4 --link 1gbit
    tinygpt plan --budget "48 hours"
    tinygpt plan --budget "48 hours" --ranks 4 --link 1gbit
    """
    if budget is not None:
        if config or data or out or overrides or fit:
            raise click.UsageError(
                "--budget chooses by itself: give it alone, or with --hourly, --ranks and --link."
            )
    elif hourly is not None:
        raise click.UsageError("--hourly goes with --budget.")
    if link is not None and ranks is None:
        raise click.UsageError("--link goes with --ranks, the number of machines.")
    if budget is not None:
        plan_budget(budget, hourly, ranks, link)
        return
    from tinygpt.config import load_config
    from tinygpt.storage.paths import check_folder

    if out:
        check_folder(out)
    chosen = with_data(load_config(config, overrides), data)
    together = None
    if ranks is not None:
        from tinygpt.planning.ranks import check_ranks, read_link
        from tinygpt.screens.ranks import show_ranks

        wire = read_link("1gbit" if link is None else link)
        check_ranks(ranks, chosen.training.batch_size * chosen.training.accumulation)

        def together(screen, made):
            show_ranks(screen, made, ranks, wire)

    show_plan(chosen, out, fit, together)


def show_plan(chosen, out, fit, together=None):
    """Print what a training needs.  Raises ConfigError if the memory is too small.

    together: what else to print, of several machines: they need no plan that fits one.
    """
    import tempfile

    from tinygpt.config import ConfigError, find_objective
    from tinygpt.planning import plan as plans
    from tinygpt.planning.probe import warm_runtime
    from tinygpt.screens.console import Progress, Screen
    from tinygpt.screens.plan import show

    with tempfile.TemporaryDirectory() as folder:
        with Progress() as busy:
            busy("reading the text")
            objective = find_objective(chosen.objective).prepare(chosen, Path(folder), busy)
            busy("trying a few steps")
            runtime = warm_runtime()
            if fit:
                made = plans.fit(objective, runtime, busy)
            else:
                made = plans.make_plan(objective, runtime)
        screen = Screen()
        for note in objective.notes():
            screen.say(note)
        show(screen, made, Path(out) if out else None)
    if together is not None:
        together(screen, made)
    elif not made.fits:
        raise ConfigError(plans.refusal(made))


def plan_budget(text, hourly, ranks=None, link=None):
    """Print what a time, or money, makes of this machine, or of `ranks` like it."""
    from tinygpt.planning import budget, scaling
    from tinygpt.planning.ranks import check_ranks, read_link
    from tinygpt.screens.budget import show_budget
    from tinygpt.screens.console import Progress, Screen

    hours = budget.read_budget(text, hourly)
    wire = None
    if ranks is not None:
        wire = read_link("1gbit" if link is None else link)
        check_ranks(ranks, budget.BATCH)
    with Progress() as busy:
        busy("measuring this machine")
        metered = budget.speed_and_power(2.0)
        busy("asking the law")
        law = scaling.law()
        found = budget.choices(3600 * hours, metered.speed, law, ranks or 1, wire)
    show_budget(Screen(), found, law, hours, metered, ranks or 1)
