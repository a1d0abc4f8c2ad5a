"""Rasters into indexes: which tiles, which are left out, and what is said of them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.transform import from_origin
from rasterio.windows import Window as GdalWindow

from rs_text_search_plugin.contracts.errors import Cancelled, RasterError
from rs_text_search_plugin.contracts.messages import Query, Window
from rs_text_search_plugin.engine.index.planner import IndexOptions, index, plan
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.search.search import search
from tests.engine.fakes import ColourEncoder, unit
from tests.engine.rasters import UTM, painted, spoil_block, write, write_tiled

TILE = 32


@pytest.fixture
def encoder():
    return ColourEncoder(size=TILE)


def made(path, encoder, **options):
    """The report of indexing a raster, and the index."""
    report = index(str(path), encoder, IndexOptions(**options))
    return report, open_index(report.index)


def expected(encoder, picture, places):
    """Vectors of tiles cut from the picture itself; (n, 4) windows."""
    cut = np.stack([picture[:, y : y + h, x : x + w].transpose(1, 2, 0) for x, y, w, h in places.tolist()])
    return unit(encoder.images(cut).astype(np.float16).astype(np.float32))


# ---- the right pixels ----


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
@pytest.mark.parametrize("layout", ["strips", "small blocks", "large blocks"])
def test_every_vector_is_that_of_its_own_pixels(tmp_path, encoder, overlap, layout):
    picture = painted(300, 210)
    if layout == "strips":
        path = write(tmp_path / "a.tif", picture)
    else:
        path = write_tiled(tmp_path / "a.tif", picture, 16 if layout == "small blocks" else 128)
    report, found = made(path, encoder, tile_px=TILE, overlap=overlap)
    assert report.tiles == len(found.meta.lattice) == len(found.ids)
    assert found.ids.tolist() == list(range(report.tiles))
    assert np.allclose(found.vectors, expected(encoder, picture, found.windows), atol=1e-6)


def test_a_search_lands_on_its_colour(tmp_path, encoder):
    picture = np.full((3, 256, 256), 30, np.uint8)
    picture[1] = 150
    picture[:, 64:96, 160:192] = np.array([220, 30, 30], np.uint8)[:, None, None]
    _, found = made(write(tmp_path / "a.tif", picture), encoder, tile_px=TILE)
    best = search([found], encoder, Query(text="red")).matches[0]
    assert (best.row, best.col) == (2, 5)
    assert best.corners[0] == (500_080, 4_999_968)


@pytest.mark.parametrize("overviews", [True, False])
def test_large_tiles_are_read_small(tmp_path, encoder, overviews):
    picture = painted(256, 256).repeat(4, 1).repeat(4, 2)
    path = write_tiled(tmp_path / "a.tif", picture)
    if overviews:
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4])
    seen = []
    encoder.images = lambda tiles: seen.append(tiles.shape[1:]) or ColourEncoder.images(encoder, tiles)
    _, found = made(path, encoder, tile_px=4 * TILE)
    assert set(seen) == {(TILE, TILE, 3)}
    assert (np.sum(found.vectors * expected(encoder, picture, found.windows), axis=1) > 0.99).all()


def test_tiles_of_an_odd_multiple_with_overlap_keep_their_place(tmp_path, encoder):
    picture = painted(400, 400).repeat(3, 1).repeat(3, 2)
    _, found = made(write_tiled(tmp_path / "a.tif", picture, 128), encoder, tile_px=100, overlap=0.37)
    assert found.meta.factor == 3
    assert (np.sum(found.vectors * expected(encoder, picture, found.windows), axis=1) > 0.97).all()


def test_a_raster_wider_than_one_band_is_cut_into_panels(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr("rs_text_search_plugin.engine.index.parts.STRIP_BYTES", 3 * 2 * TILE * 200)
    picture = painted(128, 500)
    _, found = made(write(tmp_path / "a.tif", picture), encoder, tile_px=TILE, overlap=0.5)
    assert len(found.ids) == len(found.meta.lattice)
    assert np.allclose(found.vectors, expected(encoder, picture, found.windows), atol=1e-6)


# ---- which tiles ----


def planned(path, **options):
    return plan(str(path), IndexOptions(**options), ColourEncoder(size=64))


def test_the_tile_is_the_encoders_size_when_nothing_is_said(tmp_path):
    wanted = planned(write(tmp_path / "a.tif", painted(256, 300)))
    assert (wanted.tile_px, wanted.tiles, wanted.tile_m, wanted.gsd_m) == ((64, 64), 20, 32.0, 0.5)
    assert wanted.index == tmp_path / "a.tif.rsidx"
    assert not wanted.index.exists()


def test_the_plan_counts_what_is_then_made(tmp_path, encoder):
    path = write(tmp_path / "a.tif", painted(256, 300))
    options = IndexOptions(tile_px=TILE, overlap=0.5)
    assert plan(str(path), options, encoder).tiles == index(str(path), encoder, options).tiles


def test_metres_on_the_ground(tmp_path):
    assert planned(write(tmp_path / "a.tif", painted()), tile_m=32).tile_px == (64, 64)


def test_metres_mean_nothing_without_a_crs(tmp_path):
    with pytest.raises(RasterError, match="no CRS") as caught:
        planned(write(tmp_path / "a.tif", painted(), crs=None), tile_m=32)
    assert "--tile-px" in caught.value.hint


def test_degree_rasters_get_tiles_square_on_the_ground(tmp_path):
    there = Affine(1e-5, 0, 10, 0, -1e-5, 60.00128)
    width, height = planned(write(tmp_path / "a.tif", painted(), crs="EPSG:4326", transform=there)).tile_px
    assert (width, height) == (128, 64)


def test_a_raster_smaller_than_a_tile_is_one_tile(tmp_path):
    wanted = planned(write(tmp_path / "a.tif", painted(40, 50)))
    assert (wanted.tile_px, wanted.tiles) == ((40, 40), 2)


def test_a_tile_asked_for_must_fit(tmp_path):
    with pytest.raises(RasterError, match="does not fit") as caught:
        planned(write(tmp_path / "a.tif", painted(40, 50)), tile_px=64)
    assert "at most 40 px" in caught.value.hint


def test_a_raster_of_few_pixels_shows_nothing(tmp_path):
    with pytest.raises(RasterError) as caught:
        planned(write(tmp_path / "a.tif", painted(20, 50)))
    assert caught.value.hint


def test_an_area_keeps_to_the_tiles_it_meets(tmp_path, encoder):
    path = write(tmp_path / "a.tif", painted())  # 8 x 8 tiles of 16 m
    ring = [[500_017, 4_999_983], [500_047, 4_999_983], [500_017, 4_999_957], [500_017, 4_999_983]]
    area = {"type": "Polygon", "coordinates": [ring]}
    wanted = planned(path, tile_px=TILE, area=area, area_crs=UTM)
    report, found = made(path, encoder, tile_px=TILE, area=area, area_crs=UTM)
    assert found.ids.tolist() == [9, 10, 17]
    assert wanted.tiles == report.tiles == 3


def test_an_area_elsewhere(tmp_path):
    far = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    with pytest.raises(RasterError, match="outside"):
        planned(write(tmp_path / "a.tif", painted()), area=far, area_crs="EPSG:4326")


# ---- what is left out ----


def test_gaps_are_not_embedded(tmp_path, encoder):
    picture = painted().clip(1)
    picture[:, :, :80] = 0
    report, found = made(write(tmp_path / "a.tif", picture, nodata=0), encoder, tile_px=TILE)
    assert (report.tiles, report.empty) == (48, 16)  # columns 0 and 1; column 2 is half gap, and kept
    assert set(found.ids % 8) == {2, 3, 4, 5, 6, 7}
    assert sum(encoder.batches) == 48


def test_too_many_gaps_everywhere(tmp_path, encoder):
    picture = painted().clip(1)
    picture[:, :, ::2] = 0
    picture[:, ::3] = 0
    with pytest.raises(RasterError, match="enough valid pixels") as caught:
        made(write(tmp_path / "a.tif", picture, nodata=0), encoder, tile_px=TILE)
    assert "nodata" in caught.value.hint


@pytest.mark.parametrize("block", [64, 48])
def test_a_damaged_block_costs_its_own_tiles_only(tmp_path, encoder, block):
    picture = painted()
    path = write_tiled(tmp_path / "a.tif", picture, block)
    spoil_block(path, 1, 2)
    report, found = made(path, encoder, tile_px=TILE)
    broken = np.zeros((256, 256), bool)
    broken[block : 2 * block, 2 * block : 3 * block] = True
    hit = {
        Window(x, y, TILE, TILE)
        for x in range(0, 256, TILE)
        for y in range(0, 256, TILE)
        if broken[y : y + TILE, x : x + TILE].any()
    }
    assert {skip.window for skip in report.unreadable} == hit
    assert all("cannot be read" in skip.reason for skip in report.unreadable)
    assert report.complete
    assert report.tiles == 64 - len(hit)
    assert found.meta.unreadable == report.unreadable
    assert np.allclose(found.vectors, expected(encoder, picture, found.windows), atol=1e-6)


def test_a_file_cut_short_keeps_its_upper_part(tmp_path, encoder):
    path = write(tmp_path / "a.tif", painted())
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size * 6 // 10)
    report, found = made(path, encoder, tile_px=TILE)
    assert 24 <= report.tiles <= 40
    assert report.tiles + len(report.unreadable) == 64
    assert found.ids.max() < min(
        skip.window.y // TILE * 8 + skip.window.x // TILE for skip in report.unreadable
    )


def test_a_file_of_which_nothing_can_be_read(tmp_path, encoder):
    path = write(tmp_path / "a.tif", painted())
    with path.open("r+b") as file:
        file.truncate(400)
    with pytest.raises(RasterError) as caught:
        made(path, encoder, tile_px=TILE)
    assert caught.value.hint


def test_a_huge_sparse_raster_costs_what_it_holds(tmp_path, encoder):
    path = tmp_path / "sparse.tif"
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "sparse_ok": True}
    side = 100_000
    with rasterio.open(
        path, "w", "GTiff", side, side, 3, UTM, from_origin(0, 5e6, 1, 1), "uint8", **tiles
    ) as file:
        file.write(painted(1024, 1024), window=GdalWindow(51_200, 51_200, 1024, 1024))
    report, found = made(path, encoder, tile_px=500)
    assert report.tiles + report.empty == 200 * 200
    assert 4 <= report.tiles <= 9
    x, y = found.windows[:, 0], found.windows[:, 1]
    assert ((x > 50_600) & (x < 52_300) & (y > 50_600) & (y < 52_300)).all()


# ---- how it runs ----


def test_progress_reaches_the_end_and_never_goes_back(tmp_path, encoder):
    said = []
    path = write(tmp_path / "a.tif", painted(512, 512))
    index(str(path), encoder, IndexOptions(tile_px=TILE), progress=lambda *now: said.append(now))
    done = [part for part, _ in said]
    assert done == sorted(done)
    assert said[-1] == (256, 256)


def test_cancel_keeps_what_is_done(tmp_path, encoder):
    path, options = write(tmp_path / "a.tif", painted(512, 512)), IndexOptions(tile_px=TILE)
    with pytest.raises(Cancelled) as caught:
        index(str(path), encoder, options, cancelled=lambda: sum(encoder.batches) >= 128)
    assert caught.value.hint
    report = index(str(path), encoder, options)
    assert report.resumed >= 64
    assert sum(encoder.batches) < 256 + 128


def test_tiles_come_in_batches_of_the_size_that_the_encoder_prefers(tmp_path, encoder):
    encoder.batch = 5
    assert made(write(tmp_path / "a.tif", painted()), encoder, tile_px=TILE)[0].tiles == 64
    assert max(encoder.batches) == 5


def test_an_encoders_own_error_is_not_hidden(tmp_path, encoder):
    def broken(tiles):
        raise RuntimeError("weights are NaN")

    encoder.images = broken
    with pytest.raises(RuntimeError, match="weights are NaN"):
        made(write(tmp_path / "a.tif", painted()), encoder, tile_px=TILE)


def test_memory_does_not_grow_with_the_raster(tmp_path, encoder):
    peaks = []
    for height in (1024, 4096):
        path = write_tiled(tmp_path / f"{height}.tif", painted(height, 512))
        tracemalloc.start()
        index(str(path), encoder, IndexOptions(tile_px=64))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] + 1e6
