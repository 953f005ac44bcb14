"""tinygpt.serving.writing: text is never half a character, and ends where a stop text begins."""

import pytest

from tinygpt.serving.asked import Scored
from tinygpt.serving.writing import Piece, Writing
from tinygpt.tokenizer import train_bpe

TEXT = "Żółć 🙂, naïve; 日本.\n\n"
BYTES = train_bpe("a", vocab_size=262)  # a token for each byte, so that text is cut at every one


def write(text, stop=(), every=1, **settings):
    """(pieces, writing) of a text, taken after so many tokens each."""
    writing, pieces = Writing(BYTES, stop, **settings), []
    for i, token in enumerate(BYTES.encode(text)):
        writing.push(Scored(token))
        if writing.stopped:
            break
        if (i + 1) % every == 0:
            pieces.append(writing.take(over=False))
    pieces.append(writing.take(over=True))
    return pieces, writing


@pytest.mark.parametrize("every", range(1, 9))
def test_text_cut_at_every_byte_has_no_half_character(every):
    pieces, writing = write(TEXT, every=every)
    assert "".join(piece.text for piece in pieces) == TEXT
    tokens = [one for piece in pieces for one in piece.tokens]
    assert [one.scored.token for one in tokens] == BYTES.encode(TEXT)
    begins = [len(TEXT.encode()[:i].decode(errors="ignore")) for i in range(len(TEXT.encode()))]
    assert [one.start for one in tokens] == begins
    assert writing.drawn == len(TEXT.encode())


def test_a_token_comes_with_the_text_that_it_begins():
    shown = 0
    for piece in write(TEXT)[0][:-1]:
        assert all(shown <= one.start < shown + len(piece.text) for one in piece.tokens)
        shown += len(piece.text)


@pytest.mark.parametrize("every", (1, 2, 5, 100))
@pytest.mark.parametrize(("stop", "left"), [
    (["ab"], "aaa"), (["b"], "aaaa"), (["bc", "ab"], "aaa"), (["x"], "aaaabcd"), (["aaaab"], ""),
    (["abcd"], "aaa"), (["d", "cd"], "aaaab"), (["🙂"], "aaaabcd"),
])
def test_nothing_is_shown_from_a_stop_text_on(stop, left, every):
    pieces, writing = write("aaaabcd", stop, every)
    tokens = [one for piece in pieces for one in piece.tokens]
    assert "".join(piece.text for piece in pieces) == left
    assert len(tokens) == len(left)
    assert writing.stopped == (left != "aaaabcd")


def test_a_token_in_which_a_stop_text_begins_is_kept_when_some_of_it_is():
    tokenizer = train_bpe("no...\n" * 99, vocab_size=270)
    ids = tokenizer.encode("no...")
    assert "..." in "".join(map(tokenizer.decode, [[i] for i in ids])) and len(ids) < 5
    writing = Writing(tokenizer, [".."])
    for token in ids:
        if not writing.stopped:
            writing.push(Scored(token))
    piece = writing.take(over=True)
    assert piece.text == "no" and [one.scored.token for one in piece.tokens] == ids[:1]


def test_an_end_that_is_listed_has_no_text():
    end = BYTES.special_tokens["<|endoftext|>"]
    writing = Writing(BYTES, ends={end})
    writing.push(Scored(65))
    assert writing.take(over=False).text == BYTES.decode([65])
    writing.push(Scored(end))
    assert writing.stopped
    last = writing.take(over=True)
    assert last.text == "" and [one.scored.token for one in last.tokens] == [end]


def test_a_stop_text_in_what_is_echoed_is_none():
    writing = Writing(BYTES, ["b"])
    writing.echo([Scored(token) for token in BYTES.encode("abba")])
    writing.push(Scored(BYTES.encode("a")[0]))
    assert not writing.stopped and writing.take(over=False).text == "abbaa"
    writing.push(Scored(BYTES.encode("b")[0]))
    assert writing.stopped and writing.take(over=True) == Piece()


def test_half_a_character_at_the_end_is_shown_as_such():
    writing = Writing(BYTES)
    writing.push(Scored(BYTES.encode("🙂")[0]))
    assert writing.take(over=False).text == ""
    assert writing.take(over=True).text == "\ufffd"
