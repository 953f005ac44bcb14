"""A run's folder, from the first rank to all others: they need no file of their own.

What the others get is what a training reads: configuration, tokenizer, tokens and what else an
objective left. Checkpoints, logs and reports stay where they are; weights travel on their own.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np

from tinygpt.distributed.communicator import PIECE, Communicator

STAYS = {
    "checkpoints", "history", "tensorboard", "metrics.jsonl", "samples.jsonl", "log.txt",
    "report.html",
}


def send(communicator: Communicator, folder: Path) -> None:
    """Send all files below `folder` that a training reads.  Called by rank 0."""
    files = [
        path for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in STAYS
    ]
    listed = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]
    communicator.texts(json.dumps(listed))
    for path, (_, size) in zip(files, listed, strict=True):
        with path.open("rb") as file:
            while size:
                piece = np.frombuffer(file.read(min(size, PIECE)), np.uint8)
                communicator.broadcast(piece)
                size -= piece.size


def receive(communicator: Communicator, folder: Path) -> None:
    """Write what rank 0 sends into `folder`, which this process has made for it."""
    for name, size in json.loads(communicator.texts("")[0]):
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise RuntimeError(f"rank 0 sends a file to {name}")
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            while size:
                piece = np.empty(min(size, PIECE), np.uint8)
                communicator.broadcast(piece)
                file.write(piece.tobytes())
                size -= piece.size
