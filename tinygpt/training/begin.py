"""From a configuration, or from a run folder, to a Session that is ready to train.

    session = begin(load_config("S"), "run")      a new run
    session = resume("run")                       where it was left

Read next: session.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tinygpt.config import Config, ConfigError
from tinygpt.data import Dataset, baselines, open_dataset, prepare
from tinygpt.data.batches import check_length
from tinygpt.runs.run import Run, check_is_free
from tinygpt.storage.durable import replace_file
from tinygpt.text import DataError, load_corpus
from tinygpt.training.session import Session

BASELINE_TOKENS = 500_000  # looked at for the report's baselines: a second, 40 MB
Say = Callable[[str], None]


def begin(
    config: Config,
    out: str | Path,
    say: Say | None = None,
    approve: Callable[[Config, Dataset], Config] | None = None,
) -> Session:
    """Prepare the data, make the run's folder and an untrained model.

    say: hears what takes time.
    approve: sees the configuration with its vocabulary before anything but the tokens is made; may
        return a changed one or raise.
    Raises UserError: no such text, too little of it, a folder that holds a run already ...
    """
    out = Path(out)
    check_is_free(out)  # before the text is prepared, which takes a while
    dataset = prepare_data(config, out / "tokens", say)
    check_length(dataset.train, config.model.context, "the training text")
    config = config.replace("model", vocab_size=dataset.vocab_size)
    if approve is not None:
        config = approve(config, dataset)
    run = Run.create(out, config, dataset.tokenizer)
    _keep_baselines(run, dataset)
    return Session(run, dataset)


def resume(
    out: str | Path, change: Callable[[Config], Config] | None = None, say: Say | None = None
) -> Session:
    """Go on with a run from its newest undamaged checkpoint (from the start if it has none).

    change: makes the configuration that is wanted now from the run's own.
    say: hears what changed and which checkpoints are damaged.
    Raises UserError if the data is another or the changes cannot be made in mid-run.
    """
    say = say or (lambda text: None)
    run = Run.open(out)
    wanted = change(run.config) if change else run.config
    wanted = wanted.replace("model", vocab_size=run.config.model.vocab_size)
    differences = changes(run.config, wanted)
    fixed = [text for text in differences if not text.startswith("training.")]
    if fixed:
        raise ConfigError(
            f"{run.path} cannot go on with another {', '.join(fixed)}. Leave that as it was, or "
            "start a new run in another --out."
        )
    for text in differences:
        say(f"changed since the last session: {text}")
    dataset = reopen_data(run, say)
    if differences:
        run.write_config(wanted)
    session = Session(run, dataset)
    saved = run.newest_good(say)
    if saved is None:
        say("no checkpoint to go on from: training starts at step 0")
    else:
        session.check_data(saved)
        session.restore(saved)
        if differences:
            session.state.forget_usual()
        for text in session.differences(saved):
            say(text)
        say(f"going on from step {saved.step}")
    return session


def _keep_baselines(run: Run, dataset: Dataset) -> None:
    """Write baselines.json for the report, now, while no model takes memory beside it."""
    if len(dataset.validation) > 1:
        found = baselines(
            dataset.train[:BASELINE_TOKENS], dataset.validation[:BASELINE_TOKENS],
            dataset.vocab_size,
        )  # fmt: skip
        replace_file(run.path / "baselines.json", json.dumps(found._asdict()) + "\n")


def prepare_data(config: Config, folder: Path, say: Say | None, tokenizer=None) -> Dataset:
    """Tokens of the configured text in `folder`; a tokenizer is trained unless given."""
    told: set[str] = set()

    def progress(what: str, fraction: float) -> None:
        if say is not None and what not in told:
            told.add(what)
            say({"tokenizer": "training the tokenizer", "tokens": "encoding the text"}[what])

    source, kind = config.data, config.tokenizer
    return prepare(
        source.source, tokenizer or kind.kind, folder,
        seed=config.training.seed, split=source.split, by_position=source.by_position,
        stories_mb=source.stories_mb, vocab_size=kind.vocab_size, pattern=kind.pattern,
        errors=source.errors, progress=progress,
    )  # fmt: skip


def reopen_data(run: Run, say: Say) -> Dataset:
    """The tokens that the run began with, whatever has become of the text since."""
    folder, source = run.path / "tokens", run.config.data
    try:
        dataset = open_dataset(folder)
    except DataError:
        say(f"{folder} is gone: preparing the text again")
        return prepare_data(run.config, folder, say, run.tokenizer)
    try:
        seed = run.config.training.seed
        now = load_corpus(
            source.source, seed=seed, stories_mb=source.stories_mb, errors=source.errors
        ).fingerprint
    except DataError as error:
        say(f"{error} Going on with the tokens prepared when the run began.")
        return dataset
    if now != dataset.manifest["made_from"]["text"]:
        say(
            f"the text of {source.source} has changed since the run began; going on with the "
            "tokens prepared then. A new run in another --out learns from the new text."
        )
    return dataset


def changes(before: Config, after: Config) -> list[str]:
    """What differs between two configurations, as "section.key: old -> new"."""
    found = []
    for section, values in before.to_dict().items():
        for key, old in values.items():
            new = getattr(getattr(after, section), key)
            if old != new:
                found.append(f"{section}.{key}: {old} -> {new}")
    return found
