"""`tinygpt train`, `diagnose` and `export`: options in, calls out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tinygpt.cli.paths import Place, one_text

# Heavy modules are imported inside the functions, so that --help answers at once.


def training_options(command):
    """What is said of any training: --set, --resume, --fit, and how it is to behave."""
    for option in reversed((
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                     help="Change one setting, as in training.steps=30. May be repeated."),
        click.option("--resume", "go_on", is_flag=True, help="Go on with the run in --out."),
        click.option("--fit", is_flag=True, help="Choose the micro-batch that the memory allows."),
        click.option("--deterministic", is_flag=True,
                     help="The same bytes with any number of threads."),
        click.option("--tensorboard", is_flag=True,
                     help="Also write event files for TensorBoard."),
        click.option("--evaluate", "suite", metavar="SUITE",
                     help="Ask a suite at every evaluation; its curve is in the report."),
        click.option("--ranks", type=int, metavar="N",
                     help="Train by so many processes (MPI), and go on when one is lost."),
        click.option("--hosts", type=Place(dir_okay=False), metavar="FILE",
                     help="Where those are: a host name a line. Without, on this machine."),
        click.option("--nice", is_flag=True, help="Let every other program go first."),
        click.option("--stop-at", metavar="HH:MM", help="Save and stop at this time of day."),
        click.option("--max-hours", type=float, help="Save and stop after so many hours."),
        click.option("--max-temperature", type=float, metavar="CELSIUS",
                     help="Pause when hotter."),
        click.option("--pause-on-battery", is_flag=True,
                     help="Pause while the laptop is not plugged in."),
    )):
        command = option(command)
    return command


@click.command()
@click.argument("config", required=False)
@click.option("--data", multiple=True, callback=one_text,
              help="A text file or folder, - for stdin, or: stories, python, python+tests.")
@click.option("--out", default="run", type=Place(), show_default=True,
              help="Folder for everything it leaves.")
@click.option("--minutes", type=float,
              help="Be done in so many. Without CONFIG, all that it would say is chosen for that.")
@training_options
def train(config, data, out, minutes, overrides, go_on, **how):
    """Train a GPT on stories, on Python's own library, or on your text.

    With --minutes it takes that long, and tokenizer, size and everything else are chosen for
    what this machine can learn of that text in the time. Or choose yourself:
    CONFIG is a TOML file or the name of one that ships: S, M, B, L (0.8 to 10.7 million
    parameters; S, M and L learn characters, B pieces of words), or numbers, an encoder-decoder
    that writes names of numbers as digits and back. Ctrl-C saves and stops; the same
    command with --resume goes on, to the bit.

    \b
    tinygpt train S --data my.txt --out run
    tinygpt train --data my.txt --minutes 30 --out run
    tinygpt train B --data python --set training.steps=1000 --out night --nice
    tinygpt train --out run --resume
    """
    from tinygpt.cli.minutes import Minutes, check
    from tinygpt.config import from_dict, load_config, override

    clock = None
    if minutes is not None:
        check(minutes, config, data, overrides, go_on)
        clock = Minutes(minutes, config, settings(overrides, how))

    def asked(busy):
        if clock is not None and config is None:
            return clock.choose(with_data(from_dict({}), data).data.source, busy)
        return with_data(load_config(config, settings(overrides, how)), data)

    def changed(own):
        if config is None:
            values = override(own.to_dict(), settings(overrides, how))
            return with_data(from_dict(values), data)
        return as_fitted(own, asked(None))

    return carry_out(out, asked, changed if go_on else None, how, clock)


def settings(overrides, how):
    """What --set and --deterministic say."""
    return (*overrides, *(["training.deterministic=true"] if how["deterministic"] else []))


def carry_out(out, asked, changed, how, clock=None) -> int:
    """Train a new run, or go on with one.  Returns the exit code.

    asked: makes the configuration, saying what takes time to what it is given.  changed: makes it
        from the run's own, None for a new run.
    how: the values of training_options.  clock: minutes.Minutes of a run that has so many.
    """
    from tinygpt.distributed.follow import follow
    from tinygpt.distributed.mpi import under_mpirun
    from tinygpt.distributed.start import Joined, join
    from tinygpt.machine import manners
    from tinygpt.runs.lock import sole_writer
    from tinygpt.runs.run import Run, new_run
    from tinygpt.screens.console import Screen
    from tinygpt.training.begin import begin, resume

    if how["hosts"] and not how["ranks"]:
        raise click.UsageError("--hosts goes with --ranks: how many processes shall train?")
    if how["ranks"] and not under_mpirun():
        return _launched(out, how)
    hours, hot = how["max_hours"], how["max_temperature"]
    stops = [manners.stop_at(how["stop_at"])] if how["stop_at"] else []
    stops += [manners.max_hours(hours)] if hours is not None else []
    pauses = [manners.cool(hot)] if hot is not None else []
    pauses += [manners.plugged_in()] if how["pause_on_battery"] else []
    if how["nice"]:
        manners.give_way()
    group = join()
    if group.size > 1 and clock is not None:
        raise click.UsageError("--minutes is for one machine: say training.steps by --set instead.")
    if isinstance(group, Joined) and group.rank > 0:
        outcome = follow(group, stops, pauses)
        group.close()
        return 130 if outcome.interrupted else 0
    screen = Screen()

    def begun(busy):
        def say(text):
            busy.aside(screen.say, text)

        busy("reading the run" if changed else "reading the text")
        if changed:
            session = resume(out, changed, say, group)
        else:
            approve = _approval(how["fit"], say, busy, clock)
            session = begin(group.cut(asked(busy)), out, busy, approve, group)
        if clock is None and group.size == 1:
            busy("making a few trial steps")
            _announce_time(session, say)
        return session

    with sole_writer(Run.open(out).path) if changed else new_run(Path(out)):
        code = _trained(begun, screen, _watchers(screen, how), stops, pauses, clock)
    group.close()
    return code


def _launched(out, how) -> int:
    """The same command by several processes.  Returns the exit code."""
    from tinygpt.distributed.launch import launch, read_hosts
    from tinygpt.screens.console import Screen

    hosts = read_hosts(Path(how["hosts"])) if how["hosts"] else []

    def say(text):  # below what a killed process has left on the screen
        Screen().say(f"\n{text}")

    return launch(how["ranks"], hosts, sys.argv[1:], Path(out), say)


def _watchers(screen, how):
    """Who looks on."""
    from tinygpt.evaluation.watch import EnergyLine, SuiteCurve
    from tinygpt.screens.live import make_view
    from tinygpt.screens.report import HtmlReport

    watchers = [make_view(screen), EnergyLine(), HtmlReport()]
    if how["suite"]:
        watchers.insert(0, SuiteCurve(how["suite"], screen.say))
    if how["tensorboard"]:
        from tinygpt.screens.tensorboard import TensorBoard

        watchers.append(TensorBoard())
    return watchers


def _trained(begun, screen, watchers, stops, pauses, clock) -> int:
    """Train the session that `begun` makes.  Returns the exit code."""
    from tinygpt.screens.console import Progress
    from tinygpt.training.trainer import Trainer

    try:
        with Progress() as busy:
            session = begun(busy)
    except KeyboardInterrupt:
        screen.say("Stopped before the first step: there is nothing to save.")
        raise
    deadline = clock.deadline if clock is not None else None
    outcome = Trainer(session, watchers, stops, pauses, deadline).run()
    return _conclude(screen, session, outcome)


def with_data(config, data, names=None):
    """`config` with the --data that was given, paths made absolute for a later --resume.

    names: what is no path, None for those of corpora.
    """
    if data is None:
        return config
    from tinygpt.config import ConfigError
    from tinygpt.storage.paths import expand, kind
    from tinygpt.text.corpus import CORPORA
    from tinygpt.text.files import STDIN, is_stream

    if not hasattr(config, "data"):
        raise ConfigError(f"--data {data}: {config.objective} reads no text. Leave it out.")
    if data not in (names or (*CORPORA, *STDIN)):
        path = expand(data)
        kind(path)  # a link that leads nowhere is named before it is followed
        data = os.path.abspath(path) if is_stream(path) else os.path.realpath(path)
    return config.replace("data", source=data)


def as_fitted(own, asked):
    """`asked`, the effective batch of a run's own cut, and its sums ordered, as they are there."""
    old, new = own.training, asked.training
    asked = asked.replace("training", sum_order=old.sum_order)
    if old.batch_size * old.accumulation != new.batch_size * new.accumulation:
        return asked
    split = {"batch_size": old.batch_size, "accumulation": old.accumulation}
    return asked.replace("training", **split, recompute=old.recompute)


def _approval(fit, say, busy, clock):
    """A check before anything is made: the memory is there, or --fit finds a way.

    With a clock the steps are settled too.
    """
    from tinygpt.config import ConfigError
    from tinygpt.planning import plan as plans
    from tinygpt.planning.probe import warm_runtime
    from tinygpt.screens.plan import one_line

    def approve(objective):
        for note in objective.notes():
            say(note)
        runtime = warm_runtime()
        plan = plans.make_plan(objective, runtime, trial=False)
        if fit and not plan.fits:
            plan = plans.fit(objective, runtime, say)
            recipe = plan.config.training
            say(
                f"to fit the memory: batch_size {recipe.batch_size}, accumulation "
                f"{recipe.accumulation}" + (", activations recomputed" if recipe.recompute else "")
            )
        elif not plan.fits:
            raise ConfigError(plans.refusal(plan))
        if clock is None:
            say(one_line(plan))
            return plan.objective
        busy("making a few trial steps")
        return clock.settle(plan.objective, say)

    return approve


def _announce_time(session, say):
    """A few passes to say when it will be done; the session is left as it was."""
    from tinygpt.planning.probe import time_in_place
    from tinygpt.screens.plan import time_line

    left = session.config.training.steps - session.state.step
    if left > 0:
        low, likely, high = time_in_place(session)
        say(time_line(likely, left * likely, 0.9 * left * low, 1.15 * left * high))


def _conclude(screen, session, outcome) -> int:
    """Say how it ended and what can be done now.  Returns the exit code."""
    from tinygpt.machine.terminal import command
    from tinygpt.screens.advice import generate, resume

    path, say = session.run.path, screen.say
    if not outcome.saved:
        say(f"The last steps are not saved: {path} cannot be written. Free some space there.")
    if outcome.stopped:
        where = f"Stopped by {outcome.stopped} at step {outcome.step}"
        say(f"{where}" + (", saved." if outcome.saved else "."))
        if outcome.step == session.config.training.steps:
            say("All steps are made; only the last evaluation is missing.")
        screen.shell(resume(path), "Go on:       ")
    else:
        held_out = ""
        if outcome.val_loss is not None:
            unit = session.objective.loss_unit
            held_out = f", held-out loss {outcome.val_loss:.4f} {unit}".rstrip()
            bits = session.objective.bits_per_byte(outcome.val_loss)
            held_out += f" ({bits:.3f} bits per byte)" if bits is not None else ""
        say(f"Done: {outcome.step} steps{held_out}, {session.state.seconds:.0f} s of training.")
        for line in session.objective.closing(session.model):
            say(line)
    if outcome.saved:
        if session.objective.teaches_roles:
            screen.shell(command("chat", path), "Talk to it:  ")
        elif session.objective.writes:
            screen.shell(generate(path), "Read it:     ")
            screen.shell(command("diagnose", path), "Examine it:  ")
        screen.copyable(f"Its curves:  {path / 'report.html'}, in any browser")
    if outcome.interrupted:
        return 130
    return 0 if outcome.saved else 1


@click.command()
@click.argument("run", type=Place())
def diagnose(run):
    """Say what is wrong with a trained model, and one thing to do about it.

    RUN is the --out folder of a `tinygpt train`. Nothing in it is changed.
    """
    from tinygpt.diagnosis.measure import diagnose as examine
    from tinygpt.diagnosis.verdict import verdict_on
    from tinygpt.screens.console import Progress, Screen, warn
    from tinygpt.screens.diagnosis import show

    with Progress() as busy:
        busy("opening")
        session, findings, gradients = examine(run, busy, lambda text: busy.aside(warn, text))
    show(Screen(), session, findings, gradients, verdict_on(findings))


@click.command()
@click.argument("run", type=Place())
@click.option("--csv", type=Place(dir_okay=False), help="Write the metrics as a table.")
@click.option("--tensorboard", is_flag=True, help="Write event files into RUN/tensorboard.")
@click.option("--to", type=click.Choice(["hf", "gguf", "peft"]),
              help="Write the model for other programs, or what was learned beside one.")
@click.option("--out", type=Place(), help="Folder (hf, peft) or file (gguf) to write that into.")
@click.option("--kind", type=click.Choice(["F32", "F16", "Q8_0", "Q4_0"]), default="F32",
              show_default=True, help="Of the matrices in a GGUF file.")
def export(run, csv, tensorboard, to, out, kind):
    """Write a run's report anew, and its metrics as CSV or for TensorBoard.

    With --to hf --out FOLDER it writes the model in its place: config.json, safetensors and
    tokenizer.json, as transformers opens them without remote code; with --to gguf --out FILE a file
    that llama.cpp opens, with our own vocabulary. Of a `finetune` by an adapter both are the merged
    model, and --to peft --out FOLDER is the adapter alone.
    """
    if bool(to) != bool(out):
        raise click.UsageError("--to and --out go together: --to hf --out FOLDER.")
    if to:
        from tinygpt.cli.exchange import export_model

        export_model(run, to, out, kind)
        return
    from tinygpt.runs import metrics as metrics_files
    from tinygpt.runs.run import Run
    from tinygpt.screens.console import warn
    from tinygpt.screens.report import write_report

    opened = Run.open(run)
    metrics = opened.path / "metrics.jsonl"
    click.echo(f"{write_report(opened, warn)}")
    if csv:
        click.echo(f"{csv}: {metrics_files.write_csv(metrics, csv)} rows")
    if tensorboard:
        from tinygpt.screens.tensorboard import write_events

        count = write_events(metrics, opened.path / "tensorboard")
        click.echo(f"{opened.path / 'tensorboard'}: {count} scalars")
