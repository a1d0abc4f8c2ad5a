import numpy as np
import pytest
from rs_text_search_plugin.models.evaluation.retrieval import recalls


def test_recalls_match_a_case_counted_by_hand():
    # similarity: image 0 fits its caption best; image 1's caption fits image 0 better than image 1
    images = np.eye(2, dtype=np.float32)
    texts = np.array([[1.0, 0.0], [0.8, 0.6]], np.float32)
    found = recalls(images, texts, np.array([0, 1]))
    assert found["i2t_r1"] == 100.0
    assert found["t2i_r1"] == 50.0
    assert found["t2i_r5"] == 100.0
    assert found["mr"] == pytest.approx((100 * 3 + 50 + 100 * 2) / 6)


def test_ties_count_against_the_model():
    same = np.ones((12, 1), np.float32)
    found = recalls(same, same, np.arange(12))
    assert found["i2t_r10"] == found["t2i_r10"] == 0.0
    found = recalls(same[:10], same[:10], np.arange(10))
    assert found["i2t_r10"] == found["t2i_r10"] == 100.0
    assert found["i2t_r5"] == 0.0


def test_the_best_of_several_captions_counts_for_an_image():
    images = np.eye(3, dtype=np.float32)
    texts = np.eye(3, dtype=np.float32)[[0, 2, 1, 2]]
    found = recalls(images, texts, np.array([0, 0, 1, 2]))
    assert found["i2t_r1"] == pytest.approx(100 * 2 / 3)  # image 2 ties with image 0's second caption
    assert found["t2i_r1"] == 75.0
