"""Ranks on a line of known speed, on one machine: network namespaces joined by virtual cables.

    python -m bench namespaces --config L                    two ranks at 1 Gbit/s, one core each
    python -m bench namespaces --ranks 4 --rate 100mbit      four, through a virtual switch

Needs root and Linux's ip and tc. Each namespace has an interface whose packets a token bucket lets
out at --rate; offloads are off, so packets are as small as on a real cable. First a plain TCP
stream is measured, TRIES times at most: it must carry 0.9 of the rate, or no time is measured at
all. Then one rank on one core makes the step alone, and all of them make it together, in turn;
efficiency is the ratio of the first's time to ranks times the second's. --traffic counts bytes
alone, for which neither the line nor the machine must be free.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np

NET, LINE = "10.77.0", "line"  # addresses; what each namespace calls its interface
LEAST, TRIES = 0.9, 5  # of the rate, that a plain stream must carry once in so many times
RATES = {"1gbit": 1e9, "100mbit": 1e8}  # as tc writes them: bits a second
MODES = {
    "data parallel": (), "int8": ("training.exchange=int8",), "ZeRO-1": ("training.zero=true",),
    "local steps": ("training.local_steps=4",),
}
STREAM = """
import socket, sys, time
if sys.argv[1] == "take":
    server = socket.create_server(("", 7707))
    print("ready", flush=True)
    line = server.accept()[0]
    while line.recv(1 << 20): pass
else:
    line = socket.create_connection((sys.argv[1], 7707))
    block, sent, end = bytes(1 << 18), 0, time.time() + 2
    began = time.time()
    while time.time() < end: sent += line.send(block)
    print(sent / (time.time() - began))
"""


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@contextmanager
def namespaces(count: int, rate: str):
    """Names of so many namespaces, each at address NET.(k + 1) and joined to the others."""
    names = [f"rank{k}" for k in range(count)]
    try:
        if count > 2:
            _run("ip", "link", "add", "rankswitch", "type", "bridge")
            _run("ip", "link", "set", "rankswitch", "up")
        for name in names:
            _run("ip", "netns", "add", name)
        if count == 2:
            _run("ip", "link", "add", LINE, "netns", names[0], "type", "veth",
                 "peer", "name", LINE, "netns", names[1])
        for k, name in enumerate(names):
            if count > 2:
                _run("ip", "link", "add", f"sw{k}", "type", "veth", "peer", "name", LINE,
                     "netns", name)
                _run("ip", "link", "set", f"sw{k}", "master", "rankswitch", "up")
                _slow(f"sw{k}", rate)
            inside = ("ip", "netns", "exec", name)
            _run(*inside, "ip", "addr", "add", f"{NET}.{k + 1}/24", "dev", LINE)
            _run(*inside, "ip", "link", "set", LINE, "up")
            _run(*inside, "ip", "link", "set", "lo", "up")
            _slow(LINE, rate, inside)
        yield names
    finally:
        for k, name in enumerate(names):
            subprocess.run(("ip", "netns", "del", name), capture_output=True)
            subprocess.run(("ip", "link", "del", f"sw{k}"), capture_output=True)
        subprocess.run(("ip", "link", "del", "rankswitch"), capture_output=True)


def _slow(device: str, rate: str, inside: tuple[str, ...] = ()) -> None:
    """Packets of an Ethernet cable, at its rate."""
    if shutil.which("ethtool"):
        _run(*inside, "ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off")
    else:  # one packet at a time leaves nothing to be put together
        _run(*inside, "ip", "link", "set", device, "gso_max_segs", "1")
    _run(*inside, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", rate,
         "burst", "512kb", "latency", "50ms")


def stream(names: list[str]) -> float:
    """Bytes a second of a plain TCP stream from the first namespace to the second."""
    taking = subprocess.Popen(
        ("ip", "netns", "exec", names[1], sys.executable, "-c", STREAM, "take"),
        stdout=subprocess.PIPE, text=True,
    )
    try:
        taking.stdout.readline()
        inside = ("ip", "netns", "exec", names[0])
        return float(_run(*inside, sys.executable, "-c", STREAM, f"{NET}.2"))
    finally:
        taking.wait(10)


AGENT = """#!/bin/sh
# Open MPI calls this as it would call ssh: an address, then a command.
name=rank$(( ${1##*.} - 1 )); shift
exec ip netns exec $name unshare --uts sh -c "hostname $name; $*"
"""


def together(names: list[str], arguments: list[str]) -> dict:
    """The line of JSON that the first rank of `python -m bench ARGUMENTS` prints."""
    with tempfile.TemporaryDirectory() as folder:
        agent, hosts = Path(folder) / "agent", Path(folder) / "hosts"
        agent.write_text(AGENT)
        agent.chmod(0o755)
        hosts.write_text("".join(f"{NET}.{k + 1} slots=1\n" for k in range(len(names))))
        mpirun = Path(sys.executable).with_name("mpirun")
        script = (
            'c=$(( OMPI_COMM_WORLD_RANK % $(nproc) )); '
            f'exec taskset -c $c {sys.executable} -m bench "$@"'
        )
        command = [
            "ip", "netns", "exec", names[0], "unshare", "--uts", "sh", "-c",
            'hostname rank0; exec "$@"', "sh", str(mpirun), "--hostfile", str(hosts),
            "-n", str(len(names)), "--bind-to", "none", "--prtemca", "plm_ssh_agent", str(agent),
            "--prtemca", "prte_if_include", f"{NET}.0/24", "--mca", "pml", "ob1",
            "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", f"{NET}.0/24",
            "-x", "TINYGPT_THREADS", "-x", "PYTHONPATH", "sh", "-c", script, "sh", *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True, env=_environment())
    if done.returncode:
        raise click.ClickException(done.stdout + done.stderr)
    return json.loads(next(x for x in done.stdout.splitlines() if x.startswith("{")))


def alone(arguments: list[str]) -> dict:
    """The same of one process on one core."""
    done = subprocess.run(
        ["taskset", "-c", "0", sys.executable, "-m", "bench", *arguments], check=True,
        capture_output=True, text=True, env=_environment(),
    )
    return json.loads(next(x for x in done.stdout.splitlines() if x.startswith("{")))


def check_line(names: list[str], rate: str) -> None:
    """Say what a plain stream carries.  Raises ClickException where that is no line of `rate`."""
    carried = 0.0
    for _ in range(TRIES):
        carried = max(carried, 8 * stream(names))
        if carried >= LEAST * RATES[rate]:
            break
    print(f"a plain TCP stream: {carried / 1e6:.0f} Mbit/s")
    if carried < LEAST * RATES[rate]:
        raise click.ClickException(
            f"in {TRIES} tries no stream carried more than {carried / 1e6:.0f} Mbit/s of {rate}: "
            f"other programs want the {os.cpu_count()} processors (load {os.getloadavg()[0]:.1f}), "
            "and a time would be theirs. Wait until they have ended, or count bytes with --traffic."
        )


def _environment() -> dict[str, str]:
    return {
        **os.environ, "TINYGPT_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1]),
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }


@click.command()
@click.option("--config", default="L", show_default=True)
@click.option("--ranks", default=2, show_default=True)
@click.option("--rate", type=click.Choice([*RATES]), default="1gbit", show_default=True)
@click.option("--steps", default=6, show_default=True)
@click.option("--rounds", default=2, show_default=True, help="Of alone and together, in turn.")
@click.option("--traffic", is_flag=True, help="Count bytes; measure no time.")
@click.option("--mode", "modes", multiple=True, type=click.Choice([*MODES, "link"]),
              help="Default: all but the line itself.")
def command(config, ranks, rate, steps, rounds, traffic, modes):
    """Efficiency, and bytes on the line, of ranks joined by cables of a known rate."""
    if os.name != "posix" or os.getuid() != 0 or not shutil.which("tc"):
        raise click.ClickException("this makes network namespaces: it needs Linux, root, ip and tc")
    with namespaces(ranks, rate) as names:
        if not traffic:
            check_line(names, rate)
        for mode in modes or MODES:
            if mode == "link":
                print(json.dumps(together(names, ["link"])))
                continue
            one = (f"training.accumulation={ranks}", *MODES[mode])
            words = (word for setting in one for word in ("--set", setting))
            asked = ["ranks", config, "--steps", str(steps), *words]
            if traffic:
                print(f"{mode}: {_bytes(together(names, [*asked, '--interface', LINE]))}")
            else:
                _compare(names, mode, asked, rounds)


def _bytes(all_):
    return f"rank 0 sends {all_['sent'] / 1e6:.2f} MB a step, {all_['ratio']:.3f} of the formula"


def _compare(names, mode, arguments, rounds):
    ranks = len(names)
    pairs = [(alone(arguments), together(names, [*arguments, "--interface", LINE]))
             for _ in range(rounds)]
    found = [one["step"] / (ranks * all_["step"]) for one, all_ in pairs]
    one, all_ = pairs[-1]
    worked = ranks * all_["processor"] / one["processor"]
    print(
        f"{mode}: alone {one['step']:.3f} s, {ranks} ranks {all_['step']:.3f} s, efficiency "
        f"{np.median(found):.3f} ({min(found):.3f} to {max(found):.3f}); their processors work "
        f"{worked:.3f} of one's time; {_bytes(all_)}", flush=True,
    )


if __name__ == "__main__":
    command()
