"""Every C kernel under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer.

    python -m bench sanitizers                            20,000 calls under each, one after another
    python -m bench sanitizers --which thread --seed 7

The sources are copied to a folder and compiled there by GCC with the sanitizer in them: all
instruction sets that this CPU runs, and the tokenizer. In the copy nothing is too small for several
threads, and what GCC's sanitizers do not see of an instruction set is shown to them
(sanitizers_seen.h). sanitizers_calls.py then draws calls on 1 to 7 threads, in a process into which
the sanitizer's library is preloaded: it must be first, and the interpreter is an ordinary one.
A report of the sanitizer, a wrong result or a crash is a failure (exit 1). So is a silence that
proves nothing: first each must report mistakes that are planted for it.

ThreadSanitizer does not see libgomp's barriers: sanitizers_team.c says why that would be a false
alarm in every kernel, and what is linked in its place.

Read next: sanitizers_calls.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import click

ROOT = Path(__file__).resolve().parent.parent
REPORT = re.compile(r"ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|SEGV|DEADLY")
# file, what it says, what the copy says: no loop is too short to be shared, no access is unseen
CHANGES = (
    ("kernels/c/parallel.h", "#define PARALLEL_WORTH 50e3", "#define PARALLEL_WORTH 0"),
    ("kernels/c/decode.c", "#define DECODE_TEAM_WEIGHTS 2e6", "#define DECODE_TEAM_WEIGHTS 0"),
    ("kernels/c/simd.h", "#endif\n\nstatic", '#endif\n#include "sanitizers_seen.h"\n\nstatic'),
)
BUILD = """
import runpy, sys
from pathlib import Path
for name in sys.argv[1:]:
    runpy.run_path("kernels/c/build.py")[name]().compile(tmpdir=".")
runpy.run_path("tinygpt/tokenizer/c/build.py")["builder"]().compile(tmpdir=".")
"""


class Sanitizer(NamedTuple):
    """flags: the compiler's; libraries: to preload; settings: the environment of its process;
    plants: mistakes that it must report (sanitizers_calls.plant)."""

    title: str
    flags: list[str]
    libraries: list[str]
    settings: dict[str, str]
    plants: list[str]


SANITIZERS = {
    "address": Sanitizer(
        "ASan + UBSan",
        ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
        ["libasan.so", "libubsan.so"],
        # Python ends without freeing what it holds: leaks are judged by bench.soak memory.
        {"ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1",
         "UBSAN_OPTIONS": "print_stacktrace=1"},
        ["overflow", "misaligned"],
    ),
    "thread": Sanitizer(
        "TSan", ["-fsanitize=thread"], ["libtsan.so"],
        {"TSAN_OPTIONS": "exitcode=0:history_size=4"}, ["race"],
    ),
}


def copied(folder: Path, sanitizer: Sanitizer) -> None:
    """The project's sources in `folder`, with the sanitizer's flags in both build scripts.

    Raises LookupError if a line to be changed is not there: mend CHANGES.
    """
    for package in ("kernels", "minigrad", "tinygpt", "bench"):
        skip = shutil.ignore_patterns("*.so", "*.o", "__pycache__", "_*.c")
        shutil.copytree(ROOT / package, folder / package, ignore=skip)
    shutil.copy(ROOT / "bench/sanitizers_seen.h", folder / "kernels/c")
    scripts = ("kernels/c/build.py", "tinygpt/tokenizer/c/build.py")
    flags = ", ".join(map(repr, ["-g", *sanitizer.flags]))
    changes = [*CHANGES, *((script, '"-O3"', '"-O1"') for script in scripts)]
    changes += [(script, '"-g0"', flags) for script in scripts]
    if sanitizer is SANITIZERS["thread"]:
        shutil.copy(ROOT / "bench/sanitizers_team.c", folder / "kernels/c")
        changes.append(("kernels/c/build.py", "extra_link_args=openmp", "extra_link_args=[]"))
    for file, old, new in changes:
        text = (folder / file).read_text()
        if old not in text:
            raise LookupError(f"{file} no longer has the line to change: {old!r}")
        (folder / file).write_text(text.replace(old, new))


def built(folder: Path) -> list[str]:
    """Compile there; the instruction sets that this CPU runs."""
    from kernels import c

    isas = [isa for isa, reason in c.available_isas().items() if reason == "ready"]
    done = subprocess.run(
        [sys.executable, "-c", BUILD, *isas], cwd=folder, capture_output=True, text=True
    )
    made = list(folder.glob("kernels/c/_*.so"))
    if done.returncode or len(made) != len(isas):
        raise click.ClickException(f"the sanitized C was not built:\n{done.stderr[-3000:]}")
    return isas


def preloaded(sanitizer: Sanitizer) -> str:
    """LD_PRELOAD for it.  Raises ClickException if GCC has no such library."""
    paths = []
    for name in sanitizer.libraries:
        command = ["gcc", f"-print-file-name={name}"]
        path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        if not os.path.isabs(path):
            raise click.ClickException(f"GCC has no {name}; install libgcc's sanitizers")
        paths.append(path)
    return ":".join(paths)


def executed(folder: Path, sanitizer: Sanitizer, **wanted: Any) -> dict[str, Any]:
    """Run sanitizers_calls of that folder: what it told, `reports`, `exit`, `stderr`."""
    environment = {
        **os.environ, **sanitizer.settings, "LD_PRELOAD": preloaded(sanitizer),
        "PYTHONPATH": str(folder), "PYTHONMALLOC": "malloc", "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1", "TINYGPT_THREADS": "1",
    }
    command = [sys.executable, "-m", "bench.sanitizers_calls", json.dumps(wanted)]
    if shutil.which("setarch"):  # random addresses may fall where a sanitizer keeps its own
        command = ["setarch", "-R", *command]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
    reports = len(REPORT.findall(done.stderr))
    return {**told, "reports": reports, "exit": done.returncode, "stderr": done.stderr}


@click.command()
@click.option("--calls", default=20_000, show_default=True, help="Kernel calls under each.")
@click.option("--seed", default=0, show_default=True, help="Of the draws.")
@click.option("--which", type=click.Choice([*SANITIZERS, "all"]), default="all", show_default=True)
@click.option("--log", type=click.Path(path_type=Path), help="Write what they said there.")
def command(calls: int, seed: int, which: str, log: Path | None) -> None:
    """The C kernels and the tokenizer under ASan, UBSan and TSan: 0 reports."""
    from bench import timing

    click.echo(f"{timing.headline()}, seed {seed}")
    failed = False
    for sanitizer in SANITIZERS.values() if which == "all" else [SANITIZERS[which]]:
        with tempfile.TemporaryDirectory(prefix="sanitized-") as name:
            folder = Path(name)
            copied(folder, sanitizer)
            isas = built(folder)
            plants = {
                f"{kind} ({isa})": executed(folder, sanitizer, kind=kind, isa=isa)
                for kind in sanitizer.plants for isa in isas
            }
            found = executed(folder, sanitizer, calls=calls, seed=seed, isas=isas)
        unseen = [kind for kind, planted in plants.items() if not planted["reports"]]
        for kind in unseen:
            click.echo(f"{sanitizer.title} did not report a planted {kind}: it proves nothing")
        bad = bool(found["reports"] or found["exit"] or unseen)
        failed |= bad
        if log:
            with log.open("a") as file:
                file.write(f"==== {sanitizer.title}\n{found['stderr']}\n")
        if not found.get("calls"):
            click.echo(f"{sanitizer.title:14} ended with exit {found['exit']}")
        else:
            ops, threads = len(found["ops"]), found["threads"]
            click.echo(
                f"{sanitizer.title:14} {found['calls']:7,} calls of {ops} ops on "
                f"{', '.join(found['isas'])}, {threads[0]} to {threads[-1]} threads, "
                f"{found['seconds']:.0f} s: {found['reports']} reports"
            )
        if bad:
            click.echo(found["stderr"][-4000:], err=True)
    click.echo("FAIL" if failed else "PASS")
    raise SystemExit(failed)
