"""A model card: what a run learned from, how, at what cost, what it can do and what it cannot.

    print(card(Run.open("run"), warn))

Written from what the run's folder holds (config.json, metrics.jsonl, the files of results in
evaluations/) and from nothing else: what was not measured is not claimed. The form follows Mitchell
et al. 2019: details, data, cost, results, limits.

Read first: tables.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygpt.config import find_objective
from tinygpt.errors import UserError
from tinygpt.evaluation.results import Results, left_out, read, shown_interval
from tinygpt.evaluation.tables import rows, verdict
from tinygpt.runs import metrics
from tinygpt.runs.run import Run
from tinygpt.screens.live import duration
from tinygpt.screens.report import SUITE_CURVE
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import shown
from tinygpt.weights.open import digest, open_model

Warn = Callable[[str], object]
LIMITS = (
    "It was evaluated on nothing but what stands under Results; what is not there is unknown.",
    "It writes what is likely after its training text, true or not, and takes over its prejudices.",
    "A passage that stood often in its training text may come out word for word.",
)


def card(run: Run, warn: Warn) -> str:
    """The card as Markdown.

    warn: told of damaged lines in what it is made of.
    Raises UserError where the run cannot be read.
    """
    found = evaluations(run, warn)
    if found:
        found = of_weights(found, digest(open_model(run.path, warn)[0]), warn)
    parts = [
        f"# {shown(run.path.resolve().name)}", _details(run), _cost(run, warn), _results(found),
        "## Limits\n\n" + "\n".join(f"- {one}" for one in (*_missing(found), *LIMITS)),
    ]
    return "\n\n".join(parts) + "\n"


def evaluations(run: Run, warn: Warn) -> list[Results]:
    """The files of results of a run, by name.  warn: told of those that cannot be read."""
    folder, found = run.path / "evaluations", []
    for path in sorted(folder.glob("*.jsonl")):
        if path.name == Path(SUITE_CURVE).name:
            continue
        try:
            found.append(read(path, warn))
        except UserError as error:
            warn(str(error))
    return found


def of_weights(found: list[Results], identity: str, warn: Warn) -> list[Results]:
    """Those that were measured on these weights, as far as that is known.

    warn: told of the others: the run has learned since.
    """
    kept = [one for one in found if one.header["identity"] in ("", identity)]
    if old := [one.header["suite"] for one in found if one not in kept]:
        warn(f"left out, since the run has learned since: {', '.join(old)}. Evaluate it again.")
    return kept


def _details(run: Run) -> str:
    objective = find_objective(run.config.objective)(run.config)
    kind, detail = objective.describe_model()
    recipe = run.config.training
    lines = [
        f"- {kind} of {objective.parameters:,} parameters" + (f" ({detail})" if detail else ""),
        f"- objective: {run.config.objective}; tokenizer of {run.tokenizer.vocab_size:,} ids",
        f"- recipe: {recipe.steps:,} steps of {recipe.batch_size * recipe.accumulation} rows, "
        f"learning rate {recipe.lr:g}, seed {recipe.seed}",
        f"- learned from: {objective.describe_data()}",
    ]
    data = getattr(run.config, "data", None)
    if data is not None and hasattr(data, "split"):
        shares = " / ".join(f"{share:.0%}" for share in data.split)
        lines.append(f"- split into training / held-out / test: {shares}")
    return "## Model and data\n\n" + "\n".join(lines)


def _cost(run: Run, warn: Warn) -> str:
    """Time and memory as the run noted them; energy where the machine tells."""
    seconds = tokens = memory = 0.0
    energy: float | None = None
    for line in metrics.read(run.path / "metrics.jsonl", warn):
        seconds += line.get("seconds") or 0.0
        tokens = max(tokens, line.get("tokens") or 0)
        memory = max(memory, line.get("rss_bytes") or 0)
        if line.get("event") == "energy":
            energy = (energy or 0.0) + float(line["text"].split()[0])
    lines = [
        f"- {duration(seconds)} of training, {tokens:,.0f} tokens read",
        f"- {memory / 1e6:,.0f} MB of memory at most",
        "- energy: " + (f"{energy / 3600:.2f} Wh" if energy is not None
                        else "not known, this machine does not tell"),
    ]
    return "## Cost\n\n" + "\n".join(lines)


def _results(found: list[Results]) -> str:
    if not found:
        return "## Results\n\nNone. Make some with `tinygpt evaluate`."
    parts = ["## Results", "Between two numbers: where the truth lies, 95 of 100 times."]
    for one in found:
        parts.append(f"### {one.header['suite']}, {len(one.counted):,} items")
        try:
            table, said = rows(one), verdict(one)
        except UserError as error:
            parts.append(str(error))
            continue
        lines: list[Any] = ["| | | 95 % |", "|---|---|---|"]
        for row in table:
            value, interval = shown_interval(row.found, row.percent)
            lines.append(f"| {row.name} | {value} | {interval} |")
        parts += ["\n".join(lines), "\n".join(f"- {sentence}" for sentence in said)]
    return "\n\n".join(part for part in parts if part)


def _missing(found: list[Results]) -> list[str]:
    """What evaluations left out."""
    said = []
    for one in found:
        if sentence := left_out(one.lines):
            said.append(f"{one.header['suite']}: {sentence}")
    return said


def write_card(run: Run, warn: Warn) -> Path:
    """MODEL_CARD.md in the run's folder.  Raises UserError where it cannot be written."""
    path, text = run.path / "MODEL_CARD.md", card(run, warn)
    try:
        replace_file(path, text)
    except OSError as error:
        raise UserError(
            f"cannot write {shown(path)}: {error.strerror or error}. Make room there."
        ) from None
    return path
