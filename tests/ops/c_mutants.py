"""Mistakes planted by hand in the C source of six operations and of Muon, compiled, and run.

Each edit is one that a person could make: a tail loop that stores zeros, a sign, a term left out,
a factor, rows written in the order of the transpose. All edits of one kind go into one compilation
(the operations do not call each other), so five compilations try thirty mistakes.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "kernels" / "c"

GELU = "v_store_part(dx + i, v_mul(v_load_part(dy + i, n - i), slope), n - i)"

# kind -> operation -> (file, line as it stands, line as a mistake has it)
EDITS: dict[str, dict[str, tuple[str, str, str]]] = {
    "zero": {
        "softmax": ("softmax.c", "v_store_part(to + i, v_mul(v_load_part(p + i, n), gradient), n)",
                    "v_store_part(to + i, v_zero(), n)"),
        "gelu": ("activation.h", GELU,
                 "v_store_part(dx + i, v_zero(), n - i)"),
        "layernorm": ("layernorm.c", "*dweight = v_fma(dy, normal, *dweight);",
                      "*dweight = v_zero();"),
        "rmsnorm": ("rmsnorm.c", "v_store_part(dx + i, v_fma(dn, r, d), k);",
                    "v_store_part(dx + i, v_zero(), k);"),
        "cross_entropy": ("cross_entropy.c",
                          "v_store_part(dx + i, v_mul(v_sub(p, uniform), factor), n - i);",
                          "v_store_part(dx + i, v_zero(), n - i);"),
        "embedding": ("embedding.c", "to[i] += from[i];", "to[i] = 0;"),
        "muon": ("symmetric.h", "v_store(row, v_select(below, square[r], v_load(row)));",
                 "v_store(row, v_select(below, v_zero(), v_load(row)));"),
    },
    "sign": {
        "softmax": ("softmax.c", "vf gradient = v_sub(v_load_part(g + i, n), dot);",
                    "vf gradient = v_sub(dot, v_load_part(g + i, n));"),
        "gelu": ("activation.h", GELU,
                 "v_store_part(dx + i, v_sub(v_zero(), v_mul(v_load_part(dy + i, n - i), slope)),"
                 " n - i)"),
        "layernorm": ("layernorm.c", "v_fnma(normal, b, v_sub(dn, a))",
                      "v_fma(normal, b, v_sub(dn, a))"),
        "rmsnorm": ("rmsnorm.c", "v_set1(rstd * rstd * b)", "v_set1(-rstd * rstd * b)"),
        "cross_entropy": ("cross_entropy.c", "dx[target] -= (1 - smoothing) * scale;",
                          "dx[target] += (1 - smoothing) * scale;"),
        "embedding": ("embedding.c", "to[i] += from[i];", "to[i] -= from[i];"),
        "muon": ("muon.c", "v_sub(v_mul(v_load_part(param, n), v_set1(decay)), step)",
                 "v_add(v_mul(v_load_part(param, n), v_set1(decay)), step)"),
    },
    "dropped": {
        "softmax": ("softmax.c", "vf dot = v_set1(softmax_row_dot(g, p, columns));",
                    "vf dot = v_zero();"),
        "gelu": ("activation.h", GELU,
                 "v_store_part(dx + i, slope, n - i)"),
        "layernorm": ("layernorm.c", "v_fnma(normal, b, v_sub(dn, a))", "v_fnma(normal, b, dn)"),
        "rmsnorm": ("rmsnorm.c", "v_set1(rstd * rstd * b)", "v_zero()"),
        "cross_entropy": ("cross_entropy.c", "dx[target] -= (1 - smoothing) * scale;", ";"),
        "embedding": ("embedding.c", "to[i] += from[i];", "to[i] = from[i];"),
        "muon": ("muon.c", "v_store_part(ahead + i, v_fma(held, keep, g), n);",
                 "v_store_part(ahead + i, held, n);"),
    },
    "scaled": {
        "softmax": ("softmax.c", "vf dot = v_set1(softmax_row_dot(g, p, columns));",
                    "vf dot = v_set1(1.001f * softmax_row_dot(g, p, columns));"),
        "gelu": ("activation.h", GELU,
                 "v_store_part(dx + i, v_mul(v_load_part(dy + i, n - i), v_mul(slope,"
                 " v_set1(1.001f))), n - i)"),
        "layernorm": ("layernorm.c", "v_fnma(normal, b, v_sub(dn, a))",
                      "v_fnma(normal, v_mul(b, v_set1(1.001f)), v_sub(dn, a))"),
        "rmsnorm": ("rmsnorm.c", "v_set1(rstd * rstd * b)", "v_set1(1.001f * rstd * rstd * b)"),
        "cross_entropy": ("cross_entropy.c", "dx[target] -= (1 - smoothing) * scale;",
                          "dx[target] -= 1.001f * (1 - smoothing) * scale;"),
        "embedding": ("embedding.c", "to[i] += from[i];", "to[i] += 1.001f * from[i];"),
        "muon": ("muon.c", ".shift = round[0]", ".shift = 1.001f * round[0]"),
    },
}

# The gradient in the order of its transpose: the right function under another name, and one under
# its own name that calls it and stores the result the other way round.
TRANSPOSE = """
#include <stdlib.h>
static void transpose(float *a, int64_t rows, int64_t columns) {
    float *t = malloc(rows * columns * sizeof *t);
    for (int64_t i = 0; i < rows * columns; i++) t[i % columns * rows + i / columns] = a[i];
    memcpy(a, t, rows * columns * sizeof *t);
    free(t);
}
"""
# operation -> (parameters, arguments, what to transpose)
TRANSPOSED = {
    "softmax": (
        "const float *dy, const float *y, float *dx, int64_t rows, int64_t columns",
        "dy, y, dx, rows, columns",
        "dx, rows, columns",
    ),
    "gelu": (
        "const float *dy, const float *x, float *dx, int64_t n",
        "dy, x, dx, n",
        "dx, 2, n / 2",
    ),
    "layernorm": (
        "const float *dy, const float *s, const float *weight, const float *mean, "
        "const float *rstd, const float *ds, float *dx, float *dweight, float *dbias, "
        "float *scratch, int64_t blocks, int64_t rows, int64_t n",
        "dy, s, weight, mean, rstd, ds, dx, dweight, dbias, scratch, blocks, rows, n",
        "dx, rows, n",
    ),
    "rmsnorm": (
        "const float *dy, const float *s, const float *weight, const float *rstd, "
        "const float *ds, float *dx, float *dweight, float *scratch, int64_t blocks, "
        "int64_t rows, int64_t n",
        "dy, s, weight, rstd, ds, dx, dweight, scratch, blocks, rows, n",
        "dx, rows, n",
    ),
    "cross_entropy": (
        "const float *logits, const int64_t *targets, const float *lse, float smoothing, "
        "float scale, float *dlogits, int64_t rows, int64_t n",
        "logits, targets, lse, smoothing, scale, dlogits, rows, n",
        "dlogits, rows, n",
    ),
    "embedding": (
        "const float *dy, const int64_t *ids, float *dweight, int64_t *scratch, int64_t rows, "
        "int64_t size, int64_t n",
        "dy, ids, dweight, scratch, rows, size, n",
        "dweight, size, n",
    ),
}
KINDS = (*EDITS, "transposed")
OPERATIONS = (*TRANSPOSED, "muon")


def edited(kind: str) -> dict[str, str]:
    """File name -> source with the mistakes of one kind in it.

    Raises LookupError if a line to be changed is not there: the C has changed, mend the edit.
    """
    sources: dict[str, str] = {}

    def change(file: str, old: str, new: str) -> None:
        text = sources.get(file) or (SOURCES / file).read_text()
        if old not in text:
            raise LookupError(f"{file} no longer has the line to spoil: {old!r}")
        sources[file] = text.replace(old, new)

    for file, old, new in EDITS.get(kind, {}).values():
        change(file, old, new)
    if kind == "transposed":
        change("symmetric.h", "v_transpose(square);", "")  # of Muon: the mirror
        for name, (parameters, arguments, which) in TRANSPOSED.items():
            change(f"{name}.c", f"void {name}_backward(", f"static void {name}_right(")
            helper = TRANSPOSE if name == "cross_entropy" else ""  # the first to be included
            sources[f"{name}.c"] += (
                f"{helper}\nvoid {name}_backward({parameters}) {{\n"
                f"    {name}_right({arguments});\n    transpose({which});\n}}\n"
            )
    return sources


def compiled(kind: str, folder: Path):
    """The generic C module with the mistakes of one kind, built in a folder of its own."""
    target = folder / kind / "kernels" / "c"
    shutil.copytree(SOURCES, target, ignore=shutil.ignore_patterns("*.so", "_*", "__pycache__"))
    for file, text in edited(kind).items():
        (target / file).write_text(text)
    build = (target / "build.py").read_text().replace('"-O3"', '"-O1"')
    (target / "build.py").write_text(build)
    script = "import runpy; runpy.run_path('kernels/c/build.py')['generic']().compile(tmpdir='.')"
    subprocess.run([sys.executable, "-c", script], cwd=folder / kind, check=True,
                   capture_output=True)
    (path,) = target.glob("_generic*.so")
    loader = importlib.machinery.ExtensionFileLoader(f"mutant_{kind}._generic", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    registered = sys.modules["kernels.c._generic"]
    module = importlib.util.module_from_spec(spec)  # cffi enters it under the name it was built for
    loader.exec_module(module)
    sys.modules["kernels.c._generic"] = registered
    return module


@contextmanager
def in_force(module) -> Iterator[None]:
    """Let "c:generic" mean this module."""
    from kernels.c import library

    original, before = library._load, library.current_isa()
    library._load = lambda isa: (module, "ready")
    try:
        yield
    finally:
        library._load = original
        library.use_isa(before)  # meanwhile every set seemed ready, avx512 too


def is_caught(name: str) -> bool:
    """Whether the comparison with the reference rejects the operation as it now runs."""
    import numpy as np

    from minigrad.testing import REGISTRY, RandomSource, certify

    if name == "muon":
        return muon_is_caught()
    op = REGISTRY[name]
    for seed in range(30):
        case = op.sample(RandomSource(np.random.default_rng(seed), telling=True))
        error, allowed = certify.against_reference(op, case, "c:generic")
        if not error <= allowed:
            return True
    return False


def muon_is_caught() -> bool:
    """The same for Muon's step, which has no gradient: on three matrices, each way round."""
    import numpy as np

    from kernels import c, numpy_ref

    c.use_isa("generic")
    rng, settings = np.random.default_rng(0), {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.3}
    ours = [[rng.standard_normal(shape).astype(np.float32) for shape in ((9, 30), (30, 20), (5, 5))]
            for _ in range(3)]
    exact = [[array.astype(np.float64) for array in arrays] for arrays in ours]
    c.muon_update(*ours, **settings)
    numpy_ref.muon_update(*exact, **settings)
    pairs = zip(ours[0], exact[0], strict=True)
    return not all(np.abs(a - b).max() <= 1e-5 for a, b in pairs)
