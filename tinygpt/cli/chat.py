"""`tinygpt chat`: lines in, answers out.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import click

from tinygpt.cli.inference import (
    adapter_option,
    draft_option,
    drafting,
    kv_option,
    sampling_of,
    sampling_options,
    say_counts,
)
from tinygpt.cli.paths import ModelPlace

CHAT_HELP = """/reset             forgets the conversation
/temperature 0.7   changes the temperature
/quit, Ctrl-D      leave
Ctrl-C             stops an answer"""
ADAPTER_HELP = "/adapter NAME      lets another answer: {}"
NO_WORD = "it ended without a word; ask again, or with another --seed"
NO_TEMPLATE = "this model was taught no template to answer in: it goes on with the text"
BASE_MODEL = """This is a base model: it does not answer, it goes on with the text that you and \
it write in turns. Begin something and see what it makes of it."""


@click.command()
@click.argument("model", metavar="RUN|FILE|NAME", type=ModelPlace())
@click.option("--max-tokens", type=click.IntRange(1), default=200, show_default=True,
              help="Longest answer.")
@click.option(
    "--roles",
    is_flag=True,
    help="For a model taught to answer: mark who speaks by <|user|>, <|assistant|>.",
)
@click.option("--once", metavar="QUESTION", help="Print the answer to this and end.")
@draft_option
@kv_option
@adapter_option("What was learned beside this model; the first answers until /adapter NAME.")
@sampling_options
def chat(model, max_tokens, roles, once, adapters, draft, kv, seed, stop, **options):
    """Talk with a trained model; the conversation is remembered as far as the context reaches.

    RUN is the --out folder of `tinygpt train` or `finetune`; FILE is what `tinygpt quantize` wrote.
    A model that was taught to answer, here or elsewhere, is spoken to by the template that it
    learned, and its own tokens end an answer. What comes out of `tinygpt train` was taught none and
    goes on with the text, up to an empty line (change that with --stop).
    """
    from tinygpt.config import find_objective
    from tinygpt.screens.console import Screen, warn
    from tinygpt.weights.beside import Base
    from tinygpt.weights.open import form_of, objective_of

    sampling = sampling_of(options)
    if once is not None and not once.strip():
        raise click.UsageError("the question is empty. Give it after --once.")
    form = form_of(model) if roles else None
    if roles and not (form and form.template or find_objective(objective_of(model)).teaches_roles):
        raise click.UsageError(
            f"{model} was never taught who speaks: its rows for <|user|> and <|assistant|> are "
            "untrained, and what they call up is noise. Leave --roles out."
        )
    base = Base.open(model, adapters, warn)
    room = _Room(base, draft, kv, roles, stop, sampling, max_tokens, seed)
    if once is not None:
        if not room.taught:
            warn(NO_TEMPLATE)
        room.answer(once)
        say_counts(room.decoder)
        return
    screen = Screen()
    if not room.taught:
        screen.say(BASE_MODEL)
    screen.say(room.help)
    _talk(room, screen)
    say_counts(room.decoder)


class _Room:
    """A conversation, and those who can answer in it."""

    def __init__(self, base, draft, kv, roles, stop, sampling, max_tokens, seed):
        import numpy as np

        from tinygpt.inference.chat import Conversation

        self.voices, self.roles, self.stop = base.voices(), roles, stop
        voice = next(iter(base.adapted.values()), self.voices["base"])
        rng, self.form = np.random.default_rng(seed), voice.form
        self.decoder_of = lambda model: drafting(
            draft, model, base.tokenizer, sampling, rng, kv
        )
        self.decoder = self.decoder_of(voice.model)
        self.talk = Conversation(
            voice.model, base.tokenizer, sampling=sampling, max_tokens=max_tokens, roles=roles,
            form=voice.form, stop=self.stops, rng=rng, decoder=self.decoder,
        )

    @property
    def taught(self):
        """Whether who answers learned to."""
        return self.roles or (self.form is not None and self.form.template is not None)

    @property
    def stops(self):
        return self.stop or (() if self.taught else ("\n\n",))

    @property
    def help(self):
        names = [name for name in self.voices if name != "base"]
        return "\n".join([
            *([ADAPTER_HELP.format(", ".join(self.voices))] if names else []), CHAT_HELP
        ])

    def use(self, name):
        """Let another voice answer from here on."""
        voice = self.voices.get(name)
        if voice is None:
            click.echo(f"no adapter is called {name!r}. There are: {', '.join(self.voices)}.")
            return
        self.form, self.decoder = voice.form, self.decoder_of(voice.model)
        self.talk.use(voice.model, voice.form, self.stops, self.decoder)
        click.echo(f"{name} answers")

    def answer(self, text):
        """Print what the model answers, as it comes; an answer of nothing is said to be one."""
        from tinygpt.screens.console import ModelText, warn

        empty = True
        with ModelText() as write:
            for piece in self.talk.say(text):
                empty = empty and not piece.strip()
                write(piece)
        click.echo()
        if empty:
            warn(NO_WORD)


def _talk(room, screen) -> None:
    """Until there is no more line."""
    from tinygpt.errors import UserError

    for line in _said("> "):
        if line.startswith("/"):
            if line.split()[0] in ("/quit", "/exit"):
                return
            try:
                _chat_command(room, line)
            except UserError as error:
                screen.say(str(error))
            continue
        if not line.strip():
            continue
        try:
            room.answer(line)
        except KeyboardInterrupt:
            click.echo(" ...")
        except UserError as error:
            screen.say(str(error))


def _said(prompt: str):
    """Lines from the terminal, with its editing and history where there are, or from a pipe."""
    import contextlib
    import sys

    from tinygpt.text.reading import lines

    piped = None if sys.stdin.isatty() else lines(sys.stdin.buffer, "standard input")
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # arrow keys and history, from here on
    while True:
        try:
            if piped is None:
                line = input(prompt)
            else:
                click.echo(prompt, nl=False)
                line = next(piped)
        except (EOFError, StopIteration, KeyboardInterrupt):
            click.echo()
            return
        yield line


def _chat_command(room, line: str) -> None:
    import dataclasses

    command, _, argument = line.partition(" ")
    if command == "/reset":
        room.talk.reset()
    elif command == "/adapter":
        room.use(argument.strip())
    elif command == "/temperature":
        try:
            value = float(argument)
        except ValueError:
            click.echo(f"{argument!r} is not a number. Write for example /temperature 0.7")
            return
        room.talk.sampling = dataclasses.replace(room.talk.sampling, temperature=value)
    else:
        click.echo(room.help)
