"""Search on vectors made by hand: what is found, how it is ranked, what is never returned."""

import numpy as np
import pytest
from rasterio.warp import transform_geom
from shapely.geometry import box, mapping

from rs_text_search_plugin.contracts.errors import IndexMismatch, QueryError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.search.query.combination import without
from rs_text_search_plugin.engine.search.search import Limits, search
from tests.engine.fakes import ColourEncoder
from tests.engine.synthetic import SyntheticIndex, checkerless, unit

GREEN, RED, BLUE = (30, 150, 30), (220, 30, 30), (30, 60, 220)


def painted(encoder, grid, seed=0):
    """Vectors of tiles whose halves are (colour, colour) pairs, with a little grain."""
    rng = np.random.default_rng(seed)
    tiles = np.empty((len(grid), 8, 8, 3), np.uint8)
    for tile, (left, right) in zip(tiles, grid, strict=True):
        tile[:, :4], tile[:, 4:] = left, right
    return unit(encoder.images(tiles) + rng.normal(0, 0.02, (len(grid), encoder.dim)).astype(np.float32))


@pytest.fixture
def encoder():
    return ColourEncoder()


def colours(encoder, rows=20, cols=30, red=(31, 32, 61, 400), overlap=0.0, **kwargs):
    """A green and blue country with a few red tiles."""
    grid = [(GREEN, GREEN if i % 3 else BLUE) for i in range(rows * cols)]
    for i in red:
        grid[i] = (RED, RED)
    lattice = checkerless(rows, cols, overlap=overlap)
    return SyntheticIndex(painted(encoder, grid), lattice, fingerprint=encoder.fingerprint, **kwargs)


def test_finds_what_is_asked_for(encoder):
    result = search([colours(encoder)], encoder, Query("red"))
    assert {match.id for match in result.matches[:4]} == {31, 32, 61, 400}
    assert [match.rank for match in result.matches] == list(range(1, 201))
    assert result.strong == 4
    assert result.possible == 0
    assert result.tiles == sum(result.histogram) == 600
    assert result.verdict == "4 strong matches in 2 places among 600 tiles."


def test_a_match_carries_its_place(encoder):
    first = next(m for m in search([colours(encoder)], encoder, Query("red")).matches if m.id == 61)
    assert (first.row, first.col) == (2, 1)
    assert (first.window.x, first.window.y) == (256, 512)
    assert first.corners[0] == (500_000 + 256 * 0.5, 5_000_000 - 512 * 0.5)


def test_nothing_stands_out_for_what_is_absent(encoder):
    result = search([colours(encoder)], encoder, Query("yellow"))
    assert result.strong == result.possible == 0
    assert result.regions == ()
    assert result.verdict == "Nothing stands out among 600 tiles."


@pytest.mark.parametrize(("text", "strong"), [("red", 1), ("yellow", 0)])
def test_a_tiny_index_behaves(encoder, text, strong):
    vectors = painted(encoder, [(GREEN, GREEN)] * 4 + [(RED, RED)])
    index = SyntheticIndex(vectors, checkerless(1, 5), fingerprint=encoder.fingerprint)
    result = search([index], encoder, Query(text))
    assert len(result.matches) == 5
    assert result.strong + result.possible <= strong
    if strong:
        assert result.matches[0].id == 4


def test_touching_matches_share_a_region_and_regions_are_numbered_best_first(encoder):
    result = search([colours(encoder)], encoder, Query("red"))
    regions = {match.id: match.region for match in result.matches if match.score >= 50}
    assert regions[31] == regions[32] == regions[61] != regions[400]
    assert [region.region for region in result.regions] == [1, 2]
    assert result.regions[0].score >= result.regions[1].score
    assert sorted(region.tiles for region in result.regions) == [1, 3]


def test_several_indexes_are_ranked_together(encoder):
    one = colours(encoder, red=(7,), folder="/a")
    two = colours(encoder, red=(9, 200), folder="/b")
    result = search([one, two], encoder, Query("red"))
    assert {(m.index, m.id) for m in result.matches[:3]} == {("/a", 7), ("/b", 9), ("/b", 200)}
    assert result.tiles == 1200
    assert [len(scores) for scores in result.scores] == [600, 600]
    assert sorted(region.region for region in result.regions) == [1, 2, 3]


def test_equal_tiles_come_in_the_order_of_indexes_and_ids(encoder):
    vectors = np.repeat(painted(encoder, [(RED, RED)]), 12, axis=0)
    indexes = [
        SyntheticIndex(vectors, checkerless(3, 4), folder=f, fingerprint=encoder.fingerprint) for f in "ba"
    ]
    matches = search(indexes, encoder, Query("red"), Limits(top=15)).matches
    assert [(m.index, m.id) for m in matches] == [("b", i) for i in range(12)] + [("a", i) for i in range(3)]


def test_top_and_min_score_cut_the_list_but_not_the_counts(encoder):
    result = search([colours(encoder)], encoder, Query("red"), Limits(top=2, min_score=80))
    assert len(result.matches) == 2
    assert result.strong == 4
    assert all(
        match.score >= 80
        for match in search([colours(encoder)], encoder, Query("red"), Limits(min_score=80)).matches
    )


def test_an_area_limits_what_is_searched(encoder):
    index = colours(encoder)
    x, y = 500_000, 5_000_000  # a tile is 128 m; the box meets rows 1 and 2, columns 0 and 1
    area = mapping(box(x + 30, y - 374, x + 230, y - 130))
    result = search([index], encoder, Query("red"), Limits(area=area))
    assert [match.id for match in result.matches if match.score >= 80] in ([31, 61], [61, 31])
    assert result.tiles == 4
    assert {match.id for match in result.matches} == {30, 31, 60, 61}


def test_an_area_comes_in_any_crs(encoder):
    index = colours(encoder)
    a, b = index.corners(np.array([31]))[0][[0, 2]]
    inner = mapping(box(a[0] + 5, b[1] + 5, b[0] - 5, a[1] - 5))
    area = transform_geom("EPSG:32633", "EPSG:4326", inner)
    result = search([index], encoder, Query("red"), Limits(area=area, area_crs="EPSG:4326"))
    assert [match.id for match in result.matches] == [31]


@pytest.mark.parametrize(
    ("area", "crs"),
    [
        ({"type": "Polygon"}, None),
        ({"type": "Polygon", "coordinates": []}, None),
        ({"type": "Point", "coordinates": [0, 0]}, "EPSG:0"),
    ],
)
def test_a_wrong_area_is_said(encoder, area, crs):
    with pytest.raises(QueryError):
        search([colours(encoder)], encoder, Query("red"), Limits(area=area, area_crs=crs))


def test_of_overlapping_tiles_the_best_is_listed_and_the_region_keeps_all(encoder):
    index = colours(encoder, red=(310, 311, 340, 341), overlap=0.5)
    result = search([index], encoder, Query("red"), Limits(min_score=80))
    assert result.strong == 4
    assert len(result.matches) == 2  # the diagonal ones share a quarter only
    assert result.regions[0].tiles == 4


def test_without_takes_away_what_shows_both(encoder):
    grid = [(GREEN, GREEN)] * 200
    grid[5], grid[6] = (RED, RED), (RED, BLUE)
    index = SyntheticIndex(painted(encoder, grid), checkerless(10, 20), fingerprint=encoder.fingerprint)
    plain = {m.id: m.score for m in search([index], encoder, Query("red")).matches}
    less = {m.id: m.score for m in search([index], encoder, Query("red", without="blue")).matches}
    assert plain[6] > 50
    assert less[6] < 20
    assert less[5] > plain[5] - 5


def test_without_alone_is_no_query(encoder):
    with pytest.raises(QueryError):
        search([colours(encoder)], encoder, Query(without="blue"))


def test_without_is_and_not():
    wanted = np.array([-4.0, 0.0, 5.0, 40.0], np.float32)
    unwanted = wanted[::-1].copy()
    p, q, both = (
        1 / (1 + np.exp(-x.astype(np.float64))) for x in (wanted, unwanted, without(wanted, unwanted))
    )
    assert np.allclose(both, p * (1 - q), atol=1e-6)


def test_more_like_this_finds_its_kind_without_words(encoder):
    index = colours(encoder)
    result = search([index], encoder, Query(like=((str(index.folder), 31),)))
    assert {match.id for match in result.matches[:4]} == {31, 32, 61, 400}
    assert result.matches[0].score > 80
    assert result.matches[10].score < 50


def test_less_like_this_pushes_its_kind_down(encoder):
    grid = [(GREEN if i < 100 else BLUE, BLUE if i % 2 else RED) for i in range(200)]
    index = SyntheticIndex(painted(encoder, grid), checkerless(10, 20), fingerprint=encoder.fingerprint)
    folder = str(index.folder)
    mixed = search([index], encoder, Query("green"), Limits(top=20)).matches
    less = search([index], encoder, Query("green", unlike=((folder, 0), (folder, 2))), Limits(top=20)).matches
    assert sum(match.id % 2 for match in mixed) < 20
    assert all(match.id % 2 for match in less)


def test_marks_must_lie_in_what_is_searched(encoder):
    with pytest.raises(QueryError, match="not searched"):
        search([colours(encoder)], encoder, Query("red", like=(("/elsewhere", 1),)))


def test_empty_queries_and_other_models_are_refused(encoder):
    index = colours(encoder)
    for query in (Query(), Query("  ")):
        with pytest.raises(QueryError):
            search([index], encoder, query)
    with pytest.raises(QueryError):
        search([], encoder, Query("red"))
    with pytest.raises(IndexMismatch):
        search([index], ColourEncoder(name="other"), Query("red"))
