"""Which of a model's arrays a training changes.

Read next: session.py, which saves them.
"""

from __future__ import annotations

import numpy as np

from minigrad import nn


def trained_arrays(model: nn.Module) -> dict[str, np.ndarray]:
    """Name -> array of everything that training changes: not what is frozen."""
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return {name: array for name, array in model.state_dict().items() if name not in frozen}
