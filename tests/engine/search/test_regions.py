"""Heat on the stride lattice, and regions of touching matches."""

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from rs_text_search_plugin.contracts.errors import ExportError
from rs_text_search_plugin.engine.index.grid import lattice
from rs_text_search_plugin.engine.search.regions import NODATA, heat, merge, write_heat
from tests.engine.synthetic import SyntheticIndex, checkerless

ROTATED = (0.4, 0.3, 1000.0, 0.3, -0.4, 2000.0)


def index_of(grid, ids=None, **kwargs):
    count = grid.rows * grid.cols if ids is None else len(ids)
    return SyntheticIndex(np.ones((count, 4), np.float32), grid, ids=ids, **kwargs)


def test_without_overlap_the_heat_is_the_scores():
    index = index_of(checkerless(3, 5))
    scores = np.arange(15, dtype=np.float32)
    assert np.array_equal(heat(index, scores), scores.reshape(3, 5))


def test_a_cell_is_the_mean_of_the_tiles_over_it():
    index = index_of(checkerless(2, 2, overlap=0.5))
    folded = heat(index, np.array([0, 10, 20, 30], np.float32))
    assert folded.tolist() == [[0, 5, 10], [10, 15, 20], [20, 25, 30]]


@pytest.mark.parametrize("overlap", [0, 0.25, 0.3, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("size", [(1000, 700), (1111, 257), (256, 256), (3000, 300)])
def test_every_tile_has_cells_and_every_cell_is_right(overlap, size):
    """Against the plain loop over tiles and cells."""
    index = index_of(lattice(*size, 256, 256, overlap))
    scores = np.random.default_rng(1).uniform(0, 100, len(index.ids)).astype(np.float32)
    folded = heat(index, scores)
    step_x, step_y = index.lattice.step_x, index.lattice.step_y
    total, count = np.zeros(folded.shape), np.zeros(folded.shape)
    for (x, y, w, h), score in zip(index.windows, scores, strict=True):
        top, left = min(round(y / step_y), folded.shape[0] - 1), min(round(x / step_x), folded.shape[1] - 1)
        bottom, right = max(top + 1, round((y + h) / step_y)), max(left + 1, round((x + w) / step_x))
        total[top:bottom, left:right] += score
        count[top:bottom, left:right] += 1
    expected = np.where(count > 0, total / np.maximum(count, 1), NODATA)
    assert np.allclose(folded, expected, atol=1e-3)
    assert (folded >= 0).any()


def test_heat_file_lies_on_the_raster_even_when_it_is_rotated(tmp_path):
    index = index_of(checkerless(4, 6), ids=[0, 1, 8, 23], transform=ROTATED)
    path = write_heat(index, np.array([1, 2, 3, 4], np.float32), tmp_path / "heat.tif")
    with rasterio.open(path) as file:
        grid = file.read(1)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.nodata == NODATA
        assert file.crs.to_epsg() == 32633
        assert file.transform.almost_equals(Affine(*ROTATED) @ Affine.scale(256, 256))
        for position, (row, col) in enumerate([(0, 0), (0, 1), (1, 2), (3, 5)]):
            assert grid[row, col] == position + 1
            assert np.allclose(file.xy(row, col), index.corners([position])[0].mean(axis=0))
        assert (grid == NODATA).sum() == 20


def test_a_heat_file_that_cannot_be_written_is_an_export_error(tmp_path):
    with pytest.raises(ExportError):
        write_heat(index_of(checkerless(1, 2)), np.zeros(2, np.float32), tmp_path / "no" / "heat.tif")


@pytest.mark.parametrize("transform", [(0.5, 0, 10.0, 0, -0.5, 20.0), ROTATED])
def test_a_region_without_overlap_is_exactly_its_footprints(transform):
    index = index_of(checkerless(5, 6), transform=transform)
    chosen = np.isin(index.ids, [7, 8, 13, 14, 28])
    found, labels = merge(index, index.ids.astype(np.float32), chosen)
    assert [(region.region, region.tiles, region.score) for region in found] == [(1, 1, 28), (2, 4, 14)]
    assert labels[chosen].tolist() == [2, 2, 2, 2, 1]
    assert not labels[~chosen].any()
    for region in found:
        footprints = shapely.union_all(
            shapely.polygons(index.corners(np.flatnonzero(labels == region.region)))
        )
        assert shapely.geometry.shape(region.geometry).symmetric_difference(footprints).area < 1e-6


def test_corners_touch_and_holes_stay():
    index = index_of(checkerless(5, 5))
    ring = [6, 7, 8, 11, 13, 16, 17, 18, 24]
    found, _ = merge(index, np.full(25, 60, np.float32), np.isin(index.ids, ring))
    shape = shapely.geometry.shape(found[0].geometry)
    assert len(found) == 1
    assert shape.is_valid
    assert shape.area == pytest.approx(9 * 128**2)


def test_regions_stay_inside_the_raster():
    index = index_of(lattice(1000, 900, 256, 256, 0))
    found, labels = merge(index, np.full(len(index.ids), 60, np.float32), np.ones(len(index.ids), bool))
    assert shapely.geometry.shape(found[0].geometry).bounds == (500_000, 5_000_000 - 450, 500_500, 5_000_000)
    assert found[0].tiles == len(index.ids)
    assert (labels == 1).all()


def test_nothing_chosen_is_no_region():
    index = index_of(checkerless(2, 2))
    found, labels = merge(index, np.zeros(4, np.float32), np.zeros(4, bool))
    assert found == []
    assert not labels.any()
