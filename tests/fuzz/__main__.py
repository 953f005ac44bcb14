"""`python -m tests.fuzz --count 10000 --seed 0`: damage files, read them, count the verdicts.

    --kind TEXT  only kinds of files whose name begins so; repeatable
    --only N     one case again, with all that it said
    --keep DIR   keep what a FAULT was given

Ends with 1 if there was a FAULT. `bench/soak.py files` and test_files.py call it.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ["TINYGPT_THREADS"] = "1"  # children are forked: nothing may wait for a thread

from tests.fuzz.runner import VERDICTS, Fuzzer, Result


def table(results: list[Result]) -> str:
    """Verdicts by kind of file."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        counts.setdefault(result.case.subject.name, Counter())[result.verdict] += 1
    rows = [("files", *VERDICTS, "cases")]
    for name, row in sorted(counts.items()):
        rows.append((name, *(str(row[v]) for v in VERDICTS), str(row.total())))
    total = sum(counts.values(), Counter())
    rows.append(("all", *(str(total[v]) for v in VERDICTS), str(total.total())))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # of the mutations themselves
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", default=[])
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args()
    numbers = range(chosen.first, chosen.first + chosen.count)
    if chosen.only is not None:
        numbers = range(chosen.only, chosen.only + 1)
    print(f"seed {chosen.seed}, cases {numbers.start} to {numbers.stop - 1}", flush=True)
    room = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    results = []
    with tempfile.TemporaryDirectory(dir=room) as folder:
        fuzzer = Fuzzer(Path(folder), chosen.seed, tuple(chosen.kind) or ("",))
        for number in numbers:
            result = fuzzer.run(number, chosen.keep)
            results.append(result)
            if len(results) % 500 == 0:
                print(f"{len(results)} cases", file=sys.stderr, flush=True)
            if result.verdict == "FAULT" or chosen.only is not None:
                case = result.case
                signed = ", signed" if case.signed else ""
                print(
                    f"case {number}: {case.subject.path} {case.how}{signed}, read by "
                    f"{case.command}: {result.verdict} {result.why}\n"
                    f"    {result.said.strip()[-1200:]}".replace("\n", "\n    "), flush=True,
                )
    print(table(results))
    slowest, largest = max(r.seconds for r in results), max(r.bytes for r in results)
    print(f"slowest {slowest:.1f} s, largest {largest / 1e6:.0f} MB")
    sys.exit(any(result.verdict == "FAULT" for result in results))


if __name__ == "__main__":
    main()
