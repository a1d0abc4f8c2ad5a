"""Areas in any CRS against footprints in the raster's, the date line included."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import box, mapping

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.engine.raster.crs import transform_points
from rs_text_search_plugin.engine.search.area import Area

UTM_60 = "EPSG:32760"
"""Ends at the date line; a raster at its eastern border lies on both sides of it."""


def squares(x, y, count=8, side=1000.0):
    """(count, 4, 2) footprints in a row from west to east, the first with its upper left corner at x, y."""
    left = x + np.arange(count) * side
    corners = [(left, y), (left + side, y), (left + side, y - side), (left, y - side)]
    return np.stack([np.column_stack(np.broadcast_arrays(px, py)) for px, py in corners], axis=1)


@pytest.fixture
def fiji():
    """Squares of 5 km across the date line at 17 degrees south: the first four west of it, the others east."""
    x, y = transform_points(np.array([[180.0, -17.0]]), "EPSG:4326", UTM_60)[0]
    return squares(x - 20_000, y, side=5000.0)


def test_an_area_in_the_rasters_own_crs():
    footprints = squares(0, 0)
    assert Area(mapping(box(1500, -500, 2500, -100))).intersects(footprints, None).nonzero()[0].tolist() == [
        1,
        2,
    ]


def test_a_footprint_is_no_box():
    """The bounding box of a rotated footprint meets this area, the footprint does not."""
    diamond = np.array([[[0, 1], [1, 0], [0, -1], [-1, 0]]], dtype=float)
    assert not Area(mapping(box(0.8, 0.8, 1, 1))).intersects(diamond, None).any()


@pytest.mark.parametrize(
    ("west", "east", "expected"),
    [(179, 179.999, [0, 1, 2, 3]), (-179.999, -179, [4, 5, 6, 7])],
)
def test_each_side_of_the_date_line_has_its_own_tiles(fiji, west, east, expected):
    area = Area(mapping(box(west, -18, east, -16)), "EPSG:4326")
    assert area.intersects(fiji, UTM_60).nonzero()[0].tolist() == expected


def test_an_area_of_two_parts_covers_both_sides_of_the_date_line(fiji):
    both = shapely.MultiPolygon([box(179, -18, 180, -16), box(-180, -18, -179, -16)])
    assert Area(mapping(both), "EPSG:4326").intersects(fiji, UTM_60).all()


def test_the_world_covers_a_raster_across_the_date_line(fiji):
    assert Area(mapping(box(-180, -90, 180, 90)), "EPSG:4326").intersects(fiji, UTM_60).all()


def test_the_world_covers_any_raster():
    assert (
        Area(mapping(box(-180, -90, 180, 90)), "EPSG:4326").intersects(squares(5e5, 5e6), "EPSG:32631").all()
    )


def test_an_area_on_the_other_side_of_the_world_meets_nothing():
    area = Area(mapping(box(-120, 30, -119, 31)), "EPSG:4326")
    assert not area.intersects(squares(5e5, 5e6), "EPSG:32631").any()


def test_a_self_crossing_polygon_is_repaired():
    bow_tie = {"type": "Polygon", "coordinates": [[(0, 0), (3000, -1000), (3000, 0), (0, -1000), (0, 0)]]}
    assert Area(bow_tie).intersects(squares(0, 0), None).sum() == 4


@pytest.mark.parametrize(
    ("geometry", "crs", "message"),
    [
        ({"type": "Cube"}, None, "no GeoJSON"),
        ({"type": "Polygon", "coordinates": [[(0, 0), (1, 1)]]}, None, "no GeoJSON"),
        (mapping(shapely.Polygon()), None, "empty"),
        (mapping(box(0, 0, 1, 1)), "EPSG:999999", "Unknown CRS"),
    ],
)
def test_what_is_no_area_is_said(geometry, crs, message):
    with pytest.raises(QueryError, match=message):
        Area(geometry, crs).intersects(squares(5e5, 5e6), "EPSG:32631")
