"""Checkpoints are whole or not there, whatever the disk and the kill signal do."""

import errno
import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file

from tinygpt.errors import UserError
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs.checkpoint import CheckpointError


def arrays(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "weight": rng.standard_normal((37, 53)).astype(np.float32),
        "codes": rng.integers(-128, 127, (11, 7)).astype(np.int8),
        "steps": np.array(seed, dtype=np.int64),
        "empty": np.zeros((0, 3), dtype=np.float32),
    }


def save(folder, step):
    return checkpoints.save(folder, step, arrays(step), arrays(step + 1), {"train": {"step": step}})


def test_what_was_saved_is_read_back_to_the_bit(tmp_path):
    saved = save(tmp_path, 7)
    checkpoints.verify(saved)
    for name, seed in (("model", 7), ("optimizer", 8)):
        read = dict(saved.tensors(name))
        assert set(read) == set(arrays(seed))
        for key, array in arrays(seed).items():
            assert read[key].dtype == array.dtype
            np.testing.assert_array_equal(read[key], array)
    assert saved.state() == {"train": {"step": 7}}


def test_the_safetensors_package_reads_our_files(tmp_path):
    read = load_file(save(tmp_path, 3).path / "model.safetensors")
    np.testing.assert_array_equal(read["weight"], arrays(3)["weight"])


def test_arrays_that_are_not_contiguous_are_saved_by_value(tmp_path):
    model = {"w": np.arange(12, dtype=np.float32).reshape(3, 4).T}
    saved = checkpoints.save(tmp_path, 1, model, {}, {})
    np.testing.assert_array_equal(dict(saved.tensors("model"))["w"], model["w"])


def test_newest_and_best_are_kept(tmp_path):
    for step in (1, 2, 3, 4, 5):
        save(tmp_path, step)
    checkpoints.prune(tmp_path, keep=2, best_step=2)
    assert [found.step for found in checkpoints.listed(tmp_path)] == [5, 4, 2]


def test_saving_a_step_again_replaces_it(tmp_path):
    save(tmp_path, 4)
    again = checkpoints.save(tmp_path, 4, arrays(9), arrays(9), {"train": {}})
    checkpoints.verify(again)
    assert [found.step for found in checkpoints.listed(tmp_path)] == [4]
    np.testing.assert_array_equal(dict(again.tensors("model"))["weight"], arrays(9)["weight"])


@pytest.mark.parametrize("name", [*checkpoints.FILES, checkpoints.MANIFEST])
def test_every_truncation_is_found_and_the_one_before_is_used(tmp_path, name):
    good, torn = save(tmp_path, 1), save(tmp_path, 2)
    path = torn.path / name
    whole = path.read_bytes()
    for size in {0, 1, len(whole) // 2, len(whole) - 1, *range(0, len(whole), 4096)}:
        path.write_bytes(whole[:size])
        warnings = []
        assert checkpoints.newest_good(tmp_path, warnings.append) == good
        assert len(warnings) == 1 and name in warnings[0]
    path.unlink()
    assert checkpoints.newest_good(tmp_path) == good


@pytest.mark.parametrize("name", [*checkpoints.FILES, checkpoints.MANIFEST])
def test_every_flipped_bit_is_found(tmp_path, name):
    saved = save(tmp_path, 2)
    path = saved.path / name
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for bit in rng.integers(0, 8 * len(whole), 60):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
            checkpoints.verify(saved)


class FailingDisk:
    """Makes the n-th call of one os function fail, and every later one too."""

    def __init__(self, monkeypatch, name: str, fail_at: int):
        self.calls, self.fail_at, self.real = 0, fail_at, getattr(os, name)
        monkeypatch.setattr(os, name, self)

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.calls >= self.fail_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("name", ["write", "fsync", "rename", "open", "mkdir"])
def test_a_disk_failing_at_any_call_loses_nothing(tmp_path, monkeypatch, name):
    for fail_at in range(1, 100):
        folder = tmp_path / str(fail_at)
        good = save(folder, 1)
        with monkeypatch.context() as patch:
            disk = FailingDisk(patch, name, fail_at)
            try:
                save(folder, 2)
                finished = True
            except OSError:
                finished = False
            called = disk.calls
        newest = checkpoints.newest_good(folder)
        assert newest is not None
        assert newest.step == 2 if finished else newest.step in (1, 2)
        checkpoints.verify(good)
        save(folder, 3)
        assert not list(folder.glob("unfinished-*"))
        if called < fail_at:
            assert finished
            return
    pytest.fail("the save never finished")


def test_replacing_a_checkpoint_survives_a_failing_rename(tmp_path, monkeypatch):
    save(tmp_path, 1)
    save(tmp_path, 2)
    for fail_at in (1, 2):
        with monkeypatch.context() as patch:
            FailingDisk(patch, "rename", fail_at)
            with pytest.raises(OSError, match="No space"):
                save(tmp_path, 2)
        newest = checkpoints.newest_good(tmp_path)
        assert newest is not None and newest.step == 2


def test_an_unfinished_save_is_invisible_and_removed(tmp_path):
    save(tmp_path, 1)
    draft = tmp_path / "unfinished-00000002-99"
    draft.mkdir()
    (draft / "model.safetensors").write_bytes(b"half")
    assert [found.step for found in checkpoints.listed(tmp_path)] == [1]
    save(tmp_path, 3)
    assert not draft.exists()


def test_a_manifest_of_another_step_is_refused(tmp_path):
    saved = save(tmp_path, 5)
    saved.path.rename(tmp_path / "step-00000009")
    (moved,) = checkpoints.listed(tmp_path)
    with pytest.raises(CheckpointError, match="manifest"):
        checkpoints.verify(moved)


def test_state_json_is_plain_json(tmp_path):
    rng = np.random.default_rng(3)
    state = {"rng": rng.bit_generator.state}
    saved = checkpoints.save(tmp_path, 1, {}, {}, state)
    again = np.random.default_rng(0)
    again.bit_generator.state = json.loads((saved.path / "state.json").read_text())["rng"]
    assert rng.integers(2**63) == again.integers(2**63)


def test_a_folder_that_looks_like_a_step_and_is_none_is_passed_over(tmp_path):
    good = save(tmp_path, 3)
    for name in ("step-\u00b2", "step-x", "step-"):
        (tmp_path / name).mkdir()
    assert checkpoints.listed(tmp_path) == [good]


@pytest.mark.parametrize("code", ["EINVAL", "ENOTSUP", "EBADF", "EIO"])
def test_a_file_system_that_cannot_flush_folders_is_used_and_a_failing_disk_is_not(
    tmp_path, monkeypatch, code
):
    real = os.fsync

    def fsync(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(getattr(errno, code), "the folder's file system refuses")
        real(handle)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc to tell folders by")
    monkeypatch.setattr(os, "fsync", fsync)
    if code == "EIO":
        with pytest.raises(OSError, match="refuses"):
            save(tmp_path, 1)
    else:
        checkpoints.verify(save(tmp_path, 1))


def test_the_files_are_those_of_every_version(tmp_path):
    """Checkpoints of earlier versions verify: their manifest is compared byte by byte."""
    saved = save(tmp_path, 7)
    assert saved.path == tmp_path / "step-00000007"
    assert sorted(path.name for path in saved.path.iterdir()) == [
        "manifest.json", "model.safetensors", "optimizer.safetensors", "state.json",
    ]
    size = len((saved.path / "model.safetensors").read_bytes())
    manifest = (saved.path / "manifest.json").read_text()
    assert manifest.startswith(
        '{\n "format": 1,\n "step": 7,\n "files": {\n  "model.safetensors": {\n'
        f'   "bytes": {size},\n   "sha256": "'
    )
    assert (saved.path / "state.json").read_text() == '{"train": {"step": 7}}'


def test_the_values_of_a_model_are_counted_by_its_header(tmp_path):
    assert save(tmp_path, 1).parameters() == 37 * 53 + 11 * 7 + 1


def test_weights_are_copied_into_arrays_of_their_shape_only(tmp_path):
    saved = save(tmp_path, 7)
    mine = {name: np.zeros_like(array) for name, array in arrays(0).items()}
    saved.copy_to(mine)
    np.testing.assert_array_equal(mine["weight"], arrays(7)["weight"])
    mine["weight"] = np.zeros((53, 37), np.float32)
    with pytest.raises(CheckpointError, match=r"weight is (?s:.*)model of another shape"):
        saved.copy_to(mine)


def test_files_that_are_damaged_are_named_where_they_are_read(tmp_path):
    saved = save(tmp_path, 7)
    for name in ("model.safetensors", "state.json"):
        (saved.path / name).write_bytes(b"{")
    with pytest.raises(CheckpointError, match=r"model\.safetensors .*Use an earlier checkpoint"):
        saved.tensors("model")
    with pytest.raises(CheckpointError, match=r"state\.json .*Use an earlier checkpoint"):
        saved.state()
    assert saved.scheduled  # `verify` finds the damage


def test_data_of_another_identity_is_refused_but_for_the_tokenizers_name(tmp_path):
    state = {"train": {}, "data": {"text": "a", "tokenizer": "x", "split": 3}}
    saved = checkpoints.save(tmp_path, 1, {}, {}, state)
    saved.check_data({"text": "a", "tokenizer": "y", "split": 3})
    saved.check_data({"text": "a"})
    with pytest.raises(UserError, match=r"text was a and is b, split was 3 and is 4\. Bring"):
        saved.check_data({"text": "b", "tokenizer": "x", "split": 4})
    with pytest.raises(UserError, match="text was None and is a"):
        save(tmp_path, 2).check_data({"text": "a"})


def marked(folder, step, scheduled):
    return checkpoints.save(folder, step, {}, {}, {"train": {}, "scheduled": scheduled})


def test_the_newest_of_those_asked_for_is_found(tmp_path):
    for step, scheduled in ((1, True), (2, True), (3, False), (4, True), (5, False)):
        marked(tmp_path, step, scheduled)
    newest = checkpoints.newest_good
    assert checkpoints.listed(tmp_path)[1].state() == {"train": {}, "scheduled": True}
    assert newest(tmp_path).step == 5 and newest(tmp_path, scheduled=True).step == 4
    assert newest(tmp_path, before=5).step == 4 and newest(tmp_path, before=4).step == 3
    assert newest(tmp_path, before=4, scheduled=True).step == 2
    assert newest(tmp_path, before=1) is None and newest(tmp_path / "none") is None


def test_pruning_keeps_the_newest_of_all_and_the_newest_of_the_recipe(tmp_path):
    for step in range(1, 8):
        marked(tmp_path, step, scheduled=step in (1, 2, 3, 5))
    checkpoints.prune(tmp_path, keep=2, best_step=1)
    assert [found.step for found in checkpoints.listed(tmp_path)] == [7, 5, 3, 1]
    checkpoints.prune(tmp_path, keep=1, best_step=None)
    assert [found.step for found in checkpoints.listed(tmp_path)] == [7, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000005", "step-00000007"]


def test_one_that_was_being_replaced_stands_in_until_the_new_one_is_there(tmp_path):
    saved = save(tmp_path, 4)
    replaced = saved.path.rename(tmp_path / "replaced-step-00000004")
    (tmp_path / "step-00000009").write_text("a file, not a folder")
    (only,) = checkpoints.listed(tmp_path)
    assert (only.step, only.path) == (4, replaced)
    checkpoints.verify(only)
    save(tmp_path, 3)
    assert replaced.is_dir()
    again = save(tmp_path, 4)
    assert not replaced.exists() and checkpoints.listed(tmp_path)[0] == again


def test_a_save_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        checkpoints.save(tmp_path / "a/b", 1, {}, {}, {"train": object()})
    assert list((tmp_path / "a/b").iterdir()) == []


def test_a_checkpoint_appears_when_it_is_on_the_disk_and_then_its_name_is(tmp_path, monkeypatch):
    done, real = [], os.rename

    def rename(old, new):
        done.append(("rename", os.path.basename(new)))
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(checkpoints, "flush_folder", lambda path: done.append(("flush", path.name)))
    save(tmp_path / "run", 4)
    draft = f"unfinished-00000004-{os.getpid()}"
    assert done == [("flush", draft), ("rename", "step-00000004"), ("flush", "run")]


def test_what_cannot_be_deleted_stops_nobody(tmp_path, monkeypatch):
    for step in (1, 2, 3):
        marked(tmp_path, step, True)
    (tmp_path / "replaced-step-00000003").mkdir()

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        patch.setattr(os, "rmdir", refuse)
        checkpoints.prune(tmp_path, keep=1, best_step=None)
        marked(tmp_path, 4, True)
        assert [found.step for found in checkpoints.listed(tmp_path)] == [4, 3]
        assert (tmp_path / "unfinished-old-step-00000001").exists()
    marked(tmp_path, 5, True)
    assert {path.name[:5] for path in tmp_path.iterdir()} == {"step-"}
