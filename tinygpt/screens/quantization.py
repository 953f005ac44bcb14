"""The tables that `tinygpt quantize` and `tinygpt compress` print.

Read next: quantize.py, quality.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tinygpt.adapters import merge
from tinygpt.compression.methods import Asked, compress
from tinygpt.compression.quality import (
    SWEEP_TOKENS,
    Reference,
    compare,
    decode_speeds,
    sweep,
)
from tinygpt.compression.quantize import quantize_model
from tinygpt.errors import UserError
from tinygpt.finetuning.classification import classifier_of
from tinygpt.inference.scoring import mean_loss
from tinygpt.machine.terminal import command
from tinygpt.model import Classifier, LanguageModel, build
from tinygpt.pretraining.adopt import adopt
from tinygpt.pretraining.objective import goes_on, reopened
from tinygpt.runs.run import Run
from tinygpt.screens.console import Progress, Screen, warn
from tinygpt.storage.paths import shown
from tinygpt.text import DataError
from tinygpt.text.reading import read_text
from tinygpt.training.objective import Objective, Say
from tinygpt.weights.open import (
    form_of,
    is_foreign,
    method_of,
    model_of,
    objective_of,
    open_model,
)
from tinygpt.weights.quantized import arrays_of, load_quantized, quantizable, save_quantized

LOOKED_AT = 2048  # tokens of a calibration text, to see whether it is of the model's kind


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

    def model(self) -> Any:
        """A model of its own for each caller."""
        if self._run is not None and self.objective == "classification":
            return classifier_of(self._run, self._saved)
        if self._run is not None:
            model = model_of(self._run, self._saved)
            if method_of(self._run).name != "full":
                merge(model)
            return model
        return open_model(self.path, warn, whole=True)[0]

    @property
    def goes_on(self) -> bool:
        """Whether its model goes on with a text, and is measured by its next tokens."""
        return self._run is None or goes_on(self._run)

    def held_out(self, text: str | None) -> Any:
        """Token ids to measure on: of `text`, or a run's own; none of a model from elsewhere.

        Raises UserError for a model that does not go on with a text.
        """
        if not self.goes_on:
            raise UserError(
                f"{shown(self.path)} is a run of {self.objective}, whose next tokens say nothing "
                "of it: it is measured on what it held out itself. Leave out --text and --sweep."
            )
        if text is not None:
            return self.tokenizer.encode_array(read_text(text), disallowed_special=())
        if self._run is None:
            return np.empty(0, np.int64)
        try:
            return reopened(self._run, self._saved).dataset.validation
        except DataError as error:
            raise UserError(
                f"{self._run.path} has no held-out text to measure on ({error}). Give one with "
                "--text FILE."
            ) from error

    def calibration(self, text: str | None) -> Any:
        """Token ids to see what the matrices read: of `text`, or what a run was trained on.

        Raises UserError for a model from elsewhere without a text, and as `held_out`.
        """
        if text is not None or not self.goes_on:
            tokens = self.held_out(text)
            if text is not None and (why := strange(self.model(), tokens)):
                warn(f"{shown(text)}: {why}")
            return tokens
        if self._run is None:
            raise UserError(
                f"{shown(self.path)} does not bring the text that it was trained on. Give some "
                "of its kind with --calibration FILE."
            )
        try:
            return reopened(self._run, self._saved).dataset.train
        except DataError as error:
            raise UserError(
                f"the text that {self._run.path} was trained on is gone ({error}). Give some of "
                "its kind with --calibration FILE."
            ) from error

    def judge(self) -> Objective:
        """What measures a run's models on what it held out.  Raises UserError for damaged data."""
        assert self._run is not None
        return reopened(self._run, self._saved)


def strange(model: LanguageModel, tokens: Any) -> str | None:
    """Why a text is hardly of the kind that a model knows, None where nothing speaks for that.

    A model that does not predict a text better than counting the text's own tokens does has learned
    nothing that would help there, as of another language.
    """
    some = np.asarray(tokens[:LOOKED_AT])
    if len(some) < 2:
        return None
    found = mean_loss(model, some, None, 1)
    share = np.unique(some, return_counts=True)[1] / len(some)
    counted = float(-(share * np.log(share)).sum())
    if found <= counted:
        return None
    return (
        f"the model predicts this text ({found:.2f} nats a token) less well than counting its "
        f"tokens does ({counted:.2f}), as if it were of another language. Give --calibration of "
        "the kind that the model is used on."
    )


def quantize_and_report(
    source: Source, scheme: str, out: str | None, text: str | None, eval_tokens: int
) -> None:
    """Quantize a model, print before and after, write `out` if it is given."""
    report(source, scheme, lambda model, say: quantize_model(model, scheme), out, text, eval_tokens)


def compress_and_report(
    path: str | Path, asked: Asked, out: str | None, calibration: str | None, text: str | None,
    eval_tokens: int,
) -> None:
    """Compress a model, print before and after, write `out` if it is given.

    Raises UserError as `compress`; for a model that does not go on with a text.
    """
    source = Source(path)
    if not source.goes_on:
        raise UserError(
            f"{shown(path)} is a run of {source.objective}, and compress reads texts that go on. "
            "Make it smaller by `tinygpt quantize`."
        )
    tokens = source.calibration(calibration) if asked.reads else ()

    def weigh(schemes: Mapping[str, str]) -> int:
        """By a file of zeros: codes take the same place whatever they are."""
        zeros = quantize_model(build(source.model().shape, None), schemes)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "zeros.tgpt"
            return save_quantized(zeros, source.tokenizer, path, source.objective, source.form)

    def make(model: Any, say: Say) -> Any:
        return compress(
            model, asked, tokens, weigh,
            lambda done, total: say(f"{asked.method}, block {done + 1} of {total}"),
        )

    report(source, asked.method, make, out, text, eval_tokens)


def report(
    source: Source, made: str, make: Callable[[Any, Say], Any], out: str | None, text: str | None,
    eval_tokens: int,
) -> None:
    """Make a model smaller, print before and after, write `out` if it is given.

    made: what it becomes, for titles.  make: (a model of its own, a line of progress) -> smaller;
    a model that is still float is written as a run, another as a file.
    """
    # What it is measured on first: what cannot be read ends it at once.
    judge = source.judge() if not source.goes_on and text is None else None
    tokens = source.held_out(text) if judge is None else ()
    with Progress() as say:
        say(f"making it {made}")
        before, after = source.model(), make(source.model(), say)
        size = _bytes(after)
        if out is not None:
            after, size = _written(source, after, Path(out))  # measured is what was saved
        if judge is not None:
            measured = _by_loss(judge, before, after, made, eval_tokens, say)
        else:
            measured = _by_next_tokens(tokens, before, after, made, eval_tokens, say)
    said, rows = measured
    float_bytes = 4 * before.count_parameters()
    small, ratio = f"{size / 1e6:.2f} MB", f"{size / float_bytes:.3f}x"
    screen = Screen()
    screen.say(said)
    rows.insert(0, ["size", f"{float_bytes / 1e6:.2f} MB", small, ratio])
    screen.print(_table(["", "float32", made, ""], rows))
    if out is not None:
        _what_next(screen, before, Path(out))


def _bytes(model: Any) -> int:
    """What the arrays of a model take of a file."""
    return sum(array.nbytes for array in arrays_of(model)[0].values())


def _written(source: Source, model: Any, out: Path) -> tuple[Any, int]:
    """(the model as it opens again, its bytes), written as a file or, still float, as a run."""
    if quantizable(model):
        adopt(model, source.tokenizer, source.form, out)
        return open_model(out, warn, whole=True)[0], _bytes(model)
    written = save_quantized(model, source.tokenizer, out, source.objective, source.form)
    return load_quantized(out)[0], written


def _what_next(screen: Screen, model: Any, out: Path) -> None:
    if isinstance(model, Classifier):
        screen.copyable(f"wrote {out}; let it say what a text is:")
        screen.shell(command("classify", out, "TEXT"))
    elif model.shape.assembly == "encoder":
        screen.copyable(f"wrote {out}; texts as vectors:")
        screen.shell(command("embed", out, "FILE", "--out", "vectors.npy"))
    else:
        screen.copyable(f"wrote {out}; let it write:")
        screen.shell(command("generate", out))


def _by_loss(
    judge: Objective, before: Any, after: Any, scheme: str, limit: int, say: Say
) -> tuple[str, list[list[str]]]:
    """(a sentence, rows) of models that do not go on with a text: the loss that they learned by."""
    say("measuring on what was held out")
    losses = [judge.evaluate(model, limit) for model in (before, after)]
    if losses[0] is None or losses[1] is None:
        return f"{scheme}; nothing was held out to measure what it costs", []
    change = losses[1] - losses[0]
    rows = [[f"loss, {judge.loss_unit}", f"{losses[0]:.4f}", f"{losses[1]:.4f}", f"{change:+.4f}"]]
    right = [judge.signs(model).get("right") for model in (before, after)]
    if right[0] is not None and right[1] is not None:
        change = right[1] - right[0]
        rows.append(["answers right", f"{right[0]:.1%}", f"{right[1]:.1%}", f"{change:+.1%}"])
    return f"{scheme}, measured on what was held out", rows


def _by_next_tokens(
    tokens: Any, before: LanguageModel, after: LanguageModel, scheme: str, limit: int, say: Say
) -> tuple[str, list[list[str]]]:
    """(a sentence, rows) of models that go on with a text."""
    quality = None
    if len(tokens) > 1:
        say("measuring on held-out text")
        quality = compare(before, after, tokens, limit)
    say("measuring the speed")
    speeds = decode_speeds([before, after])
    rows = [["tokens/s, one text", f"{speeds[0]:.0f}", f"{speeds[1]:.0f}",
             f"{speeds[1] / speeds[0]:.2f}x"]]
    if quality is None:
        return (
            f"{scheme}, too little text to measure what it costs: {len(tokens)} held-out tokens, "
            "and two are the least. Give some with --text FILE.", rows
        )
    perplexity = ["perplexity", f"{quality.perplexity_before:.3f}",
                  f"{quality.perplexity_after:.3f}", f"{quality.perplexity_change:+.3%}"]
    return f"{scheme}, measured on {quality.tokens} held-out tokens", [
        perplexity, *rows, ["same likeliest token", "", f"{quality.agreement:.3%}", ""],
        ["KL, nats a token", "", f"{quality.kl:.6f}", ""],
    ]


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
