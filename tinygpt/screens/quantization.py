"""The tables that `tinygpt quantize` prints.

Read next: quantize.py, quality.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tinygpt.compression.quality import Reference, decode_speeds, sweep
from tinygpt.compression.quantize import quantize_model
from tinygpt.errors import UserError
from tinygpt.machine.terminal import command
from tinygpt.model import LanguageModel
from tinygpt.pretraining.objective import only_pretraining, reopened
from tinygpt.runs.checkpoint import Checkpoint
from tinygpt.runs.run import Run
from tinygpt.screens.console import Progress, Screen, warn
from tinygpt.text import DataError
from tinygpt.text.reading import read_text
from tinygpt.weights.open import form_of, is_foreign, model_of, objective_of, open_model
from tinygpt.weights.quantized import load_quantized, save_quantized

SWEEP_TOKENS = 4_000  # each module is measured on this many at most


class Source:
    """What is quantized: the newest checkpoint of a run, or a model of another program.

    Raises UserError, as whoever opens it.
    """

    def __init__(self, path: str | Path):
        self.path, self.form = path, form_of(path)
        self._run = None if is_foreign(path) else Run.open(path)
        if self._run is not None:
            self._saved = self._run.find("last", warn)
            self.objective = self._run.config.objective
            self.tokenizer = self._run.tokenizer
        else:
            self.objective = objective_of(path)
            self.tokenizer = open_model(path, warn, whole=True)[1]

    def model(self) -> LanguageModel:
        """A model of its own for each caller."""
        if self._run is not None:
            return model_of(self._run, self._saved)
        return open_model(self.path, warn, whole=True)[0]

    def held_out(self, text: str | None) -> Any:
        """Token ids to measure on: of `text`, or a run's own; none of a model from elsewhere."""
        if self._run is not None:
            return held_out(self._run, self._saved, text)
        if text is None:
            return np.empty(0, np.int64)
        return self.tokenizer.encode_array(read_text(text), disallowed_special=())


def held_out(run: Run, saved: Checkpoint, text: str | None) -> Any:
    """Token ids that the run was not trained on: of `text`, or of its validation split.

    Raises UserError for a run whose model is not measured by its next tokens.
    """
    only_pretraining(run)
    if text is not None:
        return run.tokenizer.encode_array(read_text(text), disallowed_special=())
    try:
        return reopened(run, saved).dataset.validation
    except DataError as error:
        raise UserError(
            f"{run.path} has no held-out text to measure on ({error}). Give one with --text FILE."
        ) from error


def quantize_and_report(
    source: Source, scheme: str, out: str | None, text: str | None, eval_tokens: int
) -> None:
    """Quantize a model, print before and after, write `out` if it is given."""
    tokens = source.held_out(text)  # first: a text that cannot be read ends it at once
    written = quality = None
    with Progress() as say:
        say(f"making it {scheme}")
        before, after = source.model(), quantize_model(source.model(), scheme)
        if out is not None:
            written = save_quantized(after, source.tokenizer, out, source.objective, source.form)
            after, _ = load_quantized(out)  # measured is what was saved
        if len(tokens) > 1:
            say("measuring on held-out text")
            quality = Reference(before, tokens, eval_tokens).compare(after)
        say("measuring the speed")
        speeds = decode_speeds([before, after])
    float_bytes = 4 * before.count_parameters()
    small, ratio = ("", "") if written is None else (
        f"{written / 1e6:.2f} MB", f"{written / float_bytes:.3f}x"
    )
    screen = Screen()
    rows = [
        ["size", f"{float_bytes / 1e6:.2f} MB", small, ratio],
        ["tokens/s, one text", f"{speeds[0]:.0f}", f"{speeds[1]:.0f}",
         f"{speeds[1] / speeds[0]:.2f}x"],
    ]
    if quality is None:
        screen.say(
            f"{scheme}, too little text to measure what it costs: {len(tokens)} held-out tokens, "
            "and two are the least. Give some with --text FILE."
        )
    else:
        screen.say(f"{scheme}, measured on {quality.tokens} held-out tokens")
        rows[1:1] = [["perplexity", f"{quality.perplexity_before:.3f}",
                      f"{quality.perplexity_after:.3f}", f"{quality.perplexity_change:+.3%}"]]
        rows += [["same likeliest token", "", f"{quality.agreement:.3%}", ""],
                 ["KL, nats a token", "", f"{quality.kl:.6f}", ""]]
    screen.print(_table(["", "float32", scheme, ""], rows))
    if out is not None:
        screen.copyable(f"wrote {out}; let it write:")
        screen.shell(command("generate", Path(out)))


def print_sweep(source: Source, scheme: str, text: str | None, eval_tokens: int) -> None:
    """Each module alone quantized, what hurts most first."""
    with Progress() as say:
        say("measuring on held-out text")
        model = source.model()
        tokens = source.held_out(text)
        reference = Reference(model, tokens, min(eval_tokens, SWEEP_TOKENS))
        found = sweep(model, reference, scheme, lambda i, n: say("one module at a time", i, n))
    total = np.sum([quality.kl for _, quality in found])
    screen = Screen()
    screen.say(f"one module at a time to {scheme}, {found[0][1].tokens} held-out tokens")
    screen.print(_table(["", "KL, nats", "share", "perplexity"], [
        [name, f"{quality.kl:.7f}", f"{quality.kl / total if total else 0.0:.1%}",
         f"{quality.perplexity_change:+.3%}"]
        for name, quality in found
    ]))


def _table(titles: list[str], rows: list[list[str]]) -> Table:
    """Names to the left, numbers to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for i, title in enumerate(titles):
        table.add_column(title, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
