"""The kernels of machines that are not here: built for them and tested, slowly.

    python -m bench emulate arm64          NEON, without and with dot products, under qemu
    python -m bench emulate s390x          numbers whose first byte is the highest, under qemu
    python -m bench emulate avxvnni        vpdpbusd, written out in C, on any CPU with AVX2

Under qemu runs Debian's Python of that machine, with its NumPy, cffi and pytest, unpacked in a
folder; setup.py is called there as anywhere, and finds the cross compiler under the name that the
machine's own has. What is missing for that is said, and nothing is run. Root is needed only where
the packages of NEEDS have to be installed.

avxvnni: qemu 7.2 does not know the instruction. The tests run with Intel's definition of it in C
(VPDPBUSD below), so that all but the instruction itself is tested.

Read next: ../kernels/c/simd.h, the vocabulary that each instruction set speaks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("trixie", "testing")  # the second for what a mirror of the first lacks
PACKAGES = (
    "python3-minimal python3-numpy python3-cffi python3-setuptools python3-pytest python3-click "
    "python3-pytest-xdist python3-hypothesis python3-rich python3-regex python3-h11 "
    "python3-threadpoolctl libgomp1"
).split()
PYTHON = "python3.13"


class Machine(NamedTuple):
    """architecture: Debian's word for it; cpus: qemu's, each of which is tested."""

    architecture: str
    triplet: str
    qemu: str
    cpus: tuple[str, ...]
    tests: tuple[str, ...]


MACHINES = {
    # A Raspberry Pi 4 has no dot products, a Pi 5 has them.
    "arm64": Machine("arm64", "aarch64-linux-gnu", "qemu-aarch64", ("cortex-a72", "cortex-a76"),
                     ("tests/kernels", "tests/ops/test_backends.py")),
    "s390x": Machine("s390x", "s390x-linux-gnu", "qemu-s390x", ("max",),
                     ("tests/kernels", "tests/tinygpt/storage", "tests/tinygpt/exchange",
                      "tests/tinygpt/weights", "tests/tinygpt/tokenizer")),
}
NEEDS = "apt-get install qemu-user gcc-aarch64-linux-gnu gcc-s390x-linux-gnu"

VPDPBUSD = """
#include <immintrin.h>
#include <stdint.h>
static inline __m256i vpdpbusd_in_c(__m256i sums, __m256i u, __m256i s) {
    int32_t sum[8];
    uint8_t a[32];
    int8_t b[32];
    _mm256_storeu_si256((__m256i *)sum, sums);
    _mm256_storeu_si256((__m256i *)a, u);
    _mm256_storeu_si256((__m256i *)b, s);
    for (int i = 0; i < 32; i++) {
        uint32_t product = (uint32_t)(a[i] * b[i]);
        sum[i / 4] = (int32_t)((uint32_t)sum[i / 4] + product);
    }
    return _mm256_loadu_si256((const __m256i *)sum);
}
#undef _mm256_dpbusd_avx_epi32
#define _mm256_dpbusd_avx_epi32 vpdpbusd_in_c
"""


def missing(machine: Machine) -> str | None:
    """What cannot be found here of what its emulation needs."""
    for program in (machine.qemu, f"{machine.triplet}-gcc", "apt-get", "dpkg"):
        if not shutil.which(program):
            return f"{program} is not here; on Debian `{NEEDS}` brings it"
    return None


def apt(folder: Path, architecture: str) -> list[str]:
    """apt-get with lists and packages of its own: the machine's are not touched."""
    for name in ("lists/partial", "cache/archives/partial", "preferences.d"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text("".join(
        f"deb http://deb.debian.org/debian {suite} main\n" for suite in SUITES
    ))
    (folder / "preferences").write_text(
        f"Package: *\nPin: release n={SUITES[0]}\nPin-Priority: 990\n"
    )
    options = {
        "APT::Architecture": architecture, "APT::Architectures": architecture,
        "Dir::State": folder, "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status", "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": folder / "sources.list", "Dir::Etc::SourceParts": "-",
        "Dir::Etc::Preferences": folder / "preferences",
        "Dir::Etc::PreferencesParts": folder / "preferences.d",
        "APT::Install-Recommends": "false", "APT::Sandbox::User": "root",
    }
    return ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]


def unpacked(folder: Path, machine: Machine) -> Path:
    """The folder that stands for the machine's /, filled where it is not yet.

    Raises subprocess.CalledProcessError where packages cannot be fetched.
    """
    root, archives = folder / "root", folder / "apt/cache/archives"
    if (folder / "complete").exists():
        return root
    command = apt(folder / "apt", machine.architecture)
    subprocess.run([*command, "update"], check=True)
    fetched = subprocess.run([*command, "-y", "--download-only", "install", *PACKAGES],
                             capture_output=True, text=True)
    lost = re.findall(r"Failed to fetch \S+/([^/_]+)_", fetched.stderr)
    if fetched.returncode and not lost:
        raise click.ClickException(fetched.stderr)
    names = [f"lib{PYTHON}-dev", *(f"{name}/{SUITES[1]}" for name in lost)]
    subprocess.run([*command, "download", *names], cwd=archives, check=True)
    for half in (root, folder / "include"):  # of an unpacking that was cut short
        shutil.rmtree(half, ignore_errors=True)
    for package in archives.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, root], check=True)
    (root / "lib").symlink_to("usr/lib")
    library = root / "usr/lib" / machine.triplet
    for name in ("blas", "lapack"):  # what update-alternatives would do
        (library / f"lib{name}.so.3").symlink_to(f"{name}/lib{name}.so.3")
    headers = folder / "include" / machine.triplet
    headers.mkdir(parents=True)
    (headers / PYTHON).symlink_to(root / "usr/include" / machine.triplet / PYTHON)
    (folder / "complete").touch()
    return root


def interpreter(folder: Path, machine: Machine) -> Path:
    """A script that is that Python, also for programs which start sys.executable."""
    root, script = unpacked(folder, machine), folder / "python"
    script.write_text(
        f'#!/bin/sh\nexec {machine.qemu} -0 "$0" -L {root} -E PYTHONHOME=/usr '
        f'{root}/usr/bin/{PYTHON} "$@"\n'
    )
    script.chmod(0o755)
    return script


def copied(tree: Path) -> None:
    """This checkout without what was built in it; what was built there stays."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT,
                            check=True, capture_output=True, text=True)
    for name in listed.stdout.split("\0"):
        source, target = ROOT / name, tree / name
        if not source.is_file():
            continue
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def tested(python: str | Path, tree: Path, tests: list[str], **environment: str) -> int:
    """Build in `tree` and run the tests there; pytest's exit code."""
    given = {**os.environ, **environment}
    given.pop("KERNELS_ISA", None)
    subprocess.run([python, "setup.py", "-q", "build_ext", "--inplace"], cwd=tree, env=given,
                   check=True)
    command = [python, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=tree, env=given).returncode


def under_qemu(folder: Path, machine: Machine, tests: list[str]) -> int:
    python = interpreter(folder, machine)
    copied(folder / "tree")
    headers = f"{folder}/root/usr/include/{PYTHON}:{folder}/include"
    worst = 0
    for cpu in machine.cpus:
        click.echo(f"{machine.qemu} -cpu {cpu}: {' '.join(tests)}")
        worst = max(worst, tested(python, folder / "tree", tests, QEMU_CPU=cpu, CPATH=headers))
    return worst


def with_vpdpbusd_in_c(folder: Path, tests: list[str]) -> int:
    """The set avxvnni, its one instruction replaced, on this CPU."""
    tree = folder / "tree"
    copied(tree)
    header = folder / "vpdpbusd.h"
    header.write_text(VPDPBUSD)
    for file, old, new in (
        ("kernels/c/build.py", '"-mavxvnni"', f'"-D__AVXVNNI__", "-include", "{header}"'),
        ("kernels/c/cpu.c", "avx2 && cpu_has_avxvnni()", "avx2"),
    ):
        text = (ROOT / file).read_text()
        if old not in text:
            raise LookupError(f"{file} no longer has what is to be changed: {old!r}")
        (tree / file).write_text(text.replace(old, new))
    return tested(sys.executable, tree, [*tests, "-k", "avxvnni"])


@click.command()
@click.argument("machine", type=click.Choice([*MACHINES, "avxvnni"]))
@click.argument("tests", nargs=-1)
@click.option("--folder", type=click.Path(path_type=Path), help="What is fetched and built stays "
              "here.  [default: ~/.cache/tinygpt-emulate]")
def command(machine: str, tests: tuple[str, ...], folder: Path | None) -> None:
    """Build and test for a MACHINE that this one is not; TESTS as pytest takes them."""
    folder = (folder or Path.home() / ".cache/tinygpt-emulate").resolve() / machine
    if machine == "avxvnni":
        raise SystemExit(with_vpdpbusd_in_c(folder, list(tests) or ["tests/kernels"]))
    emulated = MACHINES[machine]
    if reason := missing(emulated):
        click.echo(f"skipped: {reason}")
        return
    raise SystemExit(under_qemu(folder, emulated, list(tests or emulated.tests)))
