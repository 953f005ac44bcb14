"""What guessing tokens gives: a text written plainly, by good guesses, by wrong ones, by n-grams.

    python -m bench draft --config GPT2 --dtype int8
    python -m bench draft --config M --dtype fp32 --tokens 200

The weights are random and the text is the likeliest, which soon repeats itself: n-grams do better
than on a text worth reading. The rows of good and wrong guesses bound what any draft can give, and
`measured` is the rule that users have (tinygpt/inference/speculation.py). All write the same ids.

Read first: docs/decoding.md.
"""

from __future__ import annotations

import time

import click
import numpy as np

from bench import timing
from bench.generate import SHAPES, read_spec
from minigrad.nn.quantized import SCHEMES

PROMPT = 16


class Known:
    """Guesses what is known to come, or everything but that."""

    name = "known"

    def __init__(self, text: list[int], shift: int):
        self.text, self.shift = text, shift

    def guess(self, text: np.ndarray, count: int) -> list[int]:
        """As Draft."""
        return [token ^ self.shift for token in self.text[len(text) : len(text) + count]]


def write(decoder, tokens: int) -> tuple[float, list[int]]:
    """(seconds a token, the ids), the likeliest each time."""
    decoder.clear()
    token = decoder.feed(np.ones((1, PROMPT), dtype=np.int64)).argmax(axis=-1)
    ids, start = [int(token[0])], time.perf_counter()
    for _ in range(tokens):
        token = decoder.step(token).argmax(axis=-1)
        ids.append(int(token[0]))
    return (time.perf_counter() - start) / tokens, ids


@click.command()
@click.option("--config", type=click.Choice(["S", "M", "B", "L", *SHAPES]), default="GPT2")
@click.option("--dtype", type=click.Choice(["fp32", *SCHEMES]), default="int8")
@click.option("--tokens", type=int, default=60, show_default=True)
@click.option("--rounds", type=int, default=5, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
def command(config, dtype, tokens, rounds, threads):
    """Tokens per second with guesses, against without."""
    from bench.peers.writers import Ours
    from tinygpt.inference.decoder import Decoder
    from tinygpt.inference.drafts import NgramDraft
    from tinygpt.inference.speculation import Always, SpeculatingDecoder

    model = Ours(read_spec(config, dtype, threads)).model
    plain = Decoder(model)
    _, written = write(plain, tokens)
    text = [1] * PROMPT + written
    rows = {
        "plain": plain,
        "right, always": SpeculatingDecoder(model, Known(text, 0), Always()),
        "wrong, always": SpeculatingDecoder(model, Known(text, 1), Always()),
        "wrong, measured": SpeculatingDecoder(model, Known(text, 1)),
        "n-grams, measured": SpeculatingDecoder(model, NgramDraft()),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, decoder in rows.items():
            took, ids = write(decoder, tokens)
            if ids != written:
                raise click.ClickException(f"{name}: another text")
            seconds[name].append(took)
    click.echo(f"{config} {dtype}, {threads} threads\n{timing.headline()}")
    for name, decoder in rows.items():
        gain = timing.ratio(seconds, name, "plain")
        click.echo(
            f"{name:20}{1 / timing.spread(seconds[name]).median:8.0f} tokens/s {gain.median:6.2f}x"
            f"   {getattr(decoder, 'counts', '')}"
        )
