"""How Numba kernels are compiled, cached and run: what must hold on any machine."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

jit = pytest.importorskip("kernels.numba_jit.jit")

ROOT = Path(__file__).parents[2]


def run(script: str, **environment: str) -> str:
    """Output of a Python process with these variables; warnings are errors, None removes one."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True, text=True,
    ).stdout.strip()


@pytest.fixture
def no_folder(monkeypatch, tmp_path):
    """A user whose cache and temporary folders cannot be made: their parents are files."""
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))


def test_cache_is_in_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = jit.cache_folder()
    assert folder.parent == tmp_path / "tinygpt"
    assert folder.is_dir()


def test_cache_moves_to_a_temporary_folder(no_folder, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert jit.cache_folder().parent.parent == tmp_path


def test_without_any_folder_there_is_no_cache(no_folder):
    assert jit.cache_folder() is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX")
def test_folder_that_others_may_write_is_not_trusted(monkeypatch, tmp_path):
    """The cache holds code: whoever can write to it can run theirs as us."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    (tmp_path / "tinygpt").mkdir()
    (tmp_path / "tinygpt").chmod(0o777)
    assert jit.cache_folder() is None


def test_users_own_choice_of_folder_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "mine"))
    assert jit.cache_folder() == tmp_path / "mine"


def test_numbas_own_setting_is_left_as_it_was():
    import numba

    assert numba.config.CACHE_DIR == os.environ.get("NUMBA_CACHE_DIR", "")


def test_imports_and_runs_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    script = """
        import os, tempfile
        tempfile.tempdir = os.environ["XDG_CACHE_HOME"]
        import numpy as np
        from kernels import numba_jit
        from kernels.numba_jit import jit
        assert jit.cache_folder() is None
        print(numba_jit.softmax_forward(np.zeros((1, 4), np.float32)).sum())
    """
    assert run(script, XDG_CACHE_HOME=str(tmp_path / "file"), NUMBA_CACHE_DIR="") == "1.0"


def test_without_the_compiler_kernels_are_ordinary_python():
    """NUMBA_DISABLE_JIT=1 is how a debugger steps through them: same results, no warning."""
    script = """
        import numpy as np
        from kernels import numba_jit, numpy_ref
        rng = np.random.default_rng(0)
        def f(*shape):
            return rng.standard_normal(shape, dtype=np.float32)
        def same(name, *args):
            results = getattr(numba_jit, name)(*args), getattr(numpy_ref, name)(*args)
            results = [r if isinstance(r, tuple) else (r,) for r in results]
            for a, b in zip(*results, strict=True):
                if b is not None:
                    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
            return results[0]
        x, dy, weight, bias = f(3, 5), f(3, 5), f(5), f(5)
        x[1, 2] = -90
        y, = same("softmax_forward", x)
        same("softmax_backward", dy, y)
        _, s, mean, rstd = same("layernorm_forward", x, weight, bias)
        same("layernorm_backward", dy, s, weight, mean, rstd)
        same("gelu_forward", x)
        same("linear_forward", x, f(4, 5), f(4), "gelu", f(3, 4))
        same("linear_backward", f(3, 4), x, f(4, 5), "gelu", f(4))
        q, k, v = f(1, 3, 2, 4), f(1, 5, 1, 4), f(1, 5, 1, 4)
        same("attention_backward", q, q, k, v, *same("attention_forward", q, k, v))
        same("attention_forward", q[:, :1], k, v)
        mask = True, None, np.array([[0, 3, 4]])
        same("attention_backward", q, q, k, v, *same("attention_forward", q, k, v, *mask),
             *mask[:2], None, mask[2])
        print("same")
    """
    assert run(script, NUMBA_DISABLE_JIT="1") == "same"


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_two_python_threads_may_call_kernels_at_once(layer):
    """Numba's workqueue aborts the process when two threads enter it; ours wait for each other."""
    script = """
        import threading, numpy as np
        from kernels import numba_jit
        x = np.random.default_rng(0).standard_normal((64, 512), dtype=np.float32)
        expected = numba_jit.softmax_forward(x)
        wrong = []
        def work():
            for _ in range(100):
                if not np.array_equal(numba_jit.softmax_forward(x), expected):
                    wrong.append(1)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(len(wrong))
    """
    assert run(script, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2") == "0"


def test_every_python_thread_uses_the_process_number_of_threads():
    """Numba keeps one number for each Python thread: a server's workers would not inherit ours."""
    import numba

    from kernels import numba_jit, threads

    def work():
        numba_jit.softmax_forward(np.zeros((2, 3), np.float32))
        seen.append(numba.get_num_threads())

    before, seen = threads.get_num_threads(), []
    try:
        threads.set_num_threads(1)
        other = threading.Thread(target=work)
        other.start()
        other.join()
    finally:
        threads.set_num_threads(before)
    assert seen == [1]


def test_second_process_finds_the_compiled_code(tmp_path):
    script = """
        import numpy as np
        from kernels import numba_jit
        from kernels.numba_jit import softmax
        numba_jit.softmax_forward(np.zeros((1, 4), np.float32))
        print(sum(softmax._forward.compiled.stats.cache_hits.values()))
    """
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(script, **environment) == "0"
    assert run(script, **environment) == "1"
