"""Mistakes planted by hand in the C source: compiled and run, each must be caught."""

import shutil
import sysconfig

import pytest

from tests.ops.c_mutants import EDITS, KINDS, OPERATIONS, compiled, edited, in_force, is_caught

COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_to_spoil_are_there(kind):
    assert edited(kind)


def test_each_kind_spoils_each_operation():
    assert all(set(edits) == set(OPERATIONS) for edits in EDITS.values())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which(COMPILER) is None, reason="needs a C compiler")
@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_in_the_c_source_is_caught(kind, tmp_path):
    pytest.importorskip("kernels.c", reason="the C extension is not built")
    with in_force(compiled(kind, tmp_path)):
        missed = [name for name in OPERATIONS if not is_caught(name)]
    assert not missed
    assert not [name for name in OPERATIONS if is_caught(name)]  # the real one is accepted
