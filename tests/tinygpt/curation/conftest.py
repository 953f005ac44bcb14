"""For the tests of curation."""

import os

import pytest


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    """A power cut is nothing that these tests can make: they need not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
