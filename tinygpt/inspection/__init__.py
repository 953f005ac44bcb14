"""Look inside a model: what it read, where each head looked, what each layer already believed.

    from tinygpt.inspection import watch
    seen = watch(model, ids)                   # one forward pass, everything on the way kept
    scores, weights = seen.layers[2].attention.maps()

Read in this order: watch.py, lens.py, account.py, habits.py, matrices.py, inspect.py.
"""

from tinygpt.inspection.watch import AttentionSeen, LayerSeen, Seen, watch, watch_pair

__all__ = ["AttentionSeen", "LayerSeen", "Seen", "watch", "watch_pair"]
