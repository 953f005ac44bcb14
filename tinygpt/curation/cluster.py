"""Beyond one machine: the same parts, done by the workers of a Dask cluster.

    with Cluster("tcp://10.0.0.1:8786") as run:        # dask scheduler, dask worker
        curate("/shared/folder", "/shared/corpus", runner=run)

A part is read from the folder and written to the corpus's work, which all machines must see under
the same paths; what travels is its number. Parts are the partitions of a bag, mapped and nothing
else: a shuffle is where such clusters lose their memory (dask 2456, 7613), and we need none.

Read next: pipeline.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinygpt.errors import UsageError


class Cluster:
    """The Runner of a Dask cluster.  Use it in a with block.

    address: of its scheduler, as "tcp://host:8786".
    Raises UsageError where Dask is not installed or nobody answers.
    """

    def __init__(self, address: str):
        self.address = address
        self._client: Any = None

    def __enter__(self) -> Cluster:
        try:
            from dask.distributed import Client
        except ImportError:
            raise UsageError(
                "a cluster needs Dask, which is not installed. Run `pip install dask distributed`."
            ) from None
        try:
            self._client = Client(self.address, timeout=10)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"no Dask scheduler answers at {self.address} ({error}). Start one with `dask "
                "scheduler`, and workers with `dask worker ADDRESS`."
            ) from None
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def __call__(self, do: Callable[[int], int], parts: list[int]) -> Iterator[int]:
        import dask.bag

        if parts:
            bag = dask.bag.from_sequence(parts, npartitions=len(parts)).map(do)
            yield from self._client.compute(bag).result()
