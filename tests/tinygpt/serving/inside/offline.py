"""The tour where there is no network: run in an empty namespace by test_offline.py.

    unshare -n python -m tests.tinygpt.serving.inside.offline RUN FOLDER

Prints, of the run's first checkpoint and of its last, each stop's title and what was wrong there.
"""

import fcntl
import json
import socket
import struct
import sys
from pathlib import Path

from tests.tinygpt.serving.browser import Browser
from tests.tinygpt.serving.conftest import Room
from tests.tinygpt.serving.inside.test_screens import DONE, faults, go
from tinygpt.serving.inside.models import steps_in
from tinygpt.serving.served import Served

SET_FLAGS, UP = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP of Linux


def loopback_up():
    """A new namespace has nothing but a loopback that is down."""
    with socket.socket() as one:
        fcntl.ioctl(one, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))


def stops(browser, room, **where):
    """(title, faults) of each stop of the tour, drawn."""
    go(browser, room, "tour", **where)
    links = browser.run("[...document.querySelectorAll('#screen li a')].map((a) => a.hash)")
    for link in links:
        browser.open("about:blank")
        browser.events.clear()
        browser.open(f"{room.url}/look{link}")
        browser.until(DONE)
        browser.until("document.querySelector('#screen').textContent.length > 30")
        title = browser.run("document.querySelector('#title').textContent")
        yield title, faults(browser, room)


def main(run, folder):
    loopback_up()
    served, = Served.open(run, lambda text: None, {})
    steps, room = steps_in(Path(run)), Room([served])
    browser = Browser(folder)
    try:
        found = {step: list(stops(browser, room, step=step)) for step in (steps[0], steps[-1])}
    finally:
        browser.close()
        room.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
