"""Which files a text is: what a folder gives, what it does not, and that both are said."""

import json
import os

import pytest

from tinygpt.text import DataError, load_corpus
from tinygpt.text.files import NoText, find, is_run


def names(found):
    return [file.name for file in found.files]


def test_suffixes_count_in_any_case(tmp_path):
    for name in ("a.txt", "b.TXT", "c.Md", "d.PY", "e.pdf", "f"):
        (tmp_path / name).write_text("text")
    found = find(tmp_path)
    assert names(found) == ["a.txt", "b.TXT", "c.Md", "d.PY"]
    assert "2 files that are not .txt, .md, .py (without a suffix, .pdf)" in found.notes[0]


@pytest.fixture
def littered(tmp_path):
    """A folder with one text, and one in each place that is nobody's to learn."""
    for folder in (".git", "env", "__pycache__", "cache", "run", "plain"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text("text")
    (tmp_path / "env/pyvenv.cfg").touch()
    (tmp_path / "cache/CACHEDIR.TAG").touch()
    (tmp_path / "run/config.json").write_text(json.dumps({"training": {"steps": 3}}))
    (tmp_path / "plain/config.json").write_text(json.dumps({"architectures": ["GPT2"]}))
    (tmp_path / ".secret.txt").write_text("text")
    (tmp_path / "gone.txt").symlink_to("nowhere")
    (tmp_path / "circle.txt").symlink_to("circle.txt")
    (tmp_path / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    return tmp_path


def test_what_is_nobodys_to_learn_is_left_out_and_said(littered):
    found = find(littered)
    assert names(found) == ["plain/x.txt"]
    said = "\n".join(found.notes)
    for why in (
        "hidden: .git", ", hidden: ", "a virtual environment: env", "a cache: __pycache__, cache",
        "a run: run", "a link to a folder: again", "neither a file nor a link to one: ", ".secret",
    ):
        assert why in said, why
    assert load_corpus(littered).notes == tuple(found.notes)


def test_a_run_gives_none_of_its_own_files(littered):
    (littered / "run/log.txt").write_text("12:00 step 1")
    assert is_run(littered / "run") and names(find(littered / "run")) == ["x.txt"]


def test_a_name_that_is_not_utf8_is_a_name(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_text("text of it")
    corpus = load_corpus(tmp_path)
    assert [document.text for document in corpus] == ["text of it"]
    assert len(corpus.fingerprint) == len(load_corpus(path).fingerprint) == 32
    assert find(path).files[0].label.endswith(r"caf\xe9.txt")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "'' is not a path"), ("/dev/zero", "is a device"), ("missing", "no file or folder"),
        ("gone.txt", "is a link to nowhere"), ("circle.txt", "Too many levels"),
    ],
)
def test_what_is_no_text_ends_as_a_wrong_option_does(littered, monkeypatch, given, said):
    monkeypatch.chdir(littered)
    with pytest.raises(ValueError, match=said) as caught:
        load_corpus(given)
    assert caught.value.exit_code == 2


def test_a_folder_without_texts_says_what_it_left_out(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.pdf").touch()
    with pytest.raises(NoText, match=r"no .txt, .md, .py files.*hidden: .git.*1 files.*\(.pdf\)"):
        find(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(littered):
    (littered / "plain").chmod(0)
    with pytest.raises(DataError, match="cannot read .*plain: Permission denied"):
        find(littered)
    (littered / "plain").chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_named(littered, monkeypatch):
    listing = os.scandir

    def refuse(path):
        if str(path).endswith("plain"):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot read .*plain: Permission denied"):
        find(littered)


def test_marks_between_documents_are_mentioned_once(tmp_path):
    (tmp_path / "a.txt").write_text("one\n<|endoftext|>\ntwo\n" * 3)
    [note] = load_corpus(tmp_path / "a.txt").notes
    assert "<|endoftext|> stands 3 times in a.txt" in note


def test_a_corpus_that_hides_a_file_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_corpus("stories", stories_mb=0.01).notes == ()
    (tmp_path / "stories").mkdir()
    assert "./stories" in load_corpus("stories", stories_mb=0.01).notes[0]


def test_what_comes_once_is_known_before_it_is_read(tmp_path):
    import os

    from tinygpt.text.files import is_stream

    (tmp_path / "a.txt").write_text("text")
    os.mkfifo(tmp_path / "pipe")
    assert is_stream("-") and is_stream(tmp_path / "pipe")
    assert not is_stream(tmp_path / "a.txt") and not is_stream(tmp_path / "nowhere")
