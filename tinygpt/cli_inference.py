"""The commands that use a trained model: generate, chat, quantize.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import click


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
        click.option("--seed", type=int, default=0, show_default=True),
        click.option("--stop", multiple=True, help="Text that ends the answer; repeatable."),
    )):  # fmt: skip
        command = option(command)
    return command


def _sampling(options: dict):
    from tinygpt.inference.sampling import Sampling

    names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
    return Sampling(**{name: options[name] for name in names})


@click.command()
@click.argument("model", metavar="RUN|FILE", type=click.Path())
@click.option("--prompt", default="\n", help="Text to go on from; - reads it from stdin.")
@click.option("--max-tokens", type=click.IntRange(1), default=200, show_default=True)
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True,
              help="Texts to write, each from the next seed.")  # fmt: skip
@sampling_options
def generate(model, prompt, max_tokens, samples, seed, stop, **options):
    """Let a trained model go on from a prompt.

    RUN is the --out folder of `tinygpt train`; FILE is what `tinygpt quantize` wrote.
    """
    import numpy as np

    from tinygpt.inference.generate import stream_text
    from tinygpt.inference.open import open_model

    sampling = _sampling(options)
    gpt, tokenizer = open_model(model)
    if prompt == "-":
        prompt = click.get_text_stream("stdin").read()
    for number in range(samples):
        click.echo(prompt, nl=False)
        for text in stream_text(
            gpt, tokenizer, prompt, max_tokens=max_tokens, sampling=sampling, stop=stop,
            rng=np.random.default_rng(seed + number),
        ):  # fmt: skip
            click.echo(text, nl=False)
        click.echo("\n" if number + 1 < samples else "")
