"""Grading a function in C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygpt.course.exercise import Exercise
from tinygpt.course.writing import Tell


def grade(
    exercise: Exercise, text: str, asked: dict[str, Any], tell: Tell, guard: Callable[[], None]
) -> None:
    """Grade a file of C."""
    raise NotImplementedError
