"""Trainings by several ranks in threads of one process, and by one process, to be compared."""

import numpy as np

from tinygpt.config import from_dict
from tinygpt.distributed.follow import follow
from tinygpt.distributed.start import Joined
from tinygpt.distributed.threads import together
from tinygpt.runs.run import Run
from tinygpt.training.begin import begin, resume
from tinygpt.training.group import ALONE
from tinygpt.training.trainer import Trainer


def config(text, model=None, **training):
    """A model of two layers that learns for 20 steps of four batches each."""
    return from_dict({
        "model": {
            "n_layers": 2, "n_heads": 2, "d_model": 16, "context": 16, "dropout": 0.0,
            **(model or {}),
        },
        "data": {"source": str(text), "split": [0.9, 0.1, 0.0], "by_position": True},
        "training": {
            "steps": 20, "batch_size": 2, "accumulation": 4, "lr": 1e-3, "min_lr": 1e-4,
            "warmup_steps": 5, "eval_every": 10, "eval_tokens": 300, "checkpoint_every": 10,
            "sample_every": None, "checkpoint_seconds": None, **training,
        },
    })


def train(ranks, out, asked=None, change=None, stop_after=None):
    """Train a new run as `asked`, or go on with one.  Returns the first rank's session.

    ranks: 1 is a process that knows of no group.
    stop_after: steps after which the first rank is asked to save and stop.
    """
    def work(communicator):
        group = Joined(communicator) if ranks > 1 else ALONE
        if communicator.rank:
            follow(group)
            return None
        if asked is not None:
            session = begin(group.cut(asked), out, group=group)
        else:
            session = resume(out, change, group=group)
        stops = [lambda: "asked" if session.state.step == stop_after else None]
        Trainer(session, stops=stops).run()
        return session

    return together(ranks, work)[0]


def arrays(out):
    """(name -> array of the weights, of the optimizer) of a run's last checkpoint."""
    saved = Run.open(out).find("last")
    return saved.tensors("model"), saved.tensors("optimizer")


def distance(out, other):
    """The largest difference of a weight between two runs' last checkpoints."""
    a, b = arrays(out)[0], arrays(other)[0]
    assert a.keys() == b.keys()
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


def same_bytes(out, other):
    """Whether the last checkpoints of two runs hold the same weights and moments."""
    return all(
        a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)
        for a, b in zip(arrays(out), arrays(other), strict=True)
    )
