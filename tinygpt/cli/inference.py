"""The commands that use a trained model: generate, quantize; chat is in chat.py.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

from typing import Any

import click

from tinygpt.cli.paths import ModelPlace, Place
from tinygpt.errors import UserError


def sampling_options(command):
    """--temperature, --top-k, --top-p, --min-p, --repetition-penalty, --seed, --stop."""
    for option in reversed((
        click.option("--temperature", default=0.8, show_default=True,
                     help="0 always takes the likeliest token; above 1 is adventurous."),
        click.option("--top-k", type=int, help="Draw among the k likeliest tokens."),
        click.option("--top-p", type=float, default=0.95, show_default=True,
                     help="Draw among the likeliest tokens that together reach p."),
        click.option("--min-p", type=float, help="Drop tokens less than p times the likeliest."),
        click.option("--repetition-penalty", type=float, help="1.1 to 1.3 discourages repeating."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
        click.option("--stop", multiple=True, help="Text that ends the answer; repeatable."),
    )):
        command = option(command)
    return command


def draft_option(command):
    """--draft."""
    return click.option(
        "--draft", metavar="ngram|none|RUN", default="ngram", show_default=True,
        help="Guess tokens, by the text so far or by a smaller model, and check several in one "
        "pass, where that is faster. The text stays the same.",
    )(command)


def kv_option(command):
    """--kv."""
    return click.option(
        "--kv", type=click.Choice(["float32", "int8"]), default="float32", show_default=True,
        help="What the keys and values of the text so far are kept in; int8 takes a quarter of the "
        "memory, and long texts go faster.",
    )(command)


def drafting(draft: str, model, tokenizer, sampling, rng, kv):
    """What reads and steps, guessing by --draft, its keys and values kept in --kv."""
    from tinygpt.inference.drafts import ModelDraft, NgramDraft
    from tinygpt.inference.speculation import decoder_for
    from tinygpt.model import EncoderDecoder
    from tinygpt.screens.console import warn
    from tinygpt.weights.open import open_model

    if isinstance(model, EncoderDecoder):
        if kv != "float32":
            raise click.UsageError(
                f"--kv {kv} is for a model that goes on with a text, and this one turns a text "
                "into another. Leave it out."
            )
        return None  # it is made anew for each source
    if draft in ("none", "ngram"):
        return decoder_for(model, NgramDraft() if draft == "ngram" else None, kv)
    small, its_tokenizer = open_model(draft, warn=warn)
    if its_tokenizer.to_json() != tokenizer.to_json():
        raise UserError(f"{draft} has another tokenizer. Draft with a model that shares it.")
    decoder = decoder_for(model, ModelDraft(small, model, sampling, rng), kv)
    if not hasattr(decoder, "draft"):
        warn("the model is small: its weights stay in the processor's caches, and guessing would "
             "make it slower. It writes without.")
    return decoder


def say_counts(decoder) -> None:
    """What became of the guesses, if there were any."""
    counts = getattr(decoder, "counts", None)
    if counts is not None and counts.guessed:
        click.echo(f"{decoder.draft.name}: {counts}", err=True)


def adapter_option(help):
    """--adapter, repeatable."""
    return click.option("--adapter", "adapters", multiple=True, metavar="[NAME=]RUN|DIR", help=help)


def sampling_of(options: dict[str, Any]):
    from tinygpt.inference.sampling import Sampling

    names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
    return Sampling(**{name: options[name] for name in names})


@click.command()
@click.argument("model", metavar="RUN|FILE|NAME", type=ModelPlace())
@click.option("--prompt", help="Text to go on from; - reads it from stdin.  [a new line]")
@click.option("--max-tokens", type=click.IntRange(1), default=200, show_default=True)
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True,
              help="Texts to write, each from the next seed.")
@draft_option
@kv_option
@adapter_option("What was learned beside this model; several write in turn.")
@sampling_options
def generate(model, prompt, max_tokens, samples, adapters, draft, kv, seed, stop, **options):
    """Let a trained model go on from a prompt; an encoder-decoder turns it into another text.

    RUN is the --out folder of `tinygpt train`; FILE is what `tinygpt quantize` wrote. An adapter is
    a run of `tinygpt finetune`, or a folder of PEFT's.
    """
    import numpy as np

    from tinygpt.inference.generate import stream_text
    from tinygpt.inference.prompt import encode_prompt, opening
    from tinygpt.model import EncoderDecoder
    from tinygpt.screens.console import ModelText, warn
    from tinygpt.text.reading import read_text
    from tinygpt.weights.beside import Base

    sampling = sampling_of(options)
    base = Base.open(model, adapters, warn)
    gpt, tokenizer = base.model, base.tokenizer
    translates = isinstance(gpt, EncoderDecoder)
    if translates:
        sampling = _for_translation(model, prompt, sampling)
    if prompt is None:
        prompt = opening(tokenizer)
    elif prompt == "-":
        prompt = read_text(prompt)
    if translates:
        prompt = prompt.removesuffix("\n")
    for name in tokenizer.special_tokens:
        if name in prompt:
            click.echo(f"{name} in the prompt is read as ordinary characters", err=True)
    length, context = len(encode_prompt(tokenizer, prompt)), gpt.shape.context
    writers = base.adapted or base.voices()
    if length > context and not translates:
        click.echo(
            f"the prompt is {length} tokens long, the model's context {context}: it reads the last "
            f"{context}.",
            err=True,
        )
    texts = [(name, number) for name in writers for number in range(samples)]
    for name, number in texts:
        if len(writers) > 1 and not number:
            click.echo(f"[{name}]")
        voice, rng = writers[name], np.random.default_rng(seed + number)
        decoder = drafting(draft, voice.model, tokenizer, sampling, rng, kv)
        written = stream_text(
            voice.model, tokenizer, prompt, max_tokens=max_tokens, sampling=sampling, stop=stop,
            rng=rng, form=voice.form, decoder=decoder,
        )
        with ModelText() as write:
            if not translates:
                write(prompt)
            for text in written:
                write(text)
        click.echo("" if (name, number) == texts[-1] else "\n")
        say_counts(decoder)


def _for_translation(model, prompt, sampling):
    """How `generate` draws from an encoder-decoder: the likeliest, unless a temperature is given.

    Raises UsageError without a text to turn into another.
    """
    import dataclasses

    if prompt is None:
        raise click.UsageError(
            f"{model} turns one text into another. Give the text: --prompt TEXT, or --prompt -."
        )
    given = click.get_current_context().get_parameter_source("temperature")
    usual = given == click.core.ParameterSource.DEFAULT
    return dataclasses.replace(sampling, temperature=0.0) if usual else sampling


@click.command()
@click.argument("run", metavar="RUN", type=ModelPlace())
@click.option("--to", "scheme", type=click.Choice(["int8", "int4", "nf4"]), default="int8",
              show_default=True)
@click.option("--out", type=Place(dir_okay=False),
              help="File to write; without it only the quality is measured.")
@click.option(
    "--text",
    type=Place(dir_okay=False, allow_dash=True),
    help="Held-out text to measure on; the run's own validation split if not given.",
)
@click.option("--eval-tokens", type=click.IntRange(2), default=20_000, show_default=True)
@click.option("--sweep", is_flag=True, help="Show which layers hurt most, one at a time.")
def quantize(run, scheme, out, text, eval_tokens, sweep):
    """Make a model smaller and faster, and measure what it costs.

    \b
    int8   a quarter of the size, a byte a weight
    int4   a seventh: groups of 32 weights share a scale
    nf4    a seventh: 16 levels that suit a bell curve (QLoRA's)

    The file holds weights, configuration and tokenizer: `tinygpt generate FILE` needs no more.
    RUN may be a Hugging Face folder as well, measured on --text. An encoder or an encoder-decoder
    is measured by the loss it learned by; `tinygpt embed FILE`, `classify FILE` and `generate
    FILE` use them.
    """
    from tinygpt.screens.quantization import Source, print_sweep, quantize_and_report

    opened = Source(run)
    if sweep:
        print_sweep(opened, scheme, text, eval_tokens)
    if out or not sweep:
        quantize_and_report(opened, scheme, out, text, eval_tokens)
