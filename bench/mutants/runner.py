"""Let the tests judge every mutant of a file, and print who survived.

    python -m bench mutants                       all files of modules.toml
    python -m bench mutants minigrad/optim        those below a folder
    python -m bench mutants --sample 40 --seed 1  at most 40 of each file, drawn
    python -m bench mutants --planted             the mistakes of planted.toml, made by people

Each mutant stands in a copy of the checkout, where its tests run with -x in a child forked from a
process that has NumPy, pytest and hypothesis loaded already; subprocesses that the tests start
find the copy first too. A mutant is killed if a test fails, if its tests take three times as long
as they do without it, or if they eat 4 GiB.

Read next: operators.py.
"""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from bench.mutants.operators import Mutant, mutants

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
COPIED = ("kernels", "minigrad", "tinygpt", "tests", "bench", "docs")
LOOSE = ("pyproject.toml", "README.md", "setup.py")
MEMORY = 4 << 30  # bytes of address space that a mutant may take beyond its start
PATIENCE = 3.0  # times as long as the tests take without a mutant
SLACK = 20.0  # seconds
ARGUMENTS = (  # hypothesis is loaded before pytest could rewrite its assertions
    "-x", "-q", "-n", "0", "-p", "no:cacheprovider",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)


@dataclass
class Score:
    """What became of a file's mutants.  survivors: those that no list calls equivalent."""

    file: str
    killed: int = 0
    equivalent: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Killed, of those that differ from the original."""
        different = self.killed + len(self.survivors)
        return self.killed / different if different else 1.0


class Copy:
    """A copy of the checkout to plant mutants in; removed at the end of the with block."""

    def __enter__(self) -> Copy:
        self.path = Path(tempfile.mkdtemp(prefix="mutants-"))
        ignore = shutil.ignore_patterns("__pycache__", "*.o")
        for name in COPIED:
            shutil.copytree(ROOT / name, self.path / name, ignore=ignore)
        for name in LOOSE:
            shutil.copy(ROOT / name, self.path / name)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def judge(self, tests: list[str], limit: float | None) -> tuple[bool, float]:
        """(whether all tests pass, seconds).  limit: as if they failed after so many seconds."""
        started = time.perf_counter()
        child = os.fork()
        if child == 0:
            _child(self.path, tests)
        passed = _wait(child, limit) == 0
        return passed, time.perf_counter() - started


def _child(folder: Path, tests: list[str]) -> None:
    """Run the tests in `folder` and end the process."""
    os.setsid()  # so that what the tests start can be ended with it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background it is
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored, and under nohup this one
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.chdir(folder)
    os.environ.update(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] in COPIED]:
        del sys.modules[name]
    importlib.invalidate_caches()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    import pytest

    code = 1
    try:
        code = int(pytest.main([*ARGUMENTS, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _wait(child: int, limit: float | None) -> int:
    """The child's exit status; its whole session is killed at the limit."""
    ends = time.monotonic() + limit if limit is not None else None
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if ends is not None and time.monotonic() > ends:
            os.killpg(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.01)
    try:
        os.killpg(child, signal.SIGKILL)  # what a test left running
    except ProcessLookupError:
        pass
    return status


def score_file(
    copy: Copy, file: str, tests: list[str], equivalent: dict[str, str], chosen: list[Mutant]
) -> Score:
    """Plant `chosen` one after another.

    equivalent: "line as it was -> line as it became" of those that cannot be told apart.
    Raises RuntimeError if the tests fail without a mutant.
    """
    target = copy.path / file
    original = target.read_text(encoding="utf-8")
    passed, seconds = copy.judge(tests, None)
    if not passed:
        raise RuntimeError(f"the tests of {file} fail without any mutant: {' '.join(tests)}")
    limit = PATIENCE * seconds + SLACK
    score = Score(file)
    try:
        for mutant in chosen:
            if f"{mutant.before} -> {mutant.after}" in equivalent:
                score.equivalent += 1
                continue
            target.write_text(mutant.text, encoding="utf-8")
            if copy.judge(tests, limit)[0]:
                score.survivors.append(mutant)
                click.echo(f"  {file}:{mutant.line}: {mutant.before} -> {mutant.after}")
            else:
                score.killed += 1
    finally:
        target.write_text(original, encoding="utf-8")
    return score


def select(file: str, sample: int | None, seed: int) -> list[Mutant]:
    """The mutants of a file that compile; at most `sample`, drawn without regard to other files.

    A smaller sample is a part of every larger one.
    """
    source = (ROOT / file).read_text(encoding="utf-8")
    found = [mutant for mutant in mutants(source) if _compiles(mutant.text)]
    if sample is None or len(found) <= sample:
        return found
    rng = np.random.default_rng([seed, *file.encode()])
    return [found[i] for i in sorted(rng.permutation(len(found))[:sample])]


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def table(places: tuple[str, ...]) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """(file, its tests, its equivalent mutants with the reason) of modules.toml."""
    entries = tomllib.loads((Path(__file__).parent / "modules.toml").read_text(encoding="utf-8"))
    for file, entry in entries.items():
        if not places or any(file.startswith(place.rstrip("/")) for place in places):
            yield file, entry["tests"], entry.get("equivalent", {})


@dataclass(frozen=True)
class Planted:
    """A mistake that people make: one line of a file, and the tests that must fail by it."""

    name: str
    file: str
    before: str
    after: str
    tests: list[str]

    def text(self) -> str:
        """The file with the mistake.  Raises LookupError unless the line is there, once."""
        source = (ROOT / self.file).read_text(encoding="utf-8")
        if source.count(self.before) != 1:
            raise LookupError(f"{self.file} has {source.count(self.before)} x {self.before!r}")
        return source.replace(self.before, self.after)


def planted(places: tuple[str, ...] = ()) -> list[Planted]:
    """Those of planted.toml in files below the places."""
    path = Path(__file__).parent / "planted.toml"
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    found = [Planted(name, **entry) for name, entry in entries.items()]
    return [one for one in found if not places or one.file.startswith(places)]


def plant(chosen: list[Planted]) -> list[Planted]:
    """Plant each alone; returns those that their tests did not see."""
    survivors = []
    with Copy() as copy:
        for one in chosen:
            target = copy.path / one.file
            original = target.read_text(encoding="utf-8")
            target.write_text(one.text(), encoding="utf-8")
            passed, seconds = copy.judge(one.tests, None)
            target.write_text(original, encoding="utf-8")
            survivors += [one] * passed
            click.echo(f"{'SURVIVED' if passed else 'killed':9} {seconds:5.1f} s  {one.name}")
    return survivors


@click.command()
@click.argument("places", nargs=-1)
@click.option("--planted", "by_people", is_flag=True, help="Mistakes that people make instead.")
@click.option("--sample", type=click.IntRange(1), help="At most so many mutants of each file.")
@click.option("--seed", default=0, show_default=True, help="Of the sample.")
def command(places: tuple[str, ...], by_people: bool, sample: int | None, seed: int):
    """Change the code in one place and see whether its tests fail."""
    import hypothesis  # noqa: F401  loaded once, before the forks
    import pytest  # noqa: F401
    import rich.console  # noqa: F401

    if by_people:
        sys.exit(bool(plant(planted(places))))
    scores = []
    with Copy() as copy:
        for file, tests, equivalent in table(places):
            score = score_file(copy, file, tests, equivalent, select(file, sample, seed))
            scores.append(score)
            click.echo(_row(score))
    click.echo(f"\nseed {seed}, sample {sample or 'all'}")
    for score in scores:
        click.echo(_row(score))
    total = Score("all", sum(s.killed for s in scores), sum(s.equivalent for s in scores))
    total.survivors = [mutant for s in scores for mutant in s.survivors]
    click.echo(_row(total))


def _row(score: Score) -> str:
    return (
        f"{score.file:<40} killed {score.killed:4}  survived {len(score.survivors):3}  "
        f"equivalent {score.equivalent:3}  {score.share:7.1%}"
    )
