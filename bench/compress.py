"""Every way to make a model smaller, on one model and one text: bytes, speed, quality.

    python -m bench compress RUN --out FOLDER              all methods; goes on where it stands
    python -m bench compress --draw FOLDER                 the table and the chart again

RUN is a run that goes on with a text (a GGUF file with --text and --calibration). Of each method:
bytes of the file, or of the float arrays where it stays float; tokens/s of generation as a multiple
of the float model's, the two taking turns; bits per byte of held-out text with its 95 % interval;
and a task, of four continuations of a held-out text to find the true one. Behind the table stand
pairs of methods on the same pieces of text, which tell apart what the table's intervals do not.

What was cut is also healed: --steps of training from the cut model, its parent the teacher.

Read next: compress_chart.py, docs/compression.md.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

LINES, FIGURE = "compress.jsonl", "compression.svg"
QUESTIONS, CHOICES, BEFORE, AFTER = 60, 4, 120, 60  # characters before and after
PAIRS = (("magnitude 50 %", "wanda 50 %"), ("wanda 50 %", "sparsegpt 50 %"),
         ("int4", "gptq int4"), ("int4", "awq int4"), ("int4", "budget"))  # the latter should win
NEAREST = ("int8", "int4", "nf4")
CUTS = {"channels": 0.3, "heads": 0.25, "layers": 0.25, "sharing": 0.5}


class Bench(NamedTuple):
    """A model, its texts, and how long healing takes.

    folder: where what is healed is kept.
    """

    path: str
    folder: Path
    calibration: np.ndarray
    held: str
    steps: int
    limit: int
    questions: int = QUESTIONS

    def model(self) -> Any:
        """A float model of its own for each method."""
        from tinygpt.weights.open import open_model

        return open_model(self.path, lambda text: None, whole=True)[0]

    @property
    def tokenizer(self) -> Any:
        from tinygpt.weights.open import open_model

        return open_model(self.path, lambda text: None)[1]


def methods() -> dict[str, Callable[[Bench], Any]]:
    """Name -> what makes a smaller model."""
    made: dict[str, Callable[[Bench], Any]] = {"float32": lambda b: b.model()}
    for scheme in NEAREST:
        made[scheme] = lambda b, scheme=scheme: _quantized(b.model(), scheme)
    for method in ("gptq", "awq"):
        made[f"{method} int4"] = lambda b, method=method: _compressed(b, method)
    made["budget"] = _budget
    for method in ("magnitude", "wanda", "sparsegpt"):
        made[f"{method} 50 %"] = lambda b, method=method: _compressed(b, method)
    made["sparsegpt 2:4"] = lambda b: _compressed(b, "sparsegpt", pattern="2:4")
    made["svd 25 %"] = lambda b: _compressed(b, "svd", 0.25)
    for part, share in CUTS.items():
        name = f"{part} {100 * share:.0f} %"
        made[name] = lambda b, part=part, share=share: _compressed(b, part, share)
        made[f"{name}, healed"] = lambda b, part=part, share=share: _healed(b, part, share)
    made["int4, trained through"] = _through
    made["channels 30 %, healed, int4"] = lambda b: _quantized(_healed(b, "channels", 0.3), "int4")
    return made


def _quantized(model: Any, scheme: str) -> Any:
    from tinygpt.compression.quantize import quantize_model

    return quantize_model(model, scheme)


def _compressed(b: Bench, method: str, share: float = 0.5, pattern: str = "free") -> Any:
    from tinygpt.compression.methods import Asked, compress

    asked = Asked(method, share, pattern, limit=b.limit)
    return compress(b.model(), asked, b.calibration, lambda schemes: 0)


def _budget(b: Bench) -> Any:
    """As many bytes as int4 takes: other bits at other places."""
    from tinygpt.compression.methods import Asked, compress

    def weigh(schemes: Any) -> int:
        return _bytes(_quantized(b.model(), schemes))

    return compress(b.model(), Asked("budget", bytes=weigh("int4")), b.calibration, weigh)


def _healed(b: Bench, part: str, share: float) -> Any:
    """Cut, and trained for b.steps with the whole model as its teacher."""
    cut = b.folder / f"cut-{part}"
    if not cut.exists():
        from tinygpt.pretraining.adopt import adopt

        adopt(_compressed(b, part, share), b.tokenizer, None, cut)
    return _distilled(b, cut, b.folder / f"healed-{part}", {})


def _through(b: Bench) -> Any:
    """Trained through int4, then rounded to it."""
    return _quantized(
        _distilled(b, Path(b.path), b.folder / "through", {"rounded": "int4"}), "int4"
    )


def _distilled(b: Bench, base: Path, out: Path, how: dict[str, Any]) -> Any:
    from tinygpt.config import from_dict
    from tinygpt.runs.run import Run
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer
    from tinygpt.weights.open import load_model

    if not out.exists():
        own = Run.open(b.path).config.to_dict()
        recipe = {**own["training"], "steps": b.steps, "warmup_steps": max(1, b.steps // 20),
                  "eval_every": None, "sample_every": None, "checkpoint_every": None}
        recipe |= {"lr": own["training"]["lr"] / 4, "min_lr": 0.0}
        if "rounded" in how:  # from where it stands, by less
            recipe["lr"] /= 4
        session = begin(from_dict({
            "objective": "distillation", "base": str(base), "data": own["data"],
            "distillation": {"teacher": b.path, **how}, "training": recipe,
        }), out)
        Trainer(session).run()
    return load_model(Run.open(out))


def _bytes(model: Any) -> int:
    from tinygpt.weights.quantized import arrays_of

    return sum(array.nbytes for array in arrays_of(model)[0].values())


def task(text: str, questions: int = QUESTIONS) -> list[tuple[str, list[str]]]:
    """(a beginning, its continuation and three of other places) over a text, always the same."""
    rng = np.random.default_rng(0)
    room = len(text) - BEFORE - AFTER
    if room < questions:
        return []
    starts = np.linspace(0, room - 1, questions).astype(int)
    found = []
    for start in starts.tolist():
        others = rng.integers(0, room, CHOICES - 1)
        after = [text[at + BEFORE : at + BEFORE + AFTER] for at in (start, *others.tolist())]
        found.append((text[start : start + BEFORE], after))
    return found


def measured(b: Bench, name: str, made: Any, whole: Any) -> dict[str, Any]:
    """The line of one method.  whole: the float model, to be as fast as; None: not timed."""
    from tinygpt.evaluation.intervals import ratio
    from tinygpt.evaluation.language_modelling import Passage, measure
    from tinygpt.evaluation.subject import Local

    subject = Local(made, b.tokenizer)
    lines = list(measure(subject, [Passage("held out", b.held)]))
    bits = ratio(
        [line["nats"] / math.log(2) for line in lines], [line["bytes"] for line in lines],
        np.random.default_rng(0),
    )
    asked = task(b.held, b.questions)
    right = sum(
        int(np.argmax([one.nats for one in subject.scores(before, after)]) == 0)
        for before, after in asked
    )
    return {
        "name": name, "clusters": [(line["nats"], line["bytes"]) for line in lines],
        "bytes": _bytes(made), "bits": bits.value, "low": bits.low,
        "high": bits.high, "right": right / max(1, len(asked)), "asked": len(asked),
        **({} if whole is None else _timed(whole, made)),
    }


def _timed(whole: Any, made: Any) -> dict[str, Any]:
    """How fast it writes beside the float model, and when that was measured."""
    import kernels
    from tinygpt.compression.quality import decode_speeds

    before, after = decode_speeds([whole, made])
    return {
        "tokens_per_second": after, "speed": after / before,
        "when": time.strftime("%Y-%m-%d %H:%M"), "load": os.getloadavg()[0],
        "threads": kernels.get_num_threads(),
    }


def run(b: Bench, only: Sequence[str], busy: bool = False) -> None:
    """Measure every method that has no line yet; on a busy machine not how fast it is."""
    path, whole = b.folder / LINES, None if busy else b.model()
    done = {line["name"] for line in read(path)}
    for name, make in methods().items():
        if name in done or (only and name not in only):
            continue
        started = time.perf_counter()
        made = make(b)
        took = time.perf_counter() - started
        line = {**measured(b, name, made, whole), "seconds": took}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        click.echo(f"{name:30} {line['bits']:.4f} bits per byte, {line['bytes'] / 1e6:.2f} MB")


def read(path: Path) -> list[dict[str, Any]]:
    """The lines there are, in the order of the methods."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    order = list(methods())
    return sorted(lines, key=lambda line: order.index(line["name"]))


@click.command()
@click.argument("run_", metavar="RUN", required=False)
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Where lines are kept.")
@click.option("--draw", type=click.Path(path_type=Path, exists=True), help="Draw that folder's.")
@click.option("--text", type=click.Path(exists=True), help="Held-out text.  [the run's own]")
@click.option("--calibration", type=click.Path(exists=True), help="Text of the kind it is used on.")
@click.option("--steps", default=80, show_default=True, help="Of healing.")
@click.option("--bytes", "limit", default=60_000, show_default=True, help="Of held-out text.")
@click.option("--tokens", default=16_384, show_default=True, help="Of calibration.")
@click.option("--questions", default=QUESTIONS, show_default=True, help="Of the task.")
@click.option("--busy", is_flag=True, help="Do not take speeds: other programs run.")
@click.option("--only", multiple=True, help="Methods.  [all]")
def command(run_, folder, draw, text, calibration, steps, limit, tokens, questions, busy, only):
    """Every method of `tinygpt compress` and `distill` on one model and one text."""
    from bench.compress_chart import compared, figure, table, taken

    if draw is None:
        if run_ is None or folder is None:
            raise click.UsageError("give a RUN and --out FOLDER, or --draw FOLDER.")
        folder.mkdir(parents=True, exist_ok=True)
        made = _bench(run_, folder, text, calibration, steps, limit, tokens)
        run(made._replace(questions=questions), only, busy)
    lines = read((draw or folder) / LINES)
    click.echo(table(lines, not busy))
    if not busy:
        click.echo(taken(lines))
    click.echo("\n".join(compared(lines, PAIRS)))
    ((draw or folder) / FIGURE).write_text(figure(lines), encoding="utf-8")
    if shutil.which("chromium"):
        click.echo(f"look at {(draw or folder) / FIGURE}")


def _bench(path, folder, text, calibration, steps, limit, tokens) -> Bench:
    from tinygpt.screens.quantization import Source

    source = Source(path)
    held = source.held_out(text)
    words = source.tokenizer.decode(np.asarray(held[: 2 * limit]))[:limit]
    return Bench(path, folder, source.calibration(calibration), words, steps, tokens)
