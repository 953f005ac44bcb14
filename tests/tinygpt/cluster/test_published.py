"""Known trainings: within 15 % of their days, by constants that were fitted to others."""

import numpy as np
import pytest

from bench import cluster as bench
from tinygpt.cluster.machines import H100, Cluster
from tinygpt.cluster.memory import memory
from tinygpt.cluster.published import RUNS, ask
from tinygpt.cluster.run import FITS, best_cut, cuts
from tinygpt.cluster.shape import Model


@pytest.mark.parametrize("run", RUNS, ids=[run.name for run in RUNS])
def test_days_are_within_15_per_cent_of_those_published(run):
    assert ask(run).days == pytest.approx(run.days, rel=0.15)


def test_blooms_step_is_near_the_105_seconds_of_its_chronicle():
    bloom = next(run for run in RUNS if run.name.startswith("BLOOM"))
    assert ask(bloom).step.seconds == pytest.approx(105.2, rel=0.06)


def test_every_run_names_its_source():
    assert all(run.source for run in RUNS)


def test_the_constants_are_those_that_fit_the_short_trainings():
    found = bench.fit()
    np.testing.assert_allclose(found, bench.KEPT, rtol=2e-3)
    assert abs(bench.misses(found)).max() < 0.06


def test_the_best_cut_fits_and_no_other_is_faster():
    model, cluster = Model(32, 4096, 32, 32000, 2048), Cluster(H100, 16, 50e9)
    chosen = best_cut(model, cluster, 64)
    assert memory(model, chosen, 64).total <= FITS * H100.memory
    assert chosen in set(cuts(model, cluster, 64))


def test_a_model_that_fits_nowhere_is_refused():
    with pytest.raises(ValueError, match="fits 2 of H100"):
        best_cut(Model(96, 12288, 96, 51200, 2048), Cluster(H100, 2, 50e9), 64)
