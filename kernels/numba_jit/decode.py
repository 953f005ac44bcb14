"""One token through the whole network, composed of this backend's kernels.

What it means: numpy_ref/decode.py.  Also written in: c/decode.c, as one call.
"""

import sys

from kernels.numpy_ref.decode import Network, check_decode, decode_with


def decode_step(
    ids, network: Network, keys, values, positions, slots=None, scored: int | None = None,
    before=None,
):
    """As numpy_ref.decode_step."""
    given = (ids, network, keys, values, positions, slots, scored, before)
    check_decode(*given)
    return decode_with(sys.modules[__package__], *given)
