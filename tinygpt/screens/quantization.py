"""The tables that `tinygpt quantize` prints.

Read next: quantize.py, quality.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from tinygpt.compression.quality import Reference, decode_speeds, sweep
from tinygpt.compression.quantize import quantize_model
from tinygpt.data import open_dataset
from tinygpt.errors import UserError
from tinygpt.runs.run import Run
from tinygpt.text import DataError
from tinygpt.weights.open import load_model
from tinygpt.weights.quantized import load_quantized, save_quantized

SWEEP_TOKENS = 4_000  # each module is measured on this many at most


def held_out(run: Run, text: str | None) -> Any:
    """Token ids that the run was not trained on: of `text`, or of its validation split."""
    if text is not None:
        return run.tokenizer.encode_array(Path(text).read_bytes())
    try:
        return open_dataset(run.path / "tokens").validation
    except (DataError, OSError) as error:
        raise UserError(
            f"{run.path} has no held-out text to measure on ({error}). Give one with --text FILE."
        ) from error


def quantize_and_report(
    run: Run, scheme: str, out: str | None, text: str | None, eval_tokens: int
) -> None:
    """Quantize the run's model, print before and after, write `out` if it is given."""
    before, after = load_model(run), quantize_model(load_model(run), scheme)
    float_bytes = 4 * before.count_parameters()
    size = f"{'':12}"
    if out is not None:
        written = save_quantized(after, run.tokenizer, out)
        after, _ = load_quantized(out)  # measured is what was saved
        size = f"{written / 1e6:9.2f} MB"
    quality = Reference(before, held_out(run, text), eval_tokens).compare(after)
    speeds = decode_speeds([before, after])
    ratio = f"{written / float_bytes:.3f}x" if out is not None else ""
    click.echo(f"{scheme}, measured on {quality.tokens} held-out tokens")
    click.echo(f"{'':28}{'float32':>12}{scheme:>12}")
    click.echo(f"{'size':28}{float_bytes / 1e6:9.2f} MB{size}  {ratio}")
    click.echo(
        f"{'perplexity':28}{quality.perplexity_before:12.3f}{quality.perplexity_after:12.3f}"
        f"  {quality.perplexity_change:+.3%}"
    )
    click.echo(f"{'tokens/s, one text':28}{speeds[0]:12.0f}{speeds[1]:12.0f}"
               f"  {speeds[1] / speeds[0]:.2f}x")
    click.echo(f"{'same likeliest token':28}{'':12}{quality.agreement:12.3%}")
    click.echo(f"{'KL divergence, nats':28}{'':12}{quality.kl:12.6f}")
    if out is not None:
        click.echo(f"wrote {out}; try: tinygpt generate {out} --prompt ...")


def print_sweep(run: Run, scheme: str, text: str | None, eval_tokens: int) -> None:
    """Each module alone quantized, what hurts most first."""
    model = load_model(run)
    tokens = held_out(run, text)
    reference = Reference(model, tokens, min(eval_tokens, SWEEP_TOKENS))
    found = sweep(model, reference, scheme)
    total = np.sum([quality.kl for _, quality in found])
    click.echo(f"one module at a time to {scheme}, {found[0][1].tokens} held-out tokens")
    click.echo(f"{'':28}{'KL, nats':>12}{'share':>8}{'perplexity':>12}")
    for name, quality in found:
        share = quality.kl / total if total else 0.0
        click.echo(f"{name:28}{quality.kl:12.7f}{share:8.1%}{quality.perplexity_change:+12.3%}")
