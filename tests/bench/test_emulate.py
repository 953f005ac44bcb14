"""bench/emulate.py without an emulator: what it copies, changes and says."""

import shutil

from click.testing import CliRunner

from bench import emulate


def test_without_qemu_it_says_what_is_missing_and_runs_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = CliRunner().invoke(emulate.command, ["arm64", "--folder", str(tmp_path)])
    assert result.exit_code == 0
    assert result.output.startswith("skipped: qemu-aarch64 is not here; on Debian `apt-get")
    assert not list(tmp_path.iterdir())


def test_the_copy_takes_vpdpbusd_from_c(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(emulate, "tested", lambda *given: ran.append(given) or 0)
    result = CliRunner().invoke(emulate.command, ["avxvnni", "--folder", str(tmp_path), "tests/x"])
    assert result.exit_code == 0, result.output
    tree = tmp_path / "avxvnni/tree"
    assert "vpdpbusd.h" in (tree / "kernels/c/build.py").read_text()
    assert "cpu_has_avxvnni())" not in (tree / "kernels/c/cpu.c").read_text()
    assert not list(tree.glob("kernels/c/*.so"))
    assert ran[0][1:] == (tree, ["tests/x", "-k", "avxvnni"])
