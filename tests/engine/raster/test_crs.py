from __future__ import annotations

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from rs_text_search_plugin.engine.raster import crs

MOON = (
    'GEOGCRS["Moon",DATUM["Moon",ELLIPSOID["Moon",1737400,0,LENGTHUNIT["metre",1]]],'
    'PRIMEM["Reference meridian",0],CS[ellipsoidal,2],AXIS["latitude",north],AXIS["longitude",east],'
    'ANGLEUNIT["degree",0.0174532925199433]]'
)


def test_points_go_there_and_back():
    points = np.array([[500_000.0, 4_649_776.0], [450_000.0, 4_700_000.0]])
    degrees = crs.transform_points(points, "EPSG:32631", "EPSG:4326")
    assert np.allclose(degrees[0], [3, 42], atol=1e-3)  # x is longitude, whatever the authority's order
    assert np.allclose(crs.transform_points(degrees, "EPSG:4326", "EPSG:32631"), points, atol=1e-3)


def test_a_point_off_the_projection_is_refused_with_the_reason():
    with pytest.raises(crs.CrsUnusableError, match="latitude"):
        crs.transform_points(np.array([[0.0, 91.0]]), "EPSG:4326", "EPSG:3857")


def test_edges_bend_with_the_projection():
    """The northern edge of a wide box bulges in UTM; its corners alone would cut the bulge off."""
    wide = shapely.box(-3, 50, 9, 52)
    moved = crs.reproject(wide, "EPSG:4326", "EPSG:32631", step=0.5)
    assert len(moved.exterior.coords) > 40
    corners = crs.transform_points(np.array(wide.exterior.coords), "EPSG:4326", "EPSG:32631")
    assert moved.bounds[1] < corners[:, 1].min() - 10_000


def test_shapes_that_leave_the_projection_are_refused():
    with pytest.raises(crs.CrsUnusableError, match="no way"):
        crs.reproject(shapely.box(0, 80, 10, 95), "EPSG:4326", "EPSG:3857", step=1)


@pytest.mark.parametrize(("one", "other"), [("EPSG:4326", "EPSG:999999"), ("nonsense", "EPSG:4326")])
def test_an_unknown_crs_is_named(one, other):
    with pytest.raises(crs.CrsUnusableError, match="Unknown CRS"):
        crs.transform_points(np.zeros((1, 2)), one, other)


def test_no_way_leads_to_another_body():
    with pytest.raises(crs.CrsUnusableError, match="no way"):
        crs.transform_points(np.zeros((1, 2)), "EPSG:4326", MOON)


def test_the_same_crs_in_other_words():
    assert crs.same("EPSG:32631", CRS.from_epsg(32631).to_wkt(version="WKT2_2019"))
    assert not crs.same("EPSG:32631", "EPSG:32632")
