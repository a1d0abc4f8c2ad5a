import numpy as np
import pytest
from rs_text_search_plugin.models.systems import text_entities as entities
from rs_text_search_plugin.models.systems.text_entities import merged

FIVE = (
    "many green trees surround a lake",
    "many green trees surround the lake",
    "many tall trees surround the lake",
    "an airport with two white planes",
    "a red roof",
)


def test_case_accents_and_punctuation_make_no_entity_of_their_own():
    texts = ["Two tanks, white.", "two tanks white", "TWO  tänks - white !", "two white tanks"]
    assert merged(texts, 1.0).tolist() == [0, 0, 0, 1]


def test_near_same_texts_are_merged_and_others_are_not():
    assert cosine(FIVE, 0, 1) > 0.7 > cosine(FIVE, 0, 3)
    assert merged([FIVE[0], FIVE[1], *FIVE[3:]], 0.7).tolist() == [0, 0, 1, 2]
    assert merged([FIVE[0], FIVE[1], *FIVE[3:]], 0.99).tolist() == [0, 1, 2, 3]


def test_a_chain_of_near_same_texts_is_one_entity():
    ends = cosine(FIVE, 0, 2)
    theta = (ends + min(cosine(FIVE, 0, 1), cosine(FIVE, 1, 2))) / 2
    assert ends < theta
    assert merged(FIVE, theta).tolist() == [0, 0, 0, 1, 2]
    without_the_link = [text for text in FIVE if text != FIVE[1]]
    assert merged(without_the_link, theta).tolist() == [0, 1, 2, 3]


def test_rare_words_weigh_more_and_come_first():
    found = entities.weighed(["a lake", "a roof", "a a roof"])
    once, twice, thrice = (np.log(4 / (1 + n)) + 1 for n in (1, 2, 3))
    expected = np.array([[once, thrice], [twice, thrice], [twice, 2 * thrice]])
    assert found.words.tolist() == [[0, 2], [1, 2], [1, 2]]
    np.testing.assert_allclose(found.values, expected / np.linalg.norm(expected, axis=1)[:, None], rtol=1e-5)


@pytest.mark.parametrize("theta", [0.3, 0.6, 0.8, 0.95])
def test_nothing_is_missed_by_comparing_only_texts_that_share_a_rare_word(theta, monkeypatch):
    monkeypatch.setattr(entities, "STRIP", 7)
    rng = np.random.default_rng(0)
    common_first = 1 / np.arange(1, 31)
    texts = [
        " ".join(f"w{n}" for n in rng.choice(30, rng.integers(1, 9), p=common_first / common_first.sum()))
        for _ in range(150)
    ]
    assert merged(texts, theta).tolist() == everything_compared(texts, theta)


def test_no_texts_have_no_entities():
    assert merged([], 0.9).shape == (0,)


def table(texts):
    found = entities.weighed(texts)
    dense = np.zeros((len(texts), found.words.max() + 1))
    np.add.at(dense, (np.arange(len(texts))[:, None], found.words), found.values)
    return dense


def cosine(texts, one, other):
    rows = table(texts)
    return rows[one] @ rows[other]


def everything_compared(texts, theta):
    distinct = list(dict.fromkeys(texts))
    near = table(distinct) @ table(distinct).T > theta
    np.fill_diagonal(near, True)
    reach = near
    while (wider := (reach.astype(int) @ near) > 0).sum() > reach.sum():
        reach = wider
    first = [int(np.flatnonzero(reach[distinct.index(text)])[0]) for text in texts]
    order = list(dict.fromkeys(first))
    return [order.index(n) for n in first]
