"""Rasters of every kind become RGB with gaps known."""

import math

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling

from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.contracts.messages import Window
from rs_text_search_plugin.engine.raster.reader import open_raster
from tests.engine.rasters import painted, spoil_block, write, write_tiled

MOON = 'GEOGCS["Moon",DATUM["D_Moon",SPHEROID["Moon",1737400,0]],PRIMEM["0",0],UNIT["degree",0.0174532925199433]]'


def whole(path, bands=None):
    """RGB (h, w, 3) and validity (h, w) of a raster, as an index would see it."""
    with open_raster(path, bands) as raster:
        return raster.rgb(Window(0, 0, raster.width, raster.height), raster.stretch())


def shades(dtype, low, high, bands=1):
    """(bands, 64, 64) from `low` to `high`, left to right."""
    return np.broadcast_to(np.linspace(low, high, 64), (bands, 64, 64)).astype(dtype)


# ---- bands ----


def test_a_photograph_is_shown_as_it_is(tmp_path):
    picture = painted()
    rgb, valid = whole(write(tmp_path / "a.tif", picture))
    assert np.array_equal(rgb, picture.transpose(1, 2, 0))
    assert valid.all()


def test_declared_colours_go_before_order(tmp_path):
    blue, green, red = picture = painted()
    order = (ColorInterp.blue, ColorInterp.green, ColorInterp.red)
    rgb, _ = whole(write(tmp_path / "a.tif", picture, colours=order))
    assert np.array_equal(rgb, np.stack([red, green, blue], axis=-1))


def test_of_many_bands_the_first_three_or_those_asked_for(tmp_path):
    data = np.concatenate([painted(seed=0), painted(seed=1)])
    path = write(tmp_path / "a.tif", data, photometric="minisblack")
    assert np.array_equal(whole(path)[0], data[:3].transpose(1, 2, 0))
    assert np.array_equal(whole(path, (5, 4, 2))[0], data[[4, 3, 1]].transpose(1, 2, 0))


@pytest.mark.parametrize("bands", [(1, 2), (0,), (1, 2, 9)])
def test_bands_that_cannot_be_used(tmp_path, bands):
    path = write(tmp_path / "a.tif", painted())
    with pytest.raises(RasterError, match="cannot be used") as caught:
        open_raster(path, bands)
    assert "three" in caught.value.hint


def test_one_band_is_grey(tmp_path):
    rgb, _ = whole(write(tmp_path / "a.tif", shades(np.uint8, 0, 255)))
    assert np.array_equal(rgb[..., 0], rgb[..., 2])


def test_two_bands_show_the_first(tmp_path):
    data = np.concatenate([shades(np.uint8, 0, 255), shades(np.uint8, 255, 0)])
    assert np.array_equal(whole(write(tmp_path / "a.tif", data))[0][..., 1], data[0])


def test_a_palette_becomes_its_colours(tmp_path):
    data = np.repeat([[[0, 1, 2, 3]]], 4, axis=1).astype(np.uint8).repeat(16, 1).repeat(16, 2)
    palette = {0: (0, 0, 0, 255), 1: (220, 30, 30, 255), 2: (30, 150, 30, 255), 3: (30, 60, 220, 255)}
    rgb, _ = whole(write(tmp_path / "a.tif", data, palette=palette))
    assert rgb[0, ::16].tolist() == [list(palette[i][:3]) for i in range(4)]


# ---- stretch ----


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint16", 200, 3000), ("int16", -500, 900), ("float32", -0.2, 0.4), ("float64", 1e5, 1.2e5)],
)
def test_the_range_that_matters_fills_eight_bits(tmp_path, dtype, low, high):
    rgb, valid = whole(write(tmp_path / "a.tif", shades(dtype, low, high)))
    assert rgb[0, 0, 0] == 0
    assert rgb[0, -1, 0] == 255
    assert abs(int(rgb[0, 32, 0]) - 128) < 8
    assert valid.all()


def test_a_dim_eight_bit_band_is_stretched(tmp_path):
    rgb, _ = whole(write(tmp_path / "a.tif", shades(np.uint8, 10, 40)))
    assert (rgb.min(), rgb.max()) == (0, 255)


def test_eight_bit_bands_are_stretched_together_or_not_at_all(tmp_path):
    data = np.concatenate([shades(np.uint8, 0, 200), shades(np.uint8, 90, 110, bands=2)])
    assert np.array_equal(whole(write(tmp_path / "a.tif", data))[0], data.transpose(1, 2, 0))


def test_outliers_do_not_darken_the_rest(tmp_path):
    data = shades(np.float32, 0, 1).copy()
    data[0, 0, 0] = 1e6
    assert whole(write(tmp_path / "a.tif", data))[0][1:].mean() > 100


def test_radar_shows_its_brightness(tmp_path):
    data = shades(np.float32, 1, 100) * np.exp(1j * np.linspace(0, 6, 64))[:, None]
    rgb, _ = whole(write(tmp_path / "a.tif", data.astype(np.complex64)))
    assert np.array_equal(rgb[0], rgb[40])
    assert (np.diff(rgb[0, :, 0].astype(int)) >= 0).all()


def test_one_value_everywhere_is_no_error(tmp_path):
    _, valid = whole(write(tmp_path / "a.tif", np.full((1, 64, 64), 7, np.uint16)))
    assert valid.all()


# ---- gaps ----


def half(value, dtype, nodata):
    data = shades(dtype, 1, 200, bands=3).copy()
    data[:, :, :32] = value
    return data, {"nodata": nodata}


@pytest.mark.parametrize(
    ("value", "dtype", "nodata"),
    [
        (0, "uint8", 0),
        (-32768, "int16", -32768),
        (math.nan, "float32", math.nan),
        (math.nan, "float32", None),
        (math.inf, "float64", None),
        (-9999, "float32", -9999),
    ],
)
def test_nodata_and_nan_are_gaps(tmp_path, value, dtype, nodata):
    data, kind = half(value, dtype, nodata)
    rgb, valid = whole(write(tmp_path / "a.tif", data, **kind))
    assert not valid[:, :32].any()
    assert valid[:, 32:].all()
    assert not rgb[:, :32].any()


def test_black_in_one_band_only_is_no_gap(tmp_path):
    data = painted().clip(1)
    data[0] = 0
    assert whole(write(tmp_path / "a.tif", data, nodata=0))[1].all()


def test_alpha_is_a_gap_and_no_colour(tmp_path):
    data = np.concatenate([painted(), np.zeros((1, 256, 256), np.uint8)])
    data[3, 128:] = 255
    _, valid = whole(write(tmp_path / "a.tif", data, photometric="RGB", alpha="yes"))
    assert not valid[:128].any()
    assert valid[128:].all()


@pytest.mark.parametrize("inside", [True, False])
def test_masks_inside_and_beside_the_file(tmp_path, inside):
    mask = np.zeros((256, 256), np.uint8)
    mask[:, 64:] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside):
        path = write(tmp_path / "a.tif", painted(), mask=mask)
    assert (tmp_path / "a.tif.msk").exists() is not inside
    _, valid = whole(path)
    assert not valid[:, :64].any()
    assert valid[:, 64:].all()


def test_a_raster_of_nothing_but_gaps(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((1, 64, 64), np.uint8), nodata=0)
    with open_raster(path) as raster, pytest.raises(RasterError, match="no valid pixel"):
        raster.stretch()


# ---- where it lies ----


def metres(path):
    with open_raster(path) as raster:
        return raster.pixel_m


def test_metres_of_a_projected_raster(tmp_path):
    assert metres(write(tmp_path / "a.tif", painted())) == pytest.approx((0.5, 0.5))


def test_feet_are_no_metres(tmp_path):
    path = write(tmp_path / "a.tif", painted(), crs="EPSG:2263", transform=Affine(1, 0, 1e6, 0, -1, 2e5))
    assert metres(path) == pytest.approx((0.3048, 0.3048), rel=1e-4)


def test_web_mercator_shrinks_away_from_the_equator(tmp_path):
    there = Affine(1, 0, 0, 0, -1, 8_399_738 + 128)  # 60 degrees north
    assert metres(write(tmp_path / "a.tif", painted(), crs="EPSG:3857", transform=there)) == pytest.approx(
        (0.5, 0.5), rel=1e-3
    )


def test_degrees_grow_narrower_to_the_north(tmp_path):
    there = Affine(1e-5, 0, 10, 0, -1e-5, 60.00128)
    east, north = metres(write(tmp_path / "a.tif", painted(), crs="EPSG:4326", transform=there))
    assert north == pytest.approx(1.113, rel=1e-3)
    assert east == pytest.approx(north / 2, rel=1e-3)


def test_the_moon_is_smaller(tmp_path):
    there = Affine(1e-4, 0, 0, 0, -1e-4, 0.0128)
    _, north = metres(write(tmp_path / "a.tif", painted(), crs=MOON, transform=there))
    assert north == pytest.approx(math.radians(1e-4) * 1_737_400, rel=1e-6)


def test_no_crs_is_said(tmp_path):
    with open_raster(write(tmp_path / "a.tif", painted(), crs=None)) as raster:
        assert raster.crs is None
        assert raster.gsd_m is None
        assert raster.badges == ["no CRS"]


def test_rotation_is_kept_and_said(tmp_path):
    turned = Affine(0.4, 0.3, 500_000, 0.3, -0.4, 5_000_000)
    with open_raster(write(tmp_path / "a.tif", painted(), transform=turned)) as raster:
        assert raster.transform == tuple(turned)[:6]
        assert raster.gsd_m == pytest.approx(0.5)
        assert raster.badges == ["rotated"]


def test_ground_control_points_become_a_transform(tmp_path):
    points = [
        GroundControlPoint(row, col, 500_000 + 2 * col, 5_000_000 - 2 * row)
        for row, col in ((0, 0), (0, 256), (256, 0), (256, 256))
    ]
    path = write(tmp_path / "a.tif", painted(), transform=None, gcps=points)
    with open_raster(path) as raster:
        assert raster.transform == pytest.approx((2, 0, 500_000, 0, -2, 5_000_000))
        assert raster.crs.startswith("PROJCRS")
        assert raster.badges == ["placed by ground control points"]


# ---- reading ----


def test_what_is_not_there_or_no_raster(tmp_path):
    with pytest.raises(RasterError, match="There is no file"):
        open_raster(tmp_path / "absent.tif")
    for name, content in (("text.tif", b"no raster"), ("empty.tif", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RasterError, match="not a raster") as caught:
            open_raster(tmp_path / name)
        assert caught.value.hint


def test_tiles_of_any_size_for_thumbnails(tmp_path):
    with open_raster(write(tmp_path / "a.tif", painted())) as raster:
        places = [Window(0, 0, 32, 32), Window(64, 32, 128, 128)]
        tiles = raster.read_tiles(places, 64)
        first = raster.rgb(places[0], raster.stretch())[0]
    assert tiles.shape == (2, 64, 64, 3)
    assert np.abs(tiles[0].mean((0, 1)) - first.mean((0, 1))).max() < 2


def test_coarse_reads_go_through_overviews(tmp_path):
    path = write(tmp_path / "a.tif", painted(512, 512))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.average)
        expected = file.read(out_shape=(3, 128, 128)).transpose(1, 2, 0)
    with open_raster(path) as raster:
        tile = raster.read_tiles([Window(0, 0, 512, 512)], 128)[0]
    assert np.array_equal(tile, expected)


def test_a_damaged_block_does_not_spoil_the_stretch(tmp_path):
    path = write_tiled(tmp_path / "a.tif", shades(np.uint16, 0, 1000).repeat(4, 1).repeat(4, 2))
    spoil_block(path, 1, 1)
    with open_raster(path) as raster:
        ((low, high),) = raster.stretch()
    assert low < 100
    assert high > 900
