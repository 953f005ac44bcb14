"""From a folder to a corpus: the stages in their order, in one process or several.

    curate(folder, out)      read -> survey -> judge -> group -> write

The stages that look at a part alone are shared among workers, or among the machines of a Dask
cluster (cluster.py); those that look at the whole run here. work.py says why a kill loses nothing.

Read next: work.py, reading.py.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tinygpt.curation import (
    classifier,
    decontaminate,
    grouping,
    judging,
    language,
    quality,
    readers,
    reading,
    source,
    survey,
    work,
    writing,
)
from tinygpt.curation.account import NAME, Account, Balance
from tinygpt.curation.rules import settings as rule_settings
from tinygpt.curation.shards import writer_of
from tinygpt.errors import UsageError, UserError
from tinygpt.storage.paths import expand, shown
from tinygpt.text.curated import manifest_of

Progress = Callable[[str, float, float], None]
# stage: what does a part of it, the suffix of the file that it leaves last
STAGES: dict[str, Callable[[work.Work, int], None]] = {
    "read": reading.read_part, "judged": judging.judge_part,
}
NAMES = {"read": "reading", "judged": "judging"}


class Runner(Protocol):
    """Does `do` for each part, in any order, and gives the numbers of those that are done."""

    def __call__(self, do: Callable[[int], int], parts: list[int]) -> Iterator[int]: ...


def do_part(folder: str, key: str, stage: str, part: int) -> int:
    """A part of a stage, in whatever process."""
    STAGES[stage](work.opened(folder, key), part)
    return part


def here(do: Callable[[int], int], parts: list[int]) -> Iterator[int]:
    """The Runner of this process alone."""
    yield from map(do, parts)


@dataclasses.dataclass
class Workers:
    """The Runner of several processes of this machine.  Use it in a with block."""

    count: int

    def __enter__(self) -> Workers:
        # Not forked: a fork after a kernel ran on several threads may hang (kernels/threads.py).
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self.count, context)
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __call__(self, do: Callable[[int], int], parts: list[int]) -> Iterator[int]:
        for done in as_completed([self._pool.submit(do, part) for part in parts]):
            yield done.result()


def curate(
    folder: str | Path,
    out: str | Path,
    *,
    rules: str | Path | None = None,
    languages: str | Path | None = None,
    examples: str | Path | None = None,
    against: str | Path | None = None,
    form: str = "jsonl",
    workers: int = 1,
    runner: Runner | None = None,
    progress: Progress | None = None,
) -> Balance:
    """Make a corpus of all that can be read below `folder`, in the folder `out`.

    rules: a TOML file that is laid over rules/rules.toml.  form: "jsonl", "text" or "parquet".
    languages: a folder with a folder of texts for each language (language.py).
    examples: a folder with a folder `accept`, and perhaps `reject` (quality.py).
    against: a file of evaluation items; documents that hold one are dropped (decontaminate.py).
    workers: processes; how many changes no byte.  runner: another way to have parts done.
    progress: hears progress(what, parts done, parts).
    What is there of the same work is gone on with, or is the answer if it is finished.
    Raises UsageError for a folder, file or setting that cannot be, UserError for a full disk.
    """
    out = Path(expand(out))
    settings = rule_settings.load(rules)
    writer_of(form)  # or what it needs is not installed
    _check_out(out)
    found = source.find(folder, set(readers.READERS), out)
    if not found.sources:
        raise UsageError(_nothing(folder, found))
    plan = plan_of(found, settings, form)
    plan["languages"], plan["examples"] = stamp(languages), stamp(examples)
    plan["against"] = stamp(against)
    if against is not None:
        decontaminate.load(Path(expand(against)), settings.of("decontamination")["words"])
    key = work.key_of(plan)
    if _is_done(out, key):
        return _balance(out)
    report = progress or (lambda what, done, total: None)
    several = min(workers, len(plan["parts"]))
    pool: AbstractContextManager[Runner] = nullcontext(runner or here)
    if runner is None and several > 1:
        pool = Workers(several)
    try:
        job, _ = work.begin(out, plan)
        with pool as run:
            _stages(job, key, out, run, report)
    except OSError as error:
        raise UserError(
            f"cannot write {shown(out)}: {error.strerror or error}. Make room, then say the same "
            "again: it goes on where it was."
        ) from error
    return _balance(out)


def _stages(job: work.Work, key: str, out: Path, run: Runner, report: Progress) -> None:
    _teach(job, report)
    _parts(job, key, "read", run, report)
    if not job.path("survey", suffix=".json").is_file():
        report("comparing", 0, 1)
        survey.survey(job)
    _parts(job, key, "judged", run, report)
    if not job.path("fates", suffix=".npy").is_file():
        report("looking for copies", 0, 1)
        grouping.group(job)
    report("writing", 0, 1)
    leaks = json.loads(job.path("leaks", suffix=".json").read_text("utf-8"))
    writing.write(job, out, {"key": key, "leaks": leaks})
    work.end(out)


def _teach(job: work.Work, report: Progress) -> None:
    """Train the classifiers that the plan asks for and that are not there yet."""
    for name, given, train in (
        (language.MODEL, job.plan["languages"], _train_languages),
        (quality.MODEL, job.plan["examples"], quality.train),
    ):
        path = job.path(name, suffix=".model")
        if given and not path.is_file():
            report(f"learning {name}", 0, 1)
            train(Path(given["path"])).save(path)


def _train_languages(folder: Path) -> classifier.Classifier:
    return classifier.train(language.examples_of(folder))


def stamp(given: str | Path | None) -> dict[str, Any] | None:
    """A path and what changes when what is there does; None for none.  Raises UsageError."""
    if given is None:
        return None
    path = Path(expand(given)).resolve()
    if not path.exists():
        raise UsageError(f"{shown(path)} is not there. Check the path.")
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    seen = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return {"path": str(path), "key": work.key_of({"files": seen})}


def _parts(job: work.Work, key: str, stage: str, run: Runner, report: Progress) -> None:
    """Have the parts of a stage done that are not."""
    left = [part for part in range(job.parts) if not job.path(stage, part).is_file()]
    done = job.parts - len(left)
    report(NAMES[stage], done, job.parts)
    for _ in run(partial(do_part, str(job.folder), key, stage), left):
        done += 1
        report(NAMES[stage], done, job.parts)


def _noted(values: dict[str, Any]) -> dict[str, Any]:
    """The settings as a plan keeps them: without one that came later, unless it is used, so that a
    corpus begun before goes on."""
    reading = {name: value for name, value in values["reading"].items()
               if name != "trafilatura" or value}
    return {**values, "reading": reading}


def plan_of(found: source.Found, settings: rule_settings.Settings, form: str) -> dict[str, Any]:
    """All that decides what comes out, as JSON holds it."""
    parts = source.parts(found.sources)
    numbers = iter(range(len(found.sources)))
    return {
        "sources": [
            {
                "path": str(one.path.resolve()), "name": one.name, "start": one.start,
                "stop": one.stop, "time": os.stat(one.path).st_mtime_ns,
            }
            for one in found.sources
        ],
        "parts": [[next(numbers) for _ in part] for part in parts],
        "left": found.left, "settings": _noted(settings.values), "format": form,
    }


def _check_out(out: Path) -> None:
    """Raise UsageError where a corpus would be mixed with what is not of one."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{shown(out)} is no folder. Name another for the corpus.")
    ours = (out / work.FOLDER).is_dir() or manifest_of(out) is not None
    if any(out.iterdir()) and not ours:
        raise UsageError(f"{shown(out)} is not empty and no corpus. Name another folder.")


def _is_done(out: Path, key: str) -> bool:
    if manifest_of(out) is None or not (out / NAME).is_file():
        return False
    account = Account(out)
    try:
        return account.note("key") == key
    finally:
        account.close()


def _balance(out: Path) -> Balance:
    account = Account(out)
    try:
        return account.balance()
    finally:
        account.close()


def _nothing(folder: str | Path, found: source.Found) -> str:
    kinds = ", ".join(readers.READERS)
    what = "; ".join(f"{name} ({why})" for name, _, why in found.left[:4])
    left = f" Left out: {what}." if what else ""
    return f"{shown(folder)} holds nothing that can be read. Known are {kinds}.{left}"

