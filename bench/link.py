"""The line between ranks, as the exchanges of a training see it: latency and bytes a second.

    mpirun -n 2 --hostfile hosts python -m bench link

All ranks send to all at once, as in a sum; with two of them that is one line, both ways. Prints
one line of JSON: seconds of an exchange of next to nothing, bytes a second that each rank sends
while it receives as many, a processor's seconds for each of them (and one received), and how large
those messages were.
"""

from __future__ import annotations

import json
import time

import click
import numpy as np

SMALL, LARGE = 8, 1 << 20  # bytes to each other rank
ROW = 10  # exchanges between two looks at the clock


@click.command()
@click.option("--seconds", default=3.0, show_default=True, help="For each of the two.")
def command(seconds):
    """Measure the line between the ranks that mpirun has started."""
    from tinygpt.distributed.mpi import MPICommunicator, started_ranks
    from tinygpt.errors import UsageError

    if started_ranks() == 1:
        raise UsageError("a line has two ends: mpirun -n 2 python -m bench link")
    communicator = MPICommunicator()
    latency, _ = measure(communicator, SMALL, seconds)
    spent, worked = measure(communicator, LARGE, seconds)
    sent = (communicator.size - 1) * LARGE
    found = {
        "ranks": communicator.size, "hosts": communicator.names, "latency": latency,
        "bytes_per_second": sent / spent, "processor_per_byte": worked / sent, "message": LARGE,
    }
    found["mbit"] = round(8e-6 * found["bytes_per_second"], 1)  # for `tinygpt plan --link`
    if communicator.rank == 0:
        print(json.dumps(found), flush=True)
    communicator.close()


def measure(communicator, size, seconds):
    """(seconds, of a processor) of an exchange of `size` bytes with every other rank, of many."""
    n = communicator.size
    out = [np.zeros(size, np.uint8)] * n
    into = [np.empty(size, np.uint8) for _ in range(n)]
    communicator.wait(communicator.exchange(out, into))  # opens the lines
    count, more = 0, "yes"
    began, busy = time.perf_counter(), time.process_time()
    while more == "yes":
        for _ in range(ROW):
            communicator.wait(communicator.exchange(out, into))
        count += ROW
        spent, worked = time.perf_counter() - began, time.process_time() - busy
        more = communicator.texts("yes" if spent < seconds else "no")[0]
    return spent / count, worked / count


if __name__ == "__main__":
    command()
