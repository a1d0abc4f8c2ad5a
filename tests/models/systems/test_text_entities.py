import numpy as np
import pytest
from rs_text_search_plugin.models.systems.text_entities import entities

FIVE = (
    "many green trees surround a lake",
    "many green trees surround the lake",
    "many tall trees surround the lake",
    "an airport with two white planes",
    "a red roof",
)


def tfidf(texts):
    """Unit rows (n, words), by the formula with smooth idf."""
    words = sorted({word for text in texts for word in text.split()})
    counts = np.array([[text.split().count(word) for word in words] for text in texts], float)
    rows = counts * (np.log((1 + len(texts)) / (1 + (counts > 0).sum(0))) + 1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def cosine(texts, one, other):
    rows = tfidf(texts)
    return rows[one] @ rows[other]


def test_case_accents_and_punctuation_make_no_entity_of_their_own():
    texts = ["Two tanks, white.", "two tanks white", "TWO  tänks - white !", "two white tanks"]
    assert entities(texts, 1.0).tolist() == [0, 0, 0, 1]


def test_similar_texts_are_merged_and_others_are_not():
    assert cosine(FIVE, 0, 1) > 0.7 > cosine(FIVE, 0, 3)
    assert entities([FIVE[0], FIVE[1], *FIVE[3:]], 0.7).tolist() == [0, 0, 1, 2]
    assert entities([FIVE[0], FIVE[1], *FIVE[3:]], 0.99).tolist() == [0, 1, 2, 3]


def test_a_chain_of_similar_texts_is_one_entity():
    ends = cosine(FIVE, 0, 2)
    theta = (ends + min(cosine(FIVE, 0, 1), cosine(FIVE, 1, 2))) / 2
    assert ends < theta
    assert entities(FIVE, theta).tolist() == [0, 0, 0, 1, 2]
    without_the_link = [text for text in FIVE if text != FIVE[1]]
    assert entities(without_the_link, theta).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("theta", [0.3, 0.6, 0.8, 0.95])
def test_entities_are_the_components_of_all_pairs_above_the_threshold(theta):
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, 31)
    texts = [
        " ".join(f"w{n}" for n in rng.choice(30, rng.integers(1, 9), p=weights / weights.sum()))
        for _ in range(150)
    ]
    assert entities(texts, theta).tolist() == all_pairs_compared(texts, theta)


def test_no_texts_have_no_entities():
    assert entities([], 0.9).shape == (0,)


def all_pairs_compared(texts, theta):
    distinct = list(dict.fromkeys(texts))
    near = tfidf(distinct) @ tfidf(distinct).T > theta
    np.fill_diagonal(near, True)
    reach = near
    while (wider := (reach.astype(int) @ near) > 0).sum() > reach.sum():
        reach = wider
    first = [int(np.flatnonzero(reach[distinct.index(text)])[0]) for text in texts]
    order = list(dict.fromkeys(first))
    return [order.index(n) for n in first]
