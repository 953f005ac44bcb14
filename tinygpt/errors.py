"""The exception for what a user did or has; the command line prints it without a traceback."""


class UserError(Exception):
    """One sentence on what is wrong, with the offending value, and one on what to do.

    exit_code: 1 for a failure, 2 for a request that could never work (usage, configuration).
    """

    exit_code = 1


class UsageError(UserError):
    """A request that could never work."""

    exit_code = 2
