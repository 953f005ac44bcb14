"""What is made of exchanges, ranks that do not answer, folders that travel, ranks that differ."""

import threading

import numpy as np
import pytest

from tinygpt.distributed import folders
from tinygpt.distributed.communicator import PIECE, RankLost
from tinygpt.distributed.start import Joined, check_alike, programs
from tinygpt.distributed.threads import together
from tinygpt.errors import UserError


def test_texts_come_in_the_order_of_the_ranks():
    said = together(3, lambda c: c.texts(f"{c.rank} says {'ä' * c.rank}"))
    assert said == [["0 says ", "1 says ä", "2 says ää"]] * 3


def test_a_broadcast_fills_arrays_of_any_shape():
    def work(communicator):
        array = np.arange(6.0).reshape(2, 3) * (communicator.rank + 1)
        scalar = np.array(communicator.rank)
        communicator.broadcast(array, root=1)
        communicator.broadcast(scalar, root=2)
        return array, scalar

    for array, scalar in together(3, work):
        assert array.tolist() == [[0, 2, 4], [6, 8, 10]] and scalar == 2


def test_whoever_does_not_answer_is_named():
    def work(communicator):
        if communicator.rank != 1:
            communicator.barrier(timeout=0.2)

    with pytest.raises(RankLost, match=r"rank 1 \(thread 1\) has not answered for 0 s"):
        together(3, work)


def test_channels_do_not_mix():
    def work(communicator):
        other = 1 - communicator.rank
        arrays = [np.full(4, 10 * communicator.rank + k, np.float32) for k in range(2)]
        into = [np.empty(4, np.float32) for _ in range(2)]
        order = [0, 1] if communicator.rank else [1, 0]
        waits = [
            communicator.exchange(_at(other, arrays[k]), _at(other, into[k]), 5 + k) for k in order
        ]
        for pending in waits:
            communicator.wait(pending)
        return [array[0] for array in into]

    assert together(2, work) == [[10, 11], [0, 1]]


def _at(rank, array):
    return [array if k == rank else None for k in range(2)]


def test_ranks_agree_on_what_the_first_says_that_says_anything():
    def work(communicator):
        group = Joined(communicator)
        own = {0: None, 1: "hot", 2: "late"}[communicator.rank]
        return group.agree(own), group.agree(None), group.told(f"by {communicator.rank}")

    assert together(3, work) == [("hot", None, "by 0")] * 3


def test_a_folder_travels_without_what_stays(tmp_path):
    source = tmp_path / "run"
    files = {"config.json": b"{}", "tokens/train.bin": bytes(range(256)) * (PIECE // 256 + 3),
             "empty": b""}
    stays = {"metrics.jsonl": b"1", "checkpoints/step-1/state.json": b"2"}
    for name, content in {**files, **stays}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)

    def work(communicator):
        if communicator.rank == 0:
            folders.send(communicator, source)
            return None
        into = tmp_path / f"copy{communicator.rank}"
        folders.receive(communicator, into)
        return {p.relative_to(into).as_posix(): p.read_bytes()
                for p in into.rglob("*") if p.is_file()}

    assert together(3, work) == [None, files, files]


def test_a_folder_does_not_leave_its_place(tmp_path):
    def work(communicator):
        if communicator.rank == 0:
            communicator.texts('[["../outside", 0]]')
        else:
            folders.receive(communicator, tmp_path / "in")

    with pytest.raises(RuntimeError, match="rank 0 sends a file to ../outside"):
        together(2, work)


@pytest.mark.parametrize("name, value, advice", [
    ("isa", "avx512", "Set KERNELS_ISA"), ("tinygpt", "0.0.1", "Copy one folder"),
    ("numpy", "1.0", "Install the same"), ("backend", "numpy", "KERNELS_BACKEND"),
])
def test_a_rank_that_differs_is_named_by_the_first(name, value, advice):
    silent = []

    def work(communicator):
        own = dict(programs())
        if communicator.rank == 2:
            own[name] = value
        try:
            check_alike(communicator, own)
        except SystemExit as end:
            silent.append(end.code)

    with pytest.raises(
        UserError, match=rf"rank 2 \(thread 2\) has another {name} .*{value} inst.*{advice}"
    ):
        together(3, work)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.name.startswith("Thread-"):
            thread.join(2)
    assert silent == [1, 1]
