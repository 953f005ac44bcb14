"""tinygpt.serving.protocol: patience has an end, and a client who leaves frees her place."""

import json
import socket
import threading
import time

import pytest

from tests.tinygpt.serving.conftest import Room, make_served
from tinygpt.serving.limits import Limits
from tinygpt.serving.security import Gate

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
TOKENIZE = b"POST /tokenize HTTP/1.1\r\n" + HOST + JSON
LONG = {"prompt": "The cat", "max_tokens": 10**6, "logit_bias": {"70": 100}}


@pytest.fixture(scope="module")
def quick():
    """A server of little patience: tenths of seconds, few bytes."""
    limits = Limits(head_seconds=0.3, body_seconds=0.3, idle_seconds=0.3, body_bytes=2000,
                    stall_seconds=0.5, characters=1000)
    found = Room([make_served()], limits)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def slow():
    """A server whose answers take seconds, one at a time, three for one address."""
    limits = Limits(per_address=3, queue=2, drain_seconds=0.5)
    found = Room([make_served(context=20_000, slots=1)], limits, slots=1)
    yield found
    found.stop()


def talk(room, *parts, gap=0.0, until_closed=True):
    """What comes back for bytes sent in parts."""
    with socket.create_connection(("127.0.0.1", room.port), timeout=20) as sock:
        found = b""
        try:
            for part in parts:
                sock.sendall(part)
                time.sleep(gap)
            while data := sock.recv(65_536):
                found += data
                if not until_closed and b"\r\n\r\n" in found:
                    break
        except ConnectionError:
            pass
        return found


def status(answer):
    return int(answer.split()[1])


def post(body, more=b"", path=b"/v1/completions"):
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + JSON + length + more + b"\r\n" + body


def until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def gauge(room, name):
    text = room.ask("GET", "/metrics")[2].decode()
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


def test_who_sends_nothing_is_let_go(quick):
    assert talk(quick) == b""


@pytest.mark.parametrize("parts", [
    [b"GET / HT"], [b"G", b"E", b"T", b" ", b"/", b"x", b"y", b"z"],
    [TOKENIZE + b"Content-Length: 50\r\n\r\n", *[b"a"] * 6],
    [TOKENIZE + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"],
], ids=("half a line", "byte by byte", "half a body", "half of chunks"))
def test_a_request_must_come_in_time(quick, parts):
    assert status(talk(quick, *parts, gap=0.1)) == 408


def test_a_connection_is_used_again_and_then_let_go(quick):
    ask = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = talk(quick, ask, ask + ask, gap=0.05)
    assert answer.count(b"200") == 3 and b"408" not in answer


@pytest.mark.parametrize(("sent", "expected"), [
    (b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/3\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400), (b"\x00\xff\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 20_000 + b"\r\n\r\n", 431),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
    (b"GET http://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    (b"GET /v1/completions HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    (b"DELETE /v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    (b"GET /health HTTP/1.1\r\n" + HOST + b"Origin: http://evil.example\r\n\r\n", 403),
    (b"GET /health?api_key=1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"POST /tokenize HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}", 415),
    (post(b" " * 2001), 413), (post(b"", b"Expect: 100-continue\r\n")[:-2] + b"\r\n", 400),
    (TOKENIZE + b"Content-Length: 999999999999999999\r\n\r\n",
     413),
    (TOKENIZE + b"Content-Length: -1\r\n\r\n", 400),
    (TOKENIZE + b"Transfer-Encoding: chunked\r\n\r\n" +
     b"3e8\r\n" + b" " * 1000 + b"\r\n3e8\r\n" + b" " * 1000 + b"\r\n1\r\n \r\n0\r\n\r\n", 413),
    (TOKENIZE + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    (TOKENIZE + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (post(json.dumps({"prompt": "a" * 1001}).encode()), 400),
], ids=range(24))
def test_what_cannot_be_answered_has_a_status(quick, sent, expected):
    answer = talk(quick, sent)
    if b"100-continue" in sent:  # none was sent where the body is here at once
        assert answer.count(b"HTTP/1.1") == 1
    assert status(answer) == expected
    head, _, body = answer.partition(b"\r\n\r\n")
    assert json.loads(body)["error"]["message"].endswith(".")
    assert b"default-src 'none'" in head and b"nosniff" in head
    assert b"access-control-allow-origin" not in head.lower()


def test_a_body_in_too_many_pieces_is_refused(room):
    head = TOKENIZE + b"Transfer-Encoding: chunked\r\n\r\n"
    assert status(talk(room, head, b"1\r\n \r\n" * 5000)) == 413


def test_a_refusal_arrives_though_the_body_is_still_being_sent(quick):
    assert status(talk(quick, post(b" " * 60_000))) == 413


def test_who_waits_is_told_to_go_on(quick):
    body = b'{"prompt":"a"}'
    whole = post(body, b"Expect: 100-continue\r\n", b"/tokenize")
    answer = talk(quick, whole[: -len(body)], body, gap=0.1)
    assert answer.startswith(b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK")


def test_a_head_has_no_body(quick):
    answer = talk(quick, b"HEAD /health HTTP/1.1\r\n" + HOST + b"\r\n")
    assert status(answer) == 200 and answer.endswith(b"\r\n\r\n") and b"content-length: 15" in \
        answer.lower()
    assert talk(quick, b"HEAD /x HTTP/1.1\r\n" + HOST + b"\r\n").endswith(b"\r\n\r\n")


def test_the_old_protocol_is_answered_and_closed(quick):
    answer = talk(quick, b"GET /health HTTP/1.0\r\n" + HOST + b"\r\n")
    assert status(answer) == 200 and answer.endswith(b'{"status":"ok"}')
    streamed = post(b'{"prompt":"a","stream":true,"seed":1}').replace(b"HTTP/1.1", b"HTTP/1.0")
    answer = talk(quick, streamed)
    assert answer.endswith(b"data: [DONE]\n\n") and b"chunked" not in answer


@pytest.mark.parametrize("streamed", (True, False))
def test_who_leaves_frees_the_place(slow, streamed):
    with socket.create_connection(("127.0.0.1", slow.port)) as sock:
        sock.sendall(post(json.dumps({**LONG, "stream": streamed}).encode()))
        until(lambda: gauge(slow, "tinygpt_requests_running") == 1)
    until(lambda: gauge(slow, "tinygpt_requests_running") == 0)
    assert slow.server._places.answers == 0


def test_who_leaves_the_queue_is_forgotten(slow):
    clients = [socket.create_connection(("127.0.0.1", slow.port)) for _ in range(3)]
    for sock in clients:
        sock.sendall(post(json.dumps(LONG).encode()))
    until(lambda: gauge(slow, "tinygpt_requests_running") == 1)
    until(lambda: gauge(slow, "tinygpt_requests_waiting") == 2)
    clients[2].close()
    until(lambda: gauge(slow, "tinygpt_requests_waiting") == 1)
    for sock in clients[:2]:
        sock.close()
    until(lambda: gauge(slow, "tinygpt_requests_running") == 0)


def test_too_many_are_told_when_to_come_again(slow):
    clients = [socket.create_connection(("127.0.0.1", slow.port)) for _ in range(3)]
    for sock in clients:
        sock.sendall(post(json.dumps(LONG).encode()))
    until(lambda: slow.server._places.answers == 3)
    code, headers, content = slow.ask("POST", "/v1/completions", LONG)
    assert code == 429 and headers["Retry-After"] == "1"
    assert "from your address" in json.loads(content)["error"]["message"]
    clients.pop().close()
    until(lambda: slow.server._places.answers == 2)
    code, _, content = slow.ask("POST", "/v1/completions", {**LONG, "n": 9})
    assert code == 429 and b"under way or wait" in content
    assert slow.ask("GET", "/health")[0] == 200
    for sock in clients:
        sock.close()
    until(lambda: slow.server._places.answers == 0)
    assert not slow.server._places._requests


def test_who_takes_nothing_is_left(quick):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.connect(("127.0.0.1", quick.port))
    asked = {"prompt": ["a"] * 100, "max_tokens": 60, "echo": True, "logprobs": 20, "stream": True}
    sock.sendall(post(json.dumps(asked).encode()))
    until(lambda: len(quick.server.connections) == 1)
    until(lambda: len(quick.server.connections) == 0)
    assert quick.server._places.answers == 0
    sock.close()


def test_no_more_connections_than_allowed():
    few = Room([make_served()], Limits(connections=3))
    clients = [socket.create_connection(("127.0.0.1", few.port)) for _ in range(3)]
    until(lambda: len(few.server.connections) == 3)
    assert talk(few, b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n") == b""
    for sock in clients:
        sock.close()
    until(lambda: len(few.server.connections) == 0)
    assert few.get("/health") == {"status": "ok"}
    few.stop()


@pytest.mark.parametrize("length", (200, 10**6))
def test_answers_under_way_come_to_their_end_or_are_cut(length):
    room = Room([make_served(context=20_000)], Limits(drain_seconds=5 if length == 200 else 0.3))
    found = []
    asked = {**LONG, "max_tokens": length, "stream": True}
    thread = threading.Thread(target=lambda: found.append(
        talk(room, post(json.dumps(asked).encode()))
    ))
    idle = socket.create_connection(("127.0.0.1", room.port))
    thread.start()
    until(lambda: room.server._places.answers == 1)
    room.stop()
    thread.join()
    assert found[0].endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") == (length == 200)
    assert idle.recv(10) == b""
    idle.close()


def test_a_key_opens_all_but_health():
    locked = Room([make_served()], gate=Gate(key="tg-secret-key", free={"/health"}))
    assert locked.ask("GET", "/health")[0] == 200
    code, headers, _ = locked.ask("GET", "/v1/models")
    assert code == 401 and headers["WWW-Authenticate"] == "Bearer"
    key = {"Authorization": "Bearer tg-secret-key"}
    assert locked.ask("GET", "/v1/models", headers=key)[0] == 200
    code, _, content = locked.ask("POST", "/tokenize", {"prompt": "a"})
    assert code == 401
    locked.stop()


def test_a_named_page_may_ask_and_is_told_so():
    named = Room([make_served()], gate=Gate(origins={"https://a.example"}))
    headers = {"Origin": "https://a.example"}
    code, got, _ = named.ask("OPTIONS", "/v1/completions", headers=headers)
    assert code == 200 and got["Access-Control-Allow-Origin"] == "https://a.example"
    assert "authorization" in got["Access-Control-Allow-Headers"]
    code, got, _ = named.ask("POST", "/tokenize", {"prompt": "a"}, headers)
    assert code == 200 and got["Access-Control-Allow-Origin"] == "https://a.example"
    assert named.ask("OPTIONS", "/tokenize", headers={"Origin": "https://b.example"})[0] == 403
    named.stop()


def test_the_log_has_no_prompt_and_no_control_characters(capfd):
    room = Room([make_served()])
    room.server._log = True
    room.post("/v1/completions", prompt="The cat", max_tokens=1)
    room.ask("GET", "/a%1b%0a?secret")
    room.stop()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2 and "POST /v1/completions 200" in lines[0]
    assert "cat" not in lines[0] and "secret" not in lines[1]
