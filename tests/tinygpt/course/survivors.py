"""Generated mutants that no check should kill, each with the reason: they compute the same."""

REASONS: dict[str, dict[str, str]] = {}
