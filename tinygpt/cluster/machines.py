"""Accelerators and links, and what of their datasheets a training sees.

Peaks, bandwidths and sizes are the vendor's datasheets. What a training reaches of them is four
constants: `matmul` of each accelerator, NETWORK and TRAFFIC. They are fitted to a public table of
22 short trainings on 8 to 64 accelerators (bench/cluster.json), none of which is among the runs
whose days we ask about; `python -m bench cluster` fits them again, and a test holds them to that.

Read next: step.py.
"""

from __future__ import annotations

from typing import NamedTuple

# Share of a link's nominal rate at which a sum or a gather costs a step time, whatever is hidden
# behind what: in the table, hiding slows what it hides behind by as much as it gains.
NETWORK = 0.686
# Each byte that a layer keeps for its backward stands for so many that cross the memory, forward:
# what is no large product, the small ones' slowness included. A backward takes twice as long.
TRAFFIC = 5.55
# Unfused attention's are counted: for each query and key, scores written and read, softmax written
# and read, dropout's mask and result written, the result read; 16 bits each, the mask 8.
ATTENTION = 13.0


class Accelerator(NamedTuple):
    """One GPU.

    peak: multiply and add operations a second, 16 bit, dense.  memory: bytes.  bandwidth: of it,
    bytes a second.  inside: bytes a second to another one in the same node, each way.
    matmul: share of the peak that large products reach.  node: of them in a machine.
    """

    name: str
    peak: float
    memory: float
    bandwidth: float
    inside: float
    matmul: float
    node: int = 8


A100 = Accelerator("A100 80 GB", 312e12, 80e9, 2.04e12, 300e9, 0.891)
H100 = Accelerator("H100 80 GB", 989e12, 80e9, 3.35e12, 450e9, 0.736)


class Cluster(NamedTuple):
    """Nodes of one kind of accelerator.

    link: bytes a second of each accelerator's share of its node's network, each way.
    latency: seconds of a message.  failures: of one accelerator, a day (with all that belongs to
    it: memory, cables, hosts).  restart: seconds from a failure until training goes on.
    storage: bytes a second that all write checkpoints at.  network, traffic: as NETWORK, TRAFFIC.
    """

    gpu: Accelerator
    gpus: int
    link: float
    latency: float = 5e-6
    failures: float = 0.0
    restart: float = 600.0
    storage: float = 100e9
    network: float = NETWORK
    traffic: float = TRAFFIC
