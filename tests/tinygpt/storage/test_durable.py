"""A file is replaced whole, through links, by several at once; what is no file is written into."""

import hashlib
import os
import threading

import pytest

from tinygpt.storage.durable import HELD, replace_file, replacing


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").write_text("old")
    (tmp_path / "link").symlink_to("there/file")
    replace_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there/file").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_into_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    replace_file(pipe, "new")
    reader.join()
    assert read == ["new"] and pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_threads_that_replace_one_file_leave_one_whole(tmp_path):
    target, meet = tmp_path / "file", threading.Barrier(4)

    def write(letter):
        with replacing(target) as file:
            file.write(letter * 1000)
            meet.wait()  # all drafts are there at once
            file.write(letter * 1000)

    letters = (b"a", b"b", b"c", b"d")
    threads = [threading.Thread(target=write, args=(letter,)) for letter in letters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in {letter * 2000 for letter in letters}
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_small_and_large_writes_come_in_their_order(tmp_path):
    sizes = (3, HELD, 1, HELD - 2, 2, HELD + 1, 5, 0, 3 * HELD, 7)
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    with replacing(tmp_path / "file") as file:
        held = bytearray()
        for piece in pieces:
            held[:] = piece
            file.write(memoryview(held) if len(piece) < 9 else piece)
    whole = b"".join(pieces)
    assert (tmp_path / "file").read_bytes() == whole
    assert file.summary() == {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("size", [1, 3 * HELD])
def test_a_disk_without_room_is_an_error_at_the_latest_when_the_file_is_closed(size):
    with pytest.raises(OSError, match="No space"):
        replace_file("/dev/full", "a" * size)
