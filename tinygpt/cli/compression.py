"""`tinygpt compress`: a model made smaller by what it reads."""

from __future__ import annotations

import click

from tinygpt.cli.paths import ModelPlace, Place, Size
from tinygpt.compression.methods import METHODS


@click.command()
@click.argument("run", metavar="RUN", type=ModelPlace())
@click.option("--method", type=click.Choice(METHODS), required=True)
@click.option("--share", default=0.5, show_default=True, help="Of weights, or of parts, that go.")
@click.option("--pattern", type=click.Choice(["free", "2:4"]), default="free", show_default=True,
              help="Which weights may go: any, or two of every four.")
@click.option("--budget", type=Size(), help="As in 40MB: how large the file may be.")
@click.option("--out", type=Place(), help="What to write; without it only the quality is measured.")
@click.option("--calibration", type=Place(dir_okay=False), metavar="FILE",
              help="Text of the kind it is used on (magnitude reads none); what it was trained on "
              "if not given.")
@click.option("--text", type=Place(dir_okay=False, allow_dash=True), metavar="FILE",
              help="Held-out text to measure on; the run's own validation split if not given.")
@click.option("--calibration-tokens", type=click.IntRange(1), default=16_384, show_default=True)
@click.option("--eval-tokens", type=click.IntRange(2), default=20_000, show_default=True)
def compress(
    run, method, share, pattern, budget, out, calibration, text, calibration_tokens, eval_tokens
):
    """Make a model smaller by looking at what it reads, and measure what that costs.

    \b
    gptq, awq                     int4 as `quantize` writes it, codes chosen by what is read
    budget                        a scheme for each matrix, such that the file has --budget bytes
    magnitude, wanda, sparsegpt   a --share of the weights becomes 0 (no smaller, no faster)
    svd                           each matrix as a product of two with a --share fewer values
    layers, heads, channels       a --share of them is taken away: smaller and faster
    sharing                       layers share their blocks, a --share fewer: smaller

    Rounded models are written as a file, the others as a run, which `quantize` takes as well, and
    which `tinygpt distill RUN --student OUT` heals.
    """
    from tinygpt.compression.methods import Asked
    from tinygpt.screens.quantization import compress_and_report

    asked = Asked(method, share, pattern, budget or 0, limit=calibration_tokens)
    compress_and_report(run, asked, out, calibration, text, eval_tokens)
