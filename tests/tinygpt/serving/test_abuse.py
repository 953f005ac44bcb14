"""Whatever a stranger sends, the server says what is wrong with it, and lives."""

import json
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from tinygpt.serving.parameters import CHAT, COMPLETION, EMBEDDINGS

NAMES = sorted({*CHAT["properties"], *COMPLETION["properties"], *EMBEDDINGS["properties"]})
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=4),
    max_leaves=8,
)
# Values that are nearly right: what a check forgets is beside what it looks for.
NEAR = st.one_of(
    ANY, st.integers(-2, 3), st.floats(0, 2), st.sampled_from(["", "a", "tiny", "user", "text"]),
    st.lists(st.integers(0, 400), max_size=5), st.lists(st.lists(st.integers(0, 300)), max_size=3),
    st.just([{"role": "user", "content": "a"}]), st.just({"type": "regex", "pattern": "a*"}),
    st.fixed_dictionaries({"type": st.sampled_from(["json_object", "regex", "json_schema"]),
                           "pattern": st.text(alphabet="ab()[]{}|*+?\\^$.1,", max_size=12),
                           "json_schema": st.fixed_dictionaries({"schema": st.just({}) | ANY})}),
)
PATHS = st.sampled_from(["/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/tokenize",
                         "/detokenize"])
FINE = {200, 400, 404}


@settings(max_examples=60)
@given(PATHS, st.dictionaries(st.sampled_from(NAMES), NEAR, max_size=4), st.booleans())
def test_any_parameters_are_answered_or_refused(room, path, asked, filled):
    if filled:
        asked = {"prompt": "a", "messages": [{"role": "user", "content": "a"}], "max_tokens": 2,
                 **asked}
        unknown = {"/v1/completions": ["messages", "input"], "/v1/chat/completions": ["prompt"]}
        asked = {k: v for k, v in asked.items() if k not in unknown.get(path, [])}
    body = json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")
    status, _, content = room.ask("POST", path, body)
    assert status in FINE, content
    if status != 200:
        assert json.loads(content)["error"]["message"]


@settings(max_examples=60)
@given(PATHS, st.binary(max_size=200))
def test_any_bytes_are_no_request(room, path, body):
    status, _, content = room.ask("POST", path, body)
    assert status == 400, content


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=300), st.sampled_from([
    b"", b"GET ", b"GET /health HTTP/1.1\r\nHost: localhost\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
]))
def test_any_bytes_on_the_wire_get_an_answer_or_an_end(room, noise, before):
    with socket.create_connection(("127.0.0.1", room.port), timeout=20) as sock:
        sock.sendall(before + noise)
        sock.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while data := sock.recv(4096):
                found += data
        except ConnectionError:
            pass
    assert found == b"" or found.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in found
    assert room.server._worker.alive
