import math

import numpy as np
import pytest
from rs_text_search_plugin.models.evaluation.multivariate_rerank import multivariate_rerank


def by_loop(similarity, k, wp1, wp2, xi):
    """The formula, one query and one candidate at a time; for similarities above 0 that are all different."""
    n, m = similarity.shape
    found = np.zeros((n, m))
    for q in range(n):
        ranking = sorted(range(m), key=lambda t: -similarity[q, t])
        reverse = {}
        for j, t in enumerate(ranking[:k]):
            found[q, t] = wp1 * similarity[q, t] / sum(similarity[other, t] for other in range(n))
            found[q, t] += math.exp(-xi * (j + 1))
            its_ranking = sorted(range(n), key=lambda other: -similarity[other, t])
            reverse[t] = its_ranking.index(q)
        for r, t in enumerate(sorted(reverse, key=lambda t: (reverse[t], ranking.index(t)))):
            found[q, t] += wp2 * math.exp(-xi * (r + 1))
        for behind, t in enumerate(ranking[k:]):
            found[q, t] = -1 - k - behind
    return found


def likeness_of(n, m, seed=0):
    return np.random.default_rng(seed).uniform(0.05, 0.95, (n, m)).astype(np.float32)


@pytest.mark.parametrize(("n", "m", "k"), [(9, 14, 5), (14, 9, 5), (7, 40, 30), (6, 8, 30), (1, 3, 2)])
@pytest.mark.parametrize(("wp1", "wp2", "xi"), [(0.30, 1.1, 0.05), (4.0, 0.7, 0.3)])
def test_all_queries_at_once_give_what_the_loop_gives(n, m, k, wp1, wp2, xi):
    similarity = likeness_of(n, m)
    found = multivariate_rerank(similarity, k, wp1, wp2, xi)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_loop(similarity, k, wp1, wp2, xi), rtol=1e-5)


def test_the_defaults_are_the_released_ones():
    similarity = likeness_of(40, 50)
    np.testing.assert_allclose(
        multivariate_rerank(similarity), by_loop(similarity, 30, 0.30, 1.1, 0.05), rtol=1e-5
    )


def test_the_candidate_that_answers_only_this_query_moves_ahead():
    # candidate 0 is everyone's favourite, candidate 1 belongs to query 0
    similarity = np.array([[0.70, 0.69, 0.1], [0.90, 0.10, 0.2], [0.95, 0.20, 0.3]], np.float32)
    assert np.argmax(similarity[0]) == 0
    assert np.argmax(multivariate_rerank(similarity)[0]) == 1
    np.testing.assert_array_equal(np.argsort(-multivariate_rerank(similarity.T)[0]), [2, 1, 0])


def test_candidates_behind_the_k_th_keep_their_order_behind_the_first_k():
    similarity = likeness_of(12, 60)
    before = np.argsort(-similarity, axis=1)
    after = np.argsort(-multivariate_rerank(similarity, k=10), axis=1)
    np.testing.assert_array_equal(after[:, 10:], before[:, 10:])
    np.testing.assert_array_equal(np.sort(after[:, :10]), np.sort(before[:, :10]))
    assert (after[:, :10] != before[:, :10]).any()


def test_without_the_reverse_ranking_and_the_share_the_order_stays():
    similarity = likeness_of(12, 60)
    found = multivariate_rerank(similarity, wp1=0, wp2=0)
    np.testing.assert_array_equal(np.argsort(-found, axis=1), np.argsort(-similarity, axis=1))


def test_negative_similarities_have_no_share():
    found = multivariate_rerank(np.array([[0.2, -0.9], [-0.6, -0.8]], np.float32), wp1=1, wp2=0, xi=0)
    np.testing.assert_allclose(found, [[2, 1], [1, 1]])


def test_a_caption_written_twice_ties():
    similarity = likeness_of(20, 8)
    found = multivariate_rerank(np.concatenate([similarity, similarity], 1))
    np.testing.assert_array_equal(found[:, :8], found[:, 8:])
