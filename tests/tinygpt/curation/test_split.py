"""split.py: whole clusters, stable, of the shares asked for."""

import numpy as np
import pytest

from tinygpt.curation import split

SHARES = (0.8, 0.1, 0.1)


def digests(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, (count, 2), np.uint64, endpoint=False)


def dealt(digests, clusters, shares=SHARES):
    return split.deal(split.places(digests, clusters), clusters, shares)


def test_the_shares_within_a_point():
    made = dealt(digests(20_000), np.arange(20_000))
    assert np.bincount(made) / 20_000 == pytest.approx(SHARES, abs=0.01)


def test_the_shares_within_a_point_where_half_of_all_have_a_copy():
    clusters = np.arange(30_000) % 20_000
    made = dealt(digests(30_000), clusters)
    assert np.bincount(made) / 30_000 == pytest.approx(SHARES, abs=0.01)


def test_a_cluster_goes_to_one_split():
    clusters = np.arange(3000) // 3 * 3
    made = dealt(digests(3000), clusters).reshape(-1, 3)
    assert (made == made[:, :1]).all()


def test_documents_that_are_added_move_no_other():
    all_of_them = digests(22_000)
    before = dealt(all_of_them[:20_000], np.arange(20_000))
    assert (dealt(all_of_them, np.arange(22_000))[:20_000] == before).all()


def test_documents_that_join_a_cluster_move_it_only_if_they_speak_for_it():
    all_of_them, clusters = digests(6000), np.arange(6000) % 5000
    before, after = dealt(all_of_them[:5000], clusters[:5000]), dealt(all_of_them, clusters)
    moved = np.flatnonzero(after[:5000] != before)
    assert 0 < len(moved) < 500 and (moved < 1000).all()
    assert (all_of_them[5000 + moved, 0] < all_of_them[moved, 0]).all()


@pytest.mark.parametrize("count", range(3, 30))
def test_no_split_of_a_small_corpus_is_empty(count):
    made = dealt(digests(count, count), np.arange(count))
    assert set(made) == {0, 1, 2}
    assert set(dealt(digests(count, count), np.arange(count), (1, 0, 0))) == {0}


def test_one_document_is_for_learning_or_for_nothing_else():
    assert len(dealt(digests(1), np.arange(1))) == 1
