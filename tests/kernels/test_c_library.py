"""Which compiled module answers, and what happens where one is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

c = pytest.importorskip("kernels.c", reason="the C extension is not built")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def library():
    from kernels.c import library

    before = library.current_isa()
    yield library
    library.use_isa(before)


def test_every_instruction_set_has_a_reason():
    reasons = c.available_isas()
    assert list(reasons) in (
        ["generic", "avx2", "avxvnni", "avx512"], ["generic", "neon", "dotprod"], ["generic"]
    )
    assert reasons["generic"] == "ready"


def test_a_set_of_another_family_cannot_run():
    foreign = "neon" if "avx2" in c.available_isas() else "avx2"
    with pytest.raises(RuntimeError, match=f"KERNELS_ISA={foreign}: this CPU .* does not support"):
        c.use_isa(foreign)


def test_what_the_kernel_lists_of_this_cpu_decides(library):
    """Linux's own list of features, where it has one, against our reading of cpuid or auxv."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        pytest.skip("no /proc/cpuinfo")
    lines = [line.split() for line in text.splitlines() if line.startswith(("flags", "Features"))]
    if not lines:
        pytest.skip("/proc/cpuinfo has no list of features")
    needs = {"avx2": {"avx2", "fma", "f16c"}, "avxvnni": {"avx2", "fma", "f16c", "avx_vnni"},
             "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "fma"},
             "neon": {"asimd"}, "dotprod": {"asimddp"}}
    for isa, reason in c.available_isas().items():
        if isa in needs:
            assert ("does not support" in reason) == (not needs[isa] <= set(lines[0])), isa


def test_auto_takes_the_fastest_that_is_ready(library):
    c.use_isa("auto")
    ready = [isa for isa, reason in c.available_isas().items() if reason == "ready"]
    assert c.current_isa() == ready[-1]


def test_the_set_changes_while_the_program_runs(library):
    for isa, reason in c.available_isas().items():
        if reason == "ready":
            c.use_isa(isa)
            assert c.current_isa() == isa


def test_an_unknown_set_is_an_error(library):
    with pytest.raises(ValueError, match="unknown instruction set 'sse9'; choose from generic"):
        c.use_isa("sse9")


def test_a_set_that_the_cpu_lacks_is_an_error_and_changes_nothing(library, monkeypatch):
    before = c.current_isa()
    monkeypatch.setattr(library, "_load", lambda isa: (None, f"this CPU does not support {isa}"))
    with pytest.raises(RuntimeError, match="KERNELS_ISA=avx512: this CPU does not .* `unset"):
        c.use_isa("avx512")
    assert c.current_isa() == before


def test_a_set_that_was_not_built_names_the_mending_command(library, monkeypatch):
    isa = next((isa for isa in ("avx2", "neon") if c.available_isas().get(isa) == "ready"), None)
    if isa is None:
        pytest.skip("only the generic set runs here")
    monkeypatch.setitem(sys.modules, f"kernels.c._{isa}", None)  # importing it raises ImportError
    assert "pip install" in c.available_isas()[isa]
    with pytest.raises(RuntimeError, match="not built"):
        c.use_isa(isa)


def test_the_forced_set_of_the_environment_is_met_or_an_error():
    program = "import kernels; kernels.use(); print(kernels.report()['isa'])"
    for isa, reason in c.available_isas().items():
        if reason == "ready":
            environment = {"KERNELS_ISA": isa, "KERNELS_BACKEND": "auto", "PYTHONPATH": str(ROOT)}
            result = subprocess.run(
                [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
                check=True,
            )
            assert result.stdout.strip() == isa


def test_without_the_extension_the_message_says_so_and_how_to_build_it(tmp_path):
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=shutil.ignore_patterns("*.so"))
    program = "import kernels; kernels.use(); print(kernels.report()['available']['c'])"

    def run(backend):
        environment = {**os.environ, "KERNELS_BACKEND": backend, "PYTHONPATH": str(tmp_path)}
        environment.pop("KERNELS_ISA", None)
        return subprocess.run(
            [sys.executable, "-c", program], env=environment, cwd=tmp_path,
            capture_output=True, text=True,
        )

    forced, chosen = run("c"), run("numpy")
    assert forced.returncode == 1
    for text in (forced.stderr.splitlines()[-1], chosen.stdout):
        assert "(the C extension was not built)" in text
        assert "pip install" in text and "circular" not in text


def test_a_checkout_that_hides_an_installation_says_so_and_accuses_no_compiler(tmp_path):
    """Python started in the source takes it before site-packages, where the C was built."""
    source, site = tmp_path / "source", tmp_path / "site"
    for folder, ignored in ((source, "*.so"), (site, "*.none")):
        for package in ("kernels", "minigrad", "tinygpt"):
            shutil.copytree(
                ROOT / package, folder / package, ignore=shutil.ignore_patterns(ignored)
            )
    done = subprocess.run(
        [sys.executable, "-m", "tinygpt", "doctor", "--quick"], cwd=source, text=True,
        env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, check=True,
    )
    about = [line for line in done.stdout.splitlines() if "the C extension was not built" in line]
    assert len(about) == 2  # the kernels and the tokenizer
    for line in about:
        assert "gcc" not in line
        assert f"it is in {site}, but Python found the source in {source} first" in line


@pytest.mark.slow
def test_without_a_compiler_the_build_succeeds_and_leaves_nothing(tmp_path):
    """What `CC=/bin/false pip install .` runs, without pip."""
    result = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(tmp_path / "lib"),
         "--build-temp", str(tmp_path / "temp")],
        cwd=ROOT, env={"CC": "/bin/false", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
    )
    assert result.returncode == 0, result.stderr
    assert not list((tmp_path).rglob("*.so"))
