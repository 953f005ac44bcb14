"""The parts of `bench encoder` that a wrong figure could come from."""

import numpy as np

from bench.encoder import LENGTH, manual, recall, snippets, whitened


def test_recall_counts_texts_that_have_one_of_their_plot_among_the_nearest():
    angles = np.array([0.0, 0.1, 0.25, 3.0])  # nearest of each: 1, 0, 1, 2
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = recall(vectors * np.array([[1], [5], [0.1], [2]]), np.array(["a", "b", "b", "b"]))
    assert found == {1: 0.5, 5: 0.75, 10: 0.75}


def test_whitened_numbers_are_independent_and_of_one_spread():
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((50, 3)) @ np.array([[9.0, 1, 0, 9], [0, 1, 1, 0], [0, 0, 0.1, 0]])
    found = whitened(mixed + 7)
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-6)


def test_a_manual_page_is_left_without_its_commands():
    page = '.TH LS 1\n.\\" a remark\n\\fBls\\fR lists \\-\\-all\n\'in\n.br\nfiles\\&.'
    assert manual(page) == "ls lists all files."


def test_snippets_are_apart_and_hold_text():
    text = "".join(f"{i:04}" for i in range(250))
    assert [piece[:4] for piece in snippets(text)] == ["0025", "0100", "0175"]
    assert {len(piece) for piece in snippets(text)} == {LENGTH}
    assert list(snippets(" " * 1000)) == []
