"""Paths as they are typed: "~", links, devices, names that are no text, files in the way."""

import os

import pytest

from tinygpt.storage.paths import PathError, check_folder, expand, kind, shown


def test_the_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/mia")
    assert expand("~/run") == "/home/mia/run"
    assert expand("./stories") == "./stories"


@pytest.mark.parametrize("given", ["", "a\0b"])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(PathError, match="is not a path"):
        expand(given)


def test_a_name_prints_whatever_its_bytes():
    assert shown(os.fsdecode(b"caf\xe9 \x1b[31m")) == r"caf\xe9 \x1b[31m"
    assert shown("żółw.txt") == "żółw.txt"


def test_kinds_of_what_is_there(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    found = {name: kind(tmp_path / name) for name in ("file", "pipe", "link", "nothing", ".")}
    assert found == {"file": "file", "pipe": "pipe", "link": "file", "nothing": "", ".": "folder"}
    assert kind(tmp_path / "file/below") == "" and kind("/dev/zero") == "device"


def test_links_to_nowhere_and_in_circles_say_so(tmp_path):
    (tmp_path / "broken").symlink_to("gone")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(PathError, match="is a link to gone, where nothing is"):
        kind(tmp_path / "broken")
    with pytest.raises(PathError, match=r"cannot open .*circle: Too many levels"):
        kind(tmp_path / "circle")


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    check_folder(tmp_path / "a/b/c")
    for below in ("file", "file/run"):
        with pytest.raises(PathError, match="file is a file, and .* is to be a folder"):
            check_folder(tmp_path / below)
