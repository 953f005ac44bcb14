"""`tinygpt serve`: models for programs and people, at an address.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import dataclasses
import sys

import click

from tinygpt.cli.inference import kv_option
from tinygpt.cli.paths import ModelPlace, Place
from tinygpt.machine.terminal import visible
from tinygpt.storage.paths import kind


class StepOrModel(ModelPlace):
    """A whole number is a step, unless something is called so."""

    def convert(self, value, param, ctx):
        number = isinstance(value, str) and value.isdecimal() and not kind(value)
        return int(value) if number else super().convert(value, param, ctx)


def limit_options(command):
    """A flag for each limit, with its default and the line that says what it is."""
    from tinygpt.serving.limits import Limits, help_of

    for one in reversed(dataclasses.fields(Limits)):
        flag, kind = "--" + one.name.replace("_", "-"), type(one.default)
        command = click.option(flag, type=kind, default=one.default, show_default=True,
                               help=help_of(one.name))(command)
    return command


@click.command()
@click.argument("models", metavar="RUN|FILE|NAME...", type=ModelPlace(), nargs=-1)
@click.option("--adapter", "adapters", multiple=True, metavar="[NAME=]RUN|DIR",
              help="What was learned beside the model: a model of its own; repeatable.")
@click.option("--compare", type=StepOrModel(), metavar="STEP|RUN|FILE|NAME",
              help="A checkpoint or model to look at beside the first; prints the address.")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen at; 0.0.0.0 is every one of this machine, and needs a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="0 takes a free one.")
@click.option("--key", help="Key that clients must send; made and printed where one is needed.",
              envvar="TINYGPT_KEY")
@click.option("--key-file", type=Place(exists=True, dir_okay=False),
              help="File whose first line is the key; no list of processes shows it.")
@click.option("--allowed-host", multiple=True, help="Another name of this machine; repeatable.")
@click.option("--allow-origin", multiple=True,
              help="Pages that may ask, as https://name.example; repeatable.")
@click.option("--slots", type=click.IntRange(1, 256), default=8, show_default=True,
              help="Answers that are written at once.")
@click.option("--context", type=click.IntRange(2),
              help="Tokens of a prompt and its answer; less than the model's takes less memory.")
@kv_option
@click.option("--log/--no-log", default=True, show_default=True,
              help="A line for each request: who, when, how long, never what.")
@click.option("--train/--no-train", default=False, show_default=True,
              help="Let the pages stop and resume the training of a run that is served.")
@click.option("--print-service", is_flag=True, help="Print a systemd unit that runs this, and end.")
@limit_options
def serve(models, adapters, compare, host, port, key, key_file, allowed_host, allow_origin, slots,
          context, kv, log, train, print_service, **limits):
    """Serve models to programs that speak OpenAI's API, and to people on a page.

    \b
      tinygpt serve run
      tinygpt serve SmolLM2 --adapter sql=run
      tinygpt serve run --compare 0
      curl localhost:8000/v1/completions -H 'Content-Type: application/json' \\
        -d '{"prompt": "Once upon a time"}'

    Only this machine reaches it, unless --host says otherwise; then a key is made and printed.
    """
    from tinygpt.serving import learn
    from tinygpt.serving.limits import Limits
    from tinygpt.serving.pages import files
    from tinygpt.serving.security import Gate, check_key, check_origin, is_loopback, make_key

    if not models:
        raise click.UsageError("no model is given. `tinygpt models` lists those there are.")
    if key_file is not None:
        key = _first_line(key_file)
    if key is not None:
        check_key(key)
    made = key is None and not is_loopback(host)
    if print_service:
        if compare is not None:
            raise click.UsageError("--compare is for whoever looks. Leave it out of a unit.")
        from tinygpt.serving.service import unit

        if key is not None and key_file is None:
            raise click.UsageError("everybody can read a unit, and so a key in it. Write it into a "
                                   "file that root alone reads, and give --key-file FILE.")
        click.echo(unit(models, host, port, key_file, _others_given()), nl=False)
        return
    gate = Gate(
        key=make_key() if made else key, hosts={name.lower() for name in allowed_host},
        origins={check_origin(origin) for origin in allow_origin},
        # The pages hold nothing, and the chat asks for the key; the book is nobody's secret.
        free={"/health", *files(), *learn.paths()},
    )
    engine = {"slots": slots, "context": context, "kv": kv}
    given = (models, adapters, compare)
    _serve(given, gate, Limits(**limits), host, port, engine, log, made, train)


def _others_given() -> list[str]:
    """The options of this call that a unit does not set by itself, as words."""
    context, words = click.get_current_context(), []
    set_there = {"models", "host", "port", "key", "key_file", "print_service"}
    for one in context.command.params:
        given = context.get_parameter_source(one.name) is click.core.ParameterSource.COMMANDLINE
        if one.name in set_there or not given:
            continue
        value = context.params[one.name]
        if isinstance(value, bool):
            words.append(one.opts[0] if value else one.secondary_opts[0])
        else:
            for each in value if isinstance(value, tuple) else [value]:
                words += [one.opts[0], str(each)]
    return words


def _first_line(path: str) -> str:
    from tinygpt.text.reading import read_text

    return read_text(path).partition("\n")[0].strip()


def _serve(given, gate, limits, host, port, engine, log, made, train):
    from tinygpt.serving.run import address_of, run
    from tinygpt.serving.served import open_all

    models, adapters, compare = given
    if isinstance(compare, str):
        models = (*models, compare)
    served = open_all(models, _say, engine, adapters)
    beside = None if compare is None else _beside(list(served.values()), compare)

    def ready(port: int) -> None:
        name = address_of(host)
        _say(f"{', '.join(served)}: http://{name}:{port}")
        if beside is not None:
            _say(f"  http://{name}:{port}{beside}", whole=True)
        if made:
            _say("Others reach this address, so a key is needed. It is:")
            _say(f"  {gate.key}", whole=True)
            _say(f"  http://{name}:{port}/#key={gate.key}", whole=True)
        sys.stderr.flush()

    run(served, gate, limits, host, port, engine["slots"], log, ready, train)


def _beside(served, compare):
    """The page that shows the first model beside an earlier step of it, or beside the last."""
    from urllib.parse import urlencode

    from tinygpt.errors import UserError
    from tinygpt.serving.inside.models import folder_of, steps_in

    first, other = served[0].name, served[-1].name
    if isinstance(compare, int):
        steps = steps_in(folder_of(served[0]))
        if compare not in steps:
            raise UserError(f"{first} has no checkpoint of step {compare}. There are: "
                            f"{', '.join(map(str, steps))}.")
        other = f"{first}@{compare}"
    return "/look#" + urlencode({"screen": "next", "model": first, "beside": other})


def _say(text: str, whole: bool = False) -> None:
    """A line on standard error, which a terminal shows broken between words unless it is `whole`.

    What draws on terminals is imported there alone: a service must be ready sooner.
    """
    if not sys.stderr.isatty():
        click.echo(visible(text), err=True)
        return
    from tinygpt.screens.console import Screen

    screen = Screen(stderr=True)
    (screen.copyable if whole else screen.say)(text)
