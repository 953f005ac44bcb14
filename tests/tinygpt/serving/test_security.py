"""tinygpt.serving.security: what a page of somebody else's cannot do, and what a program can."""

import pytest

from tinygpt.errors import UsageError
from tinygpt.serving.security import (
    Gate,
    Refusal,
    check_key,
    check_origin,
    check_type,
    is_loopback,
    make_key,
)

KEY = "tg-correct-horse"
OPEN = Gate(hosts={"box.local"}, origins={"https://app.example"}, free={"/health"})
LOCKED = Gate(key=KEY, free={"/health"})
JSON = {"content-type": "application/json"}

# What the Host is, at which address it came in, and whether that is us.
HOSTS = [
    ("localhost", "127.0.0.1", True), ("localhost:8000", "127.0.0.1", True),
    ("LOCALHOST:9", "127.0.0.1", True), ("127.0.0.1:8000", "127.0.0.1", True),
    ("127.8.9.1", "127.0.0.1", True), ("[::1]:8000", "::1", True), ("[::1]", "127.0.0.1", True),
    ("192.168.1.5:8000", "192.168.1.5", True), ("192.168.1.5", "::ffff:192.168.1.5", True),
    ("box.local:8000", "192.168.1.5", True), ("Box.Local", "127.0.0.1", True),
    ("[fe80::1]:80", "fe80::1%eth0", True),
    ("evil.example", "127.0.0.1", False), ("evil.example:8000", "192.168.1.5", False),
    ("192.168.1.6", "192.168.1.5", False), ("0.0.0.0:8000", "127.0.0.1", False),
    ("localhost.evil.example", "127.0.0.1", False), ("127.0.0.1.evil.example", "127.0.0.1", False),
    ("127.1", "127.0.0.1", False), ("2130706433", "127.0.0.1", False),
    ("0x7f000001", "127.0.0.1", False), ("me@localhost", "127.0.0.1", False),
    ("localhost:0", "127.0.0.1", False), ("localhost:99999", "127.0.0.1", False),
    ("localhost:80:80", "127.0.0.1", False), ("", "127.0.0.1", False),
    ("[::1", "::1", False), ("[::2]", "::1", False), ("localhost, evil.example", "::1", False),
    ("box.local.", "127.0.0.1", False), ("xbox.local", "127.0.0.1", False),
]


@pytest.mark.parametrize(("host", "local", "ours"), HOSTS)
@pytest.mark.parametrize("gate", (OPEN, LOCKED), ids=("open", "locked"))
def test_a_request_must_name_this_machine(gate, host, local, ours):
    if gate is LOCKED and "box" in host.lower():
        ours = False  # it has no such name
    headers = {"host": host, "authorization": f"Bearer {KEY}"}
    if ours:
        gate.check("GET", "/v1/models", headers, local)
        return
    with pytest.raises(Refusal, match="is not called") as refused:
        gate.check("GET", "/v1/models", headers, local)
    assert refused.value.status == 421


@pytest.mark.parametrize(("origin", "host", "ours"), [
    ("http://localhost:8000", "localhost:8000", True),
    ("https://localhost:8000", "localhost:8000", True),  # a proxy before us speaks https
    ("http://127.0.0.1:8000", "127.0.0.1:8000", True), ("http://[::1]:1", "[::1]:1", True),
    ("https://app.example", "localhost", True), (None, "localhost", True),
    ("null", "localhost:8000", False), ("http://localhost", "localhost:8000", False),
    ("http://localhost:3000", "localhost:8000", False), ("http://evil.example", "localhost", False),
    ("http://127.0.0.1:8000", "localhost:8000", False), ("", "localhost:8000", False),
    ("https://app.example.evil.example", "localhost", False), ("file://", "localhost", False),
    ("chrome-extension://abc", "localhost:8000", False), ("localhost:8", "localhost:8", False),
])
@pytest.mark.parametrize("method", ("GET", "POST", "OPTIONS"))
def test_a_page_of_somebody_else_may_not_ask(method, origin, host, ours):
    headers = {"host": host, **JSON, **({} if origin is None else {"origin": origin})}
    if ours:
        OPEN.check(method, "/v1/models", headers, "127.0.0.1")
        return
    with pytest.raises(Refusal, match="--allow-origin") as refused:
        OPEN.check(method, "/v1/models", headers, "127.0.0.1")
    assert refused.value.status == 403


@pytest.mark.parametrize(("kind", "right"), [
    ("application/json", True), ("Application/JSON; charset=UTF-8", True),
    ('application/json;charset="utf-8"', True),
    ("text/plain", False), ("", False), ("application/x-www-form-urlencoded", False),
    ("multipart/form-data; boundary=x", False), ("application/json; charset=latin-1", False),
    ("text/plain; application/json", False), ("application/jsonx", False),
])
def test_a_body_must_say_that_it_is_json(kind, right):
    if right:
        check_type({"content-type": kind})
        return
    with pytest.raises(Refusal, match="must be JSON") as refused:
        check_type({"content-type": kind})
    assert refused.value.status == 415


@pytest.mark.parametrize(("given", "right"), [
    (f"Bearer {KEY}", True), (f"bearer {KEY}", True), (f"BEARER  {KEY}", True),
    ("", False), ("Bearer ", False), (f"Bearer {KEY}x", False), (f"Bearer {KEY[:-1]}", False),
    (f"Basic {KEY}", False), (KEY, False), (f"Bearer {KEY.upper()}", False),
    ("Bearer tg-correct-hors\udce9", False), ("Bearer é", False),
])
def test_the_key_must_be_right(given, right):
    headers = {"host": "localhost", "authorization": given}
    LOCKED.check("GET", "/health", headers, "127.0.0.1")
    if right:
        LOCKED.check("GET", "/metrics", headers, "127.0.0.1")
        return
    with pytest.raises(Refusal, match="key is missing or wrong") as refused:
        LOCKED.check("GET", "/metrics", headers, "127.0.0.1")
    assert refused.value.status == 401
    assert refused.value.headers == (("WWW-Authenticate", "Bearer"),)


@pytest.mark.parametrize("query", ("key=1", "api_key=tg-x", "a=1&KEY=2", "access_token", "token="))
def test_a_key_in_an_address_is_refused(query):
    with pytest.raises(Refusal, match="histories and logs") as refused:
        OPEN.check("GET", f"/v1/models?{query}", {"host": "localhost"}, "127.0.0.1")
    assert refused.value.status == 400
    OPEN.check("GET", "/v1/models?v=1", {"host": "localhost"}, "127.0.0.1")


def test_a_compressed_body_is_refused():
    with pytest.raises(Refusal, match="compressed"):
        check_type({**JSON, "content-encoding": "gzip"})


@pytest.mark.parametrize(("host", "alone"), [
    ("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.9.9.9", True),
    ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("box.local", False), ("", False),
])
def test_which_addresses_this_machine_alone_reaches(host, alone):
    assert is_loopback(host) == alone


def test_keys_are_long_and_new_and_have_no_spaces():
    assert make_key() != make_key()
    assert check_key(make_key()) and len(make_key()) > 30
    for key in ("", "short", "has space in it", "zażółć-gęślą"):
        with pytest.raises(UsageError, match="the key must have"):
            check_key(key)


def test_an_origin_is_written_as_browsers_do():
    assert check_origin("https://a.example:1") == "https://a.example:1"
    for origin in ("*", "a.example", "https://a.example/", "null", "ftp://a.example"):
        with pytest.raises(UsageError, match="is no origin"):
            check_origin(origin)
