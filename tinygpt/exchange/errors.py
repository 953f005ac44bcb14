"""What is wrong with a model that another program wrote, or was to read."""

from __future__ import annotations

from tinygpt.errors import UserError


class ExchangeError(UserError, ValueError):
    """A foreign model that cannot be opened here, or one of ours that fits no foreign format."""
