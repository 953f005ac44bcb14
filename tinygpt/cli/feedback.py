"""`tinygpt feedback`: answers for people to compare or to rate, and what they said.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import sys

import click

from tinygpt.cli.paths import ModelPlace, Place


@click.command()
@click.argument("model", metavar="RUN", required=False, type=ModelPlace())
@click.option("--prompts", type=Place(dir_okay=False), metavar="FILE",
              help="A prompt on each line, or .jsonl with \"prompt\".")
@click.option("--against", type=ModelPlace(), metavar="RUN",
              help="Another model for the second answer.")
@click.option("--rate", is_flag=True,
              help="Ask for a thumb up or down for one answer at a time, in the place of two.")
@click.option("--out", default="feedback.sqlite", type=Place(dir_okay=False), show_default=True,
              help="File that all is kept in; one that is there goes on.")
@click.option("--temperature", type=click.FloatRange(0, min_open=True), default=1.0,
              show_default=True)
@click.option("--max-tokens", type=click.IntRange(1), default=200, show_default=True,
              help="Of an answer.")
@click.option("--seed", type=int, default=0, show_default=True,
              help="Of the answers, their sides and their order.")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen at; 0.0.0.0 is every one of this machine, and needs a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--export", type=Place(dir_okay=False), metavar="FILE",
              help="Write the pairs (ratings) for `tinygpt align`, without names, and end.")
@click.option("--ties", is_flag=True, help="Export ties, too.")
@click.option("--agreement", is_flag=True, help="Say how far raters agree, and end.")
def feedback(model, prompts, against, rate, out, temperature, max_tokens, seed, host, port, export,
             ties, agreement):
    """Let people compare two answers at a time, or rate one, on a page.

    \b
    tinygpt feedback answers --prompts prompts.txt
    tinygpt feedback answers --prompts prompts.txt --rate
    tinygpt feedback --out feedback.sqlite --agreement
    tinygpt feedback --out feedback.sqlite --export pairs.jsonl
    """
    from pathlib import Path

    from tinygpt.feedback.store import Store
    from tinygpt.storage.paths import shown

    there = Path(out).exists()
    if (export or agreement) and not there:
        raise click.UsageError(f"there is no {shown(out)}. Name the file of a feedback with --out.")
    if not there and (model is None or prompts is None):
        raise click.UsageError(
            "which model is to be judged, and on what? As in: tinygpt feedback RUN --prompts FILE."
        )
    kind, made = "ratings" if rate else "pairs", None
    if not there:
        made = _drawn(kind, model, against, prompts, temperature, max_tokens, seed)
    store = Store(out)
    try:
        if rate and there and store.kind != kind:
            raise click.UsageError(
                f"{shown(out)} asks for choices between two answers. Name another file with --out."
            )
        if ties and store.kind == "ratings":
            raise click.UsageError(f"{shown(out)} has ratings, among which are no ties. Leave "
                                   "--ties out.")
        if agreement or export:
            _tell(store, export, ties, agreement)
            return
        if made is not None:
            store.add(made, seed, kind)
        _serve(store, host, port)
    finally:
        store.close()


def _drawn(kind, model, against, prompts, temperature, most, seed):
    from tinygpt.errors import UserError
    from tinygpt.feedback.pairs import Writer, draw_pairs, draw_single, read_prompts
    from tinygpt.finetuning.rendering import form_for
    from tinygpt.screens.console import Progress, warn
    from tinygpt.weights.open import form_of, open_model

    asked, writers = read_prompts(prompts), []
    with Progress() as busy:
        for one in filter(None, (model, against)):
            busy("opening")
            opened, tokenizer = open_model(one, warn)
            form = form_of(one)
            if form is None:
                raise UserError(f"{one} was not taught to answer. Give the --out folder of a "
                                "`tinygpt finetune`.")
            writers.append(Writer(opened, tokenizer, form_for(tokenizer, form, None)))
        if kind == "ratings":
            busy(f"answers to {len(asked)} prompts")
            return draw_single(writers, asked, temperature, most, seed)
        busy(f"two answers to each of {len(asked)} prompts")
        made, alike = draw_pairs(writers, asked, temperature, most, seed)
    if alike:
        warn(f"{len(alike)} of {len(asked)} prompts are left out: all answers to them were alike, "
             f"as to {alike[0][:60]!r}")
    return made


def _tell(store, export, ties, agreement):
    from pathlib import Path

    from tinygpt.feedback.agreement import report
    from tinygpt.feedback.export import exported, exported_ratings
    from tinygpt.screens.console import Screen
    from tinygpt.storage.durable import replace_file

    verdicts = store.verdicts()
    if agreement:
        for line in report(verdicts):
            Screen().say(line)
    if export:
        items, rated = store.items(), store.kind == "ratings"
        text = exported_ratings(items, verdicts) if rated else exported(items, verdicts, ties)
        replace_file(Path(export), text)
        what = "rated answers" if rated else "pairs"
        Screen().say(f"{export}: {text.count(chr(10))} {what} of {len(verdicts)} verdicts")


def _serve(store, host, port):
    import asyncio
    import signal

    from tinygpt.feedback.server import FeedbackServer, files
    from tinygpt.serving.limits import Limits
    from tinygpt.serving.run import address_of
    from tinygpt.serving.security import Gate, is_loopback, make_key

    key = None if is_loopback(host) else make_key()

    async def run():
        server = await FeedbackServer.listen(
            store, Gate(key=key, free=set(files(store.kind))), Limits(), host, port
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(server.stop))
        where = f"http://{address_of(host)}:{server.port}/" + (f"#key={key}" if key else "")
        what = "answers to rate" if store.kind == "ratings" else "pairs to compare"
        click.echo(f"{len(store.items())} {what} at {where}", err=True)
        click.echo("Ctrl-C ends it; the same command goes on.", err=True)
        sys.stderr.flush()
        await server.serve()

    asyncio.run(run())
