"""`tinygpt train`, `plan` and `diagnose`: options in, calls out."""

from __future__ import annotations

from pathlib import Path

import click

# Heavy modules are imported inside the functions, so that --help answers at once.


@click.command()
@click.argument("config", required=False)
@click.option("--data", help="A text file or folder, or: stories, python.")
@click.option("--out", default="run", show_default=True, help="Folder for everything it leaves.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Change one setting, as in training.steps=30. May be repeated.")  # fmt: skip
@click.option("--resume", "go_on", is_flag=True, help="Go on with the run in --out.")
@click.option("--nice", is_flag=True, help="Let every other program go first.")
@click.option("--stop-at", metavar="HH:MM", help="Save and stop at this time of day.")
@click.option("--max-hours", type=float, help="Save and stop after so many hours.")
@click.option("--max-temperature", type=float, metavar="CELSIUS", help="Pause when hotter.")
@click.option("--pause-on-battery", is_flag=True, help="Pause while the laptop is not plugged in.")
def train(config, data, out, overrides, go_on, nice, stop_at, max_hours, max_temperature,
          pause_on_battery):  # fmt: skip
    """Train a GPT on stories, on Python's own library, or on your text.

    CONFIG is a TOML file or the name of one that ships: S, M, B, L (0.8 to 10.7 million
    parameters). Ctrl-C saves and stops; the same command with --resume goes on, to the bit.

    \b
    tinygpt train S --data my.txt --out run
    tinygpt train B --data python --set training.steps=1000 --out night --nice
    tinygpt train --out run --resume
    """
    from rich.console import Console

    from tinygpt.training import manners
    from tinygpt.training.pretrain import Pretraining
    from tinygpt.training.sampling import write_sample
    from tinygpt.training.view import make_view

    stops = [manners.stop_at(stop_at)] if stop_at else []
    stops += [manners.max_hours(max_hours)] if max_hours is not None else []
    pauses = [manners.cool(max_temperature)] if max_temperature is not None else []
    pauses += [manners.plugged_in()] if pause_on_battery else []
    if nice:
        manners.give_way()
    console = Console(highlight=False, soft_wrap=True)

    def say(text):
        console.print(text, markup=False)

    session = _session(config, data, out, overrides, go_on, say)
    outcome = Pretraining(session, [make_view(console)], write_sample, stops, pauses).run()
    return _conclude(console, session, outcome)


def _session(config, data, out, overrides, go_on, say):
    """A new or a resumed Session, from what was written on the command line."""
    from tinygpt.config import from_dict, load_config, override
    from tinygpt.training.begin import begin, resume

    def with_data(chosen):
        if data is None:
            return chosen
        source = data if data in ("stories", "python") else str(Path(data).resolve())
        return chosen.replace("data", source=source)

    if not go_on:
        return begin(with_data(load_config(config, overrides)), out, say)

    def wanted(own):
        if config is not None:
            return with_data(load_config(config, overrides))
        return with_data(from_dict(override(own.to_dict(), overrides)))

    return resume(out, wanted, say)


def _conclude(console, session, outcome) -> int:
    """Say how it ended and what can be done now.  Returns the exit code."""
    path = session.run.path

    def say(text):
        console.print(text, markup=False)

    if not outcome.saved:
        say(f"The last steps are not saved: {path} cannot be written. Free some space there.")
    if outcome.stopped:
        where = f"Stopped by {outcome.stopped} at step {outcome.step}"
        say(f"{where}" + (", saved." if outcome.saved else "."))
        say(f"Go on:       tinygpt train --out {path} --resume")
    else:
        held_out = ""
        if outcome.val_loss is not None:
            held_out = f", held-out loss {outcome.val_loss:.4f} nats per token"
        say(f"Done: {outcome.step} steps{held_out}, {session.state.seconds:.0f} s of training.")
    if outcome.saved:
        say(f"Read it:     tinygpt generate {path}")
        say(f"Examine it:  tinygpt diagnose {path}")
    if outcome.interrupted:
        return 130
    return 0 if outcome.saved else 1
