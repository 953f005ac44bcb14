"""One case: a copy of a whole unit, one file damaged, one command in a process of its own.

The parent has imported everything, so that a forked child starts at once; it may take a gigabyte
and ten seconds of the processor. The child's end is one of four verdicts:

    refused     exit code 1 or 2, and a sentence
    warned      exit code 0, with a warning: the damaged part was left out, or the one before used
    harmless    exit code 0; where that can be told, the answer is what the whole file gave
    FAULT       a traceback, a bare exception's text, another exit code, a signal, a Python warning,
                too long, too much memory, or another answer without a word
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import tinygpt
from tests.fuzz import mutate
from tests.fuzz.subjects import COMMANDS, STEPS, Subject, make_world, subjects

SECONDS, GIGABYTE = 10, 1 << 30
PATIENCE = 120.0  # seconds of the clock: the machine may be busy, a reader must not wait for ever
VERDICTS = ("refused", "warned", "harmless", "FAULT")
MODELS = {".tgpt", "GGUF"}  # subjects that are a model in one file
WARNING = re.compile(r"going back to|left out|Preparing the text again|damaged")
BARE = re.compile(r"Traceback|--debug|Warning:|Exception ignored|^\w*Error:", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """number: under its seed.  how: the mutation's name.  signed: with the right checksums."""

    number: int
    subject: Subject
    command: str
    how: str
    signed: bool


@dataclass(frozen=True)
class Result:
    """What came of it.

    seconds: of the processor.  bytes: of memory.  why: of a FAULT.  said: the end of its output.
    """

    case: Case
    verdict: str
    seconds: float
    bytes: int
    why: str = ""
    said: str = ""


def _become_folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _become_missing(path: Path, chance: random.Random) -> None:
    path.unlink()


def _become_link(path: Path, chance: random.Random) -> None:
    path.unlink()
    target = chance.choice(("nowhere", path.name, "/dev/zero", "/dev/null", "/etc/passwd", ".."))
    path.symlink_to(target)


def _become_pipe(path: Path, chance: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _become_endless(path: Path, chance: random.Random) -> None:
    """A file of a terabyte of zeros that takes no room, or what it was and that."""
    if chance.random() < 0.5:
        path.write_bytes(b"")
    os.truncate(path, 1 << 40)


PLACES = (_become_folder, _become_missing, _become_link, _become_pipe, _become_endless)


class Fuzzer:
    """A world in `folder` and the cases of a seed.  kinds: what names of subjects begin with."""

    def __init__(self, folder: Path, seed: int, kinds: tuple[str, ...] = ("",)):
        self.folder, self.seed, self._whole = folder, seed, {}
        self.world, self.subjects = folder / "world", subjects()
        self.drawn = [subject for subject in self.subjects if subject.name.startswith(kinds)]
        import_everything()
        self.world.mkdir()
        make_world(self.world, lambda arguments: self._run(arguments, b"")[0])

    def run(self, number: int, keep: Path | None = None) -> Result:
        """One case.  keep: where the unit of a FAULT is kept."""
        chance = random.Random(f"{self.seed} {number}")
        name = chance.choice(sorted({subject.name for subject in self.drawn}))
        subject = chance.choice([s for s in self.drawn if s.name == name])
        unit = self._fresh(subject.unit)
        case = self._damage(number, subject, unit, unit.parent / subject.path, chance)
        code, said, seconds, size = self._command(case.command, unit)
        why = self._fault(case, unit, code, said, seconds, size)
        if why and keep is not None:
            shutil.copytree(unit.parent, keep / str(number), symlinks=True, dirs_exist_ok=True,
                            ignore=_not_kept)
        shutil.rmtree(unit.parent, ignore_errors=True)
        verdict = "FAULT" if why else "refused" if code else "harmless"
        if verdict == "harmless" and WARNING.search(said):
            verdict = "warned"
        return Result(case, verdict, seconds, size, why, said[-1500:])

    def _fresh(self, name: str) -> Path:
        """A copy of a unit in a folder of its own."""
        place = self.folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        unit, source = place / name, self.world / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, unit)
        return unit

    def _damage(
        self, number: int, subject: Subject, unit: Path, path: Path, chance: random.Random
    ) -> Case:
        """Damage the file, and now and then write the right checksums."""
        command = chance.choice(subject.commands)
        kind, signed = chance.random(), False
        if kind < 0.06:
            become = chance.choice(PLACES[:2] if subject.stream else PLACES)
            become(path, chance)
            return Case(number, subject, command, become.__name__.lstrip("_"), signed)
        whole = path.read_bytes()
        if kind < 0.1:
            # A file that stands alone may be another whole one of its kind, and a model's of either
            # kind: what it is stands in its first bytes. Nobody could tell.
            alike = {subject.name} | (MODELS if subject.name in MODELS else set())
            others = [self.world / s.path for s in self.subjects
                      if s.name not in alike or subject.path != subject.unit]
            how, content = "exchanged", chance.choice(others).read_bytes()
        else:
            structured = subject.structured if kind < 0.65 else ()
            mutation = chance.choice(structured or mutate.BLIND)
            how, content = mutation.__name__.lstrip("_"), mutation(whole, chance)
        path.write_bytes(content)
        if subject.resign is not None and chance.random() < 0.5:
            try:
                subject.resign(unit, path)
                signed = True
            except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
                pass  # not enough is left of it to be signed
        return Case(number, subject, command, how, signed)

    def _command(self, command: str, unit: Path) -> tuple[int, str, float, int]:
        return self._run(COMMANDS[command](str(unit)), b"the cat\nsat\n")

    def _run(self, arguments: list[str], text: bytes) -> tuple[int, str, float, int]:
        """(exit code or minus the signal, output, seconds, bytes) of a command in a child."""
        (self.folder / "stdin").write_bytes(text)
        output = self.folder / "output"
        sys.stdout.flush()
        sys.stderr.flush()
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _child(arguments, self.folder, output)
        while True:
            pid, status, used = os.wait4(child, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - started > PATIENCE:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.001)
        code = os.waitstatus_to_exitcode(status)
        said = output.read_bytes().decode("utf-8", "replace")
        return code, said, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024

    def _fault(
        self, case: Case, unit: Path, code: int, said: str, seconds: float, size: int
    ) -> str:
        """Why it is a FAULT, or ""."""
        if seconds > SECONDS or code == -signal.SIGKILL:
            return f"took {seconds:.1f} s, or waits for ever"
        if code < 0:
            return f"died of {signal.Signals(-code).name}"
        if code not in (0, 1, 2):
            return f"exit code {code}"
        if found := BARE.search(said):
            return f"said {found[0]!r}"
        if size > GIGABYTE:
            return f"took {size / 1e6:.0f} MB"
        if code == 0 and case.subject.exact and not case.signed and not WARNING.search(said):
            if _witness(case.command, unit, said) != self._expected(case):
                return "another answer without a word"
        return ""

    def _expected(self, case: Case) -> bytes:
        key = (case.subject.unit, case.command)
        if key not in self._whole:
            kept = self.folder / "case"
            aside = kept.rename(self.folder / "aside")
            unit = self._fresh(case.subject.unit)
            code, said, _, _ = self._command(case.command, unit)
            assert code == 0, said
            self._whole[key] = _witness(case.command, unit, said)
            shutil.rmtree(kept)
            aside.rename(kept)
        return self._whole[key]


def _not_kept(folder: str, names: list[str]) -> list[str]:
    """Pipes and endless files are not copied."""
    paths = [(name, Path(folder, name)) for name in names]
    return [n for n, p in paths if p.is_fifo() or (p.is_file() and p.stat().st_size > 1 << 30)]


def _witness(command: str, unit: Path, said: str) -> bytes:
    """What a command made of the model or the ids that it read: the same from the same."""
    if command in ("generate", "chat", "library", "inspect"):
        return said.encode()
    if command == "resume":
        return (unit / f"checkpoints/step-{STEPS + 2:08d}/model.safetensors").read_bytes()
    if command == "quantize":
        return Path(f"{unit}.tgpt").read_bytes()
    return b""


def import_everything() -> None:
    """What the commands import when they are called, before the first fork."""
    for module in pkgutil.walk_packages(tinygpt.__path__, "tinygpt."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _child(arguments: list[str], folder: Path, output: Path) -> None:
    """Run a command with its output in a file, and end."""
    code = 70
    try:
        os.dup2(os.open(folder / "stdin", os.O_RDONLY), 0)
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdin = open(0, encoding="utf-8", closefd=False)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
        here = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limit = here + GIGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS + 1, SECONDS + 2))
        code = _call(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _call(arguments: list[str]) -> int:
    from tinygpt.cli import main
    from tinygpt.errors import UserError

    try:
        if arguments[0] == "library":
            warnings.showwarning = lambda message, *_: print(message)
            opened = tinygpt.open(arguments[1])
            print("".join(opened.generate("the", 8)), opened.loss("the cat sat"))
        elif arguments[0] == "settings":
            from tinygpt.config import load_config

            print(load_config(arguments[1]))
        else:
            main(arguments)
    except UserError as error:
        print(error)
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
