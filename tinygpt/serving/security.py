"""Who may ask: the address that a request names, the page that it comes from, and a key.

A browser runs the code of any page, and any page may send requests to this machine. Three things
keep it out, none of which costs a program (curl, an SDK) anything:

    Host      must name this machine, on every bind. A page of evil.example whose name was made to
              point to 127.0.0.1 afterwards (DNS rebinding) still sends "Host: evil.example".
              An address of numbers cannot be rebound, so the one that was connected to is right.
    Origin    which browsers add, must be the page of this server itself. Refused before the body is
              read: CORS alone would keep the answer from the page, and still do the work.
    type      application/json alone, which a foreign page may not send without asking first.

On an address that others reach a key is needed too, compared in a time that does not depend on how
much of it is right. It is never read from a query: those end up in histories and logs.

Read next: protocol.py.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from tinygpt.errors import UsageError

# Of every answer. The page loads nothing from elsewhere, is in no frame, and has no code in itself.
HEADERS = (
    ("Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
     "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
KEY_NAMES = {"key", "api_key", "api-key", "apikey", "access_token", "token"}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


class Refusal(Exception):
    """Why a request is not answered.

    code: one word for programs.  param: what of the request is wrong.  headers: of the answer.
    """

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ):
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, headers


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches an address."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def make_key() -> str:
    """A new key of 192 random bits, of characters that need no quoting."""
    return "tg-" + secrets.token_urlsafe(24)


def check_key(key: str) -> str:
    """A key that a header can carry.  Raises UsageError."""
    if not re.fullmatch(r"[\x21-\x7e]{8,512}", key):
        raise UsageError(
            "the key must have 8 to 512 characters of ASCII without spaces. Leave --key out to "
            "have one made."
        )
    return key


@dataclass(frozen=True)
class Gate:
    """What is asked of each request.

    key: None where none is needed.  hosts: names by which this machine is called besides its
    addresses, in small letters.  origins: pages of others that may ask, as "https://a.example".
    free: paths that need no key.
    """

    key: str | None = None
    hosts: Collection[str] = ()
    origins: Collection[str] = ()
    free: Collection[str] = ()

    def check(self, method: str, target: str, headers: Mapping[str, str], local: str) -> None:
        """Raise Refusal for a request that may not be answered; nothing of its body is needed.

        headers: by their names in small letters.  local: the address that was connected to.
        """
        host = headers.get("host", "")
        self._check_host(host, local)
        origin = headers.get("origin")
        if origin is not None and not self.same_origin(origin, host) and origin not in self.origins:
            raise Refusal(
                403, f"pages of {origin} may not ask here. `tinygpt serve --allow-origin {origin}` "
                "allows it.", "origin_not_allowed",
            )
        if method == "OPTIONS":  # what a browser asks before a named page's request
            return
        path, _, query = target.partition("?")
        named = KEY_NAMES & {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}
        if named:
            raise Refusal(
                400, "a key in an address stays in histories and logs. Send it as the header "
                '"Authorization: Bearer KEY", and make a new one.', "key_in_query", min(named),
            )
        if self.key is not None and path not in self.free:
            self._check_key(headers.get("authorization", ""))

    def _check_host(self, host: str, local: str) -> None:
        match = _HOST.fullmatch(host)
        name = match[1].lower() if match else ""
        address = _address(name)
        known = (
            name in self.hosts or is_loopback(name)
            or (address is not None and address == _address(local))
        )
        if not known or (match and match[2] and not 0 < int(match[2]) < 65536):
            raise Refusal(
                421, f"this server is not called {host[:100]!r}. `tinygpt serve --allowed-host "
                "NAME` names it.", "host_not_allowed",
            )

    @staticmethod
    def same_origin(origin: str, host: str) -> bool:
        """Whether a page is this server's own: http, or https where something before us adds it."""
        return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")

    def _check_key(self, given: str) -> None:
        scheme, _, key = given.partition(" ")
        wanted = (self.key or "").encode()
        right = hmac.compare_digest(key.strip().encode("utf-8", "surrogateescape"), wanted)
        if scheme.lower() != "bearer" or not right:
            raise Refusal(
                401, "the key is missing or wrong. Send the one that `tinygpt serve` printed, as "
                'the header "Authorization: Bearer KEY".', "invalid_api_key",
                headers=(("WWW-Authenticate", "Bearer"),),
            )


def check_type(headers: Mapping[str, str]) -> None:
    """Raise Refusal for a body of another type than JSON."""
    kind, _, rest = headers.get("content-type", "").partition(";")
    charset = rest.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise Refusal(
            415, "the body must be JSON in UTF-8. Send the header \"Content-Type: "
            'application/json".', "unsupported_media_type",
        )
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "a compressed body is not read. Send it plain.", "unsupported_encoding")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that is written in numbers, an IPv4 one in IPv6 as the former; else None."""
    try:
        found = ipaddress.ip_address(text.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def check_origin(origin: str) -> str:
    """A page's origin as browsers write it.  Raises UsageError."""
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
        raise UsageError(
            f"--allow-origin {origin} is no origin. Write it as browsers do: https://name.example"
        )
    return origin
