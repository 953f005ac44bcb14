"""cluster.py: a cluster of two processes makes the bytes that one process makes."""

import pytest

from tests.tinygpt.curation.folders import mixed
from tests.tinygpt.curation.test_pipeline import bytes_of
from tinygpt.curation import curate, source
from tinygpt.curation.cluster import Cluster
from tinygpt.errors import UsageError


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_same_bytes_as_here(tmp_path, monkeypatch):
    distributed = pytest.importorskip("dask.distributed")
    monkeypatch.setattr(source, "PART", 10_000)
    folder = mixed(tmp_path / "in")
    curate(folder, tmp_path / "here")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local, Cluster(local.scheduler_address) as run:
        curate(folder, tmp_path / "there", runner=run)
    assert bytes_of(tmp_path / "there") == bytes_of(tmp_path / "here")


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dask.distributed", None)
    with pytest.raises(UsageError, match="pip install dask distributed"):
        Cluster("tcp://localhost:1").__enter__()
