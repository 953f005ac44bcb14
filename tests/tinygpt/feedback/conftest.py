"""The model that answers of the tests of alignment."""

from tests.tinygpt.alignment.conftest import base  # noqa: F401
