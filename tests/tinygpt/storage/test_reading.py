"""The one reader of what may be damaged: it refuses in words, and reads no more than it must."""

import json
import os

import pytest

from tinygpt.storage.reading import (
    ANYTHING,
    COUNT,
    LONGEST_LINE,
    NUMBER,
    RANDOM_STATE,
    TEXT,
    FormatError,
    check,
    check_file,
    check_signature,
    one_of,
    optional,
    parse_json,
    read_bytes,
    read_json,
    read_lines,
    signed,
)

FORM = {"n": COUNT, "x?": NUMBER, "files": {str: {"size": COUNT}}, "pair?": (TEXT, COUNT)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe{\0}\0", "is not JSON"),
        ('{"n": 1}'.encode("utf-16"), "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"9" * 5000, "is not JSON"),
        (b'{"n": NaN}', "has NaN"),
        (b'{"n": -Infinity}', "has -Infinity"),
        (b'{"n": 1, "n": 2}', "has 'n' twice"),
        (b"3", "is 3, not an object"),
        (b'{"n": 1}', "has no files"),
        (b'{"files": {}}', "has no n"),
        (b'{"n": -1, "files": {}}', "has n that is -1, not a whole number from 0"),
        (b'{"n": true, "files": {}}', "has n that is true"),
        (b'{"n": 1.0, "files": {}}', "has n that is 1.0"),
        (b'{"n": 1e400, "files": {}}', "has n that is Infinity"),
        (b'{"n": 9223372036854775808, "files": {}}', "has n that is 9223372036854775808"),
        (b'{"n": 1, "files": []}', "has files that is a list, not an object"),
        (b'{"n": 1, "files": {"a": {}}}', "has files.a that has no size"),
        (b'{"n": 1, "files": {"a": {"size": "x"}}}', "has files.a.size that is 'x'"),
        (b'{"n": 1, "files": {}, "x": 1e300}', r"has x that is 1e\+300, not a finite number"),
        (b'{"n": 1, "files": {}, "pair": ["a"]}', "has pair that has 1 entries, not 2"),
        (b'{"n": 1, "files": {}, "pair": ["a", "b"]}', r"has pair\[1\] that is 'b'"),
    ],
)
def test_json_of_another_form_is_refused_by_name(text, words):
    with pytest.raises(FormatError, match=words):
        parse_json(text, FORM)


def test_what_is_of_the_form_comes_back():
    value = {"n": 0, "x": -1, "files": {"a": {"size": 2, "more": None}}, "other": [True]}
    assert parse_json(json.dumps(value), FORM) == value
    assert check([None, 1.5], [optional(NUMBER)]) == [None, 1.5]
    assert check({"a": 1, "b": "x"}, {"a": COUNT, str: TEXT}) == {"a": 1, "b": "x"}


@pytest.mark.parametrize("value", [True, 1.0, "1", [1], {"a": 1}, None])
def test_one_of_compares_types_too(value):
    assert check(1, one_of(1, 2)) == 1
    with pytest.raises(FormatError, match="not 1 or 2"):
        check(value, one_of(1, 2))


def test_a_random_state_has_128_bits():
    state = {
        "bit_generator": "PCG64", "state": {"state": 2**128 - 1, "inc": 1}, "has_uint32": 0,
        "uinteger": 2**32 - 1,
    }
    assert check(state, RANDOM_STATE) == state
    state["state"]["inc"] = 2**128
    with pytest.raises(FormatError, match="state.inc"):
        check(state, RANDOM_STATE)


def test_only_a_regular_file_of_bounded_size_is_read(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "endless").touch()
    os.truncate(tmp_path / "endless", 1 << 40)
    wanted = {"folder": "no regular file", "loop": "cannot be read", "endless": "longer than",
              "missing": "cannot be read"}
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        wanted["pipe"] = "no regular file"
    for name, words in wanted.items():
        with pytest.raises(FormatError, match=words):
            read_json(tmp_path / name)
    (tmp_path / "five").write_bytes(b"12345")
    assert read_bytes(tmp_path / "five", 5) == b"12345"
    with pytest.raises(FormatError, match="longer than 4 bytes"):
        read_bytes(tmp_path / "five", 4)


def test_damaged_lines_are_left_out_and_counted_once(tmp_path):
    path, said = tmp_path / "log.jsonl", []
    path.write_bytes(b'{"n": 1}\n{"n": "x"}\n\xff\xfe\n\n{"n": 2}\n[3]\n{"n": 3}\n{"n": ')
    lines = read_lines(path, {"n": COUNT}, said.append)
    assert [line["n"] for line in lines] == [1, 2, 3]
    assert said == [
        f"{path}: 4 of 8 lines are damaged and left out (line 2 has n that is 'x', not a whole "
        "number from 0)"
    ]


def test_half_a_line_at_the_end_is_what_a_kill_leaves(tmp_path):
    path, said = tmp_path / "log.jsonl", []
    path.write_bytes(b'{"n": 1}\n{"n"')
    assert list(read_lines(path, {"n": COUNT}, said.append)) == [{"n": 1}] and not said
    assert list(read_lines(tmp_path / "none", ANYTHING, said.append)) == [] and not said


def test_a_log_with_an_endless_line_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 1}\n')
    os.truncate(path, 2 * LONGEST_LINE)
    with pytest.raises(FormatError, match="bytes in line 2"):
        list(read_lines(path, {"n": COUNT}, print))


def test_a_signed_object_shows_every_change_and_an_unsigned_one_passes():
    body = {"a": [1, 2.5, None, "\u00e9"], "b": {"c": True}}
    again = json.loads(json.dumps(signed(body)))
    assert check_signature(again) == body and check_signature(body) == body
    for changed in ({**again, "a": 1}, {**again, "d": 0}, {**again, "sha256": "0" * 64}):
        with pytest.raises(FormatError, match="checksum"):
            check_signature(changed)


def test_a_file_is_held_against_its_size_and_checksum(tmp_path):
    path, seen = tmp_path / "f", []
    path.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    check_file(path, 3, digest, seen.append)
    check_file(path, 3, None)
    assert seen == [b"abc"]
    with pytest.raises(FormatError, match="has 3 bytes instead of 4"):
        check_file(path, 4, digest)
    with pytest.raises(FormatError, match="checksum"):
        check_file(path, 3, digest[::-1])
