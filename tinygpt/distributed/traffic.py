"""What travels: the bytes that each rank sends for one optimizer step.  They are the bytes that it
receives, too; headers of TCP, IP and Ethernet (about 4 %) come on top (`on_the_wire`).

A sum over n ranks goes in two halves. Every rank owns 1/n of the values. First each sends every
other rank the part that the other owns, who adds up (reduce-scatter); then each sends every other
the part that it has added up (all-gather). A half is (n - 1)/n of all values for each rank, however
many ranks there are, and whether it goes directly or round a ring (Patarasuk and Yuan 2009).

Read next: communicator.py, which does this.
"""

from __future__ import annotations

FLOAT32 = 4.0  # bytes a value
BLOCK = 256  # values that share one scale
INT8 = 1.0 + FLOAT32 / BLOCK  # bytes a value: its code, and its part of a scale
MTU, HEADERS, FRAME = 1500, 52, 38  # bytes of a packet, TCP's and IP's in it, Ethernet's around


def half(parameters: int, ranks: int, value_bytes: float = FLOAT32) -> float:
    """Bytes a rank sends in one half of a sum: a reduce-scatter, or an all-gather."""
    return (ranks - 1) / ranks * parameters * value_bytes


def data_parallel(parameters: int, ranks: int) -> float:
    """Gradients summed in float32: both halves."""
    return 2 * half(parameters, ranks)


def data_parallel_int8(parameters: int, ranks: int) -> float:
    """Gradients summed with both halves sent as int8 codes and scales."""
    return 2 * half(parameters, ranks, INT8)


def zero1(parameters: int, ranks: int) -> float:
    """ZeRO-1: gradients reduce-scattered, updated weights all-gathered, both in float32."""
    return 2 * half(parameters, ranks)


def zero1_int8(parameters: int, ranks: int) -> float:
    """ZeRO-1 with gradients as int8; the weights stay float32."""
    return half(parameters, ranks, INT8) + half(parameters, ranks)


def local_steps(parameters: int, ranks: int, every: int) -> float:
    """Weights' changes summed in float32 once in `every` steps."""
    return data_parallel(parameters, ranks) / every


def local_steps_int8(parameters: int, ranks: int, every: int) -> float:
    """The same, summed as int8."""
    return data_parallel_int8(parameters, ranks) / every


def on_the_wire(sent: float) -> float:
    """Bytes on an Ethernet cable that `sent` bytes of a full TCP stream take, acknowledgements not
    counted."""
    return sent * (MTU + FRAME) / (MTU - HEADERS)
