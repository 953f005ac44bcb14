"""A systemd unit that keeps a server running, as somebody who owns nothing and can write nowhere.

Read next: run.py.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tinygpt.errors import UsageError
from tinygpt.serving.security import is_loopback

UNIT = """\
# Put it at /etc/systemd/system/tinygpt.service, then: systemctl enable --now tinygpt
[Unit]
Description=Language models at http://{host}:{port}
After=network.target

[Service]
ExecStart={command}
{credential}Restart=on-failure
TimeoutStopSec=10
LimitNOFILE=4096

# Nobody, who may read the models and write nothing.
DynamicUser=yes
UMask=0077
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
NoNewPrivileges=yes
{capabilities}RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
{network}
[Install]
WantedBy=multi-user.target
"""
CREDENTIAL = "LoadCredential=key:{file}\n"
LOW_PORT = 1024  # below it only who has this capability may listen
CAPABILITIES = "CapabilityBoundingSet={0}\nAmbientCapabilities={0}\n"
HERE_ALONE = "\n# This machine alone.\nIPAddressDeny=any\nIPAddressAllow=localhost\n"


def unit(
    models: Sequence[str], host: str, port: int, key_file: str | None, more: Sequence[str] = ()
) -> str:
    """The unit's text.  more: options besides.

    Raises UsageError where others reach the address and no key is in a file: one that is made anew
    at each start would have to be looked for in a log.
    """
    if key_file is None and not is_loopback(host):
        raise UsageError(
            f"others reach {host}, so the service needs a key that stays. Write one into a file "
            "that root alone reads, and give --key-file FILE."
        )
    places = [str(Path(model).resolve()) for model in models]
    words = [sys.executable, "-m", "tinygpt", "serve", *places, "--host", host, "--port", str(port),
             *more]
    line = _plain(shlex.join(words))
    if key_file is not None:
        line += " --key-file %d/key"
    needed = [*places, sys.prefix, sys.base_prefix]
    return UNIT.format(
        host=host, port=port, command=line,
        credential=CREDENTIAL.format(file=_plain(Path(key_file).resolve())) if key_file else "",
        capabilities=CAPABILITIES.format("CAP_NET_BIND_SERVICE" if 0 < port < LOW_PORT else ""),
        home="read-only" if any(p.startswith(("/home/", "/root/")) for p in needed) else "yes",
        network=HERE_ALONE if is_loopback(host) else "",
    )


def _plain(text: object) -> str:
    """A text in which systemd finds no specifier."""
    return str(text).replace("%", "%%")
