"""Processes that fork or spawn after kernels have run: own memory, no wait for dead threads."""

import subprocess
import sys

import pytest

FORK = """
import os, sys
import numpy as np
import kernels
from kernels import memory
kernels.use(sys.argv[1])
kernels.set_num_threads(2)
a = memory.empty((100_000,)); a[:] = 1
big = np.ones((400, 400), np.float32)
expected = kernels.active.matmul_forward(big, big)  # the team has worked
child = os.fork()
if child == 0:
    a[:] = 2
    same = np.array_equal(kernels.active.matmul_forward(big, big), expected)
    try:
        kernels.set_num_threads(2)
        refused = False
    except RuntimeError as error:
        refused = "spawn" in str(error)
    os._exit(0 if same and refused and kernels.get_num_threads() == 1 else 1)
_, status = os.waitpid(child, 0)
again = kernels.active.matmul_forward(big, big)
print(status, float(a[0]), np.array_equal(again, expected), kernels.get_num_threads())
"""

POOL = """
import multiprocessing, sys
import numpy as np
from minigrad import nn, optim, tensor, set_num_threads

def train(seed):
    rng = np.random.default_rng(seed)
    layer = nn.Linear(200, 200, rng=rng)
    optimizer = optim.AdamW(layer.parameters(), lr=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        x = tensor(rng.standard_normal((300, 200)).astype(np.float32))
        ((layer(x) - x) * (layer(x) - x)).mean().backward()
        optimizer.step()
    return layer.weight.data.tobytes()

if __name__ == "__main__":
    set_num_threads(2)
    alone = [train(seed) for seed in range(3)]
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        answers = pool.map_async(train, range(3))
        here = [train(seed) for seed in range(3)]  # parent and children at once
        print(answers.get(60) == alone, here == alone)
"""


def run(code, argument, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(code)
    done = subprocess.run(
        [sys.executable, path, argument], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_a_forked_child_has_its_own_memory_and_one_thread(backend, tmp_path):
    if backend == "c":
        pytest.importorskip("kernels.c")
    assert run(FORK, backend, tmp_path) == ["0", "1.0", "True", "2"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_parent_and_children_train_at_once(method, tmp_path):
    if method == "fork" and sys.platform in ("win32", "darwin"):
        pytest.skip("no fork here")
    assert run(POOL, method, tmp_path) == ["True", "True"]
