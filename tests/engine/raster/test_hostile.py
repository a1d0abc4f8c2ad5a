"""Rasters that are odd, broken or made to do harm: each is read right, or refused in two clear lines."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio
from rasterio._err import CPLE_AppDefinedError
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.contracts.messages import Window
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.raster.reader import Raster, open_raster
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, spoil_block, write, write_tiled

ISG = """begin_of_head ================
model name : X
lat min    =   0
lat max    =   80
lon min    =   10.0
lon max    =   20.0
delta lat  =   {step}
delta lon  =   1.0
nrows      =   {rows}
ncols      =   10
nodata     =   -9999.0
ISG format =    1.0
end_of_head ==================
1 2 3 4 5 6 7 8 9 10
"""
LARGE_VRT = """<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><VRTRasterBand dataType="Byte" band="1">
<SimpleSource><SourceFilename relativeToVRT="1">s.tif</SourceFilename><SourceBand>1</SourceBand>
<SrcRect xOff="0" yOff="0" xSize="64" ySize="64"/>
<DstRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/></SimpleSource></VRTRasterBand></VRTDataset>"""
PIXEL_FUNCTION = """<VRTDataset rasterXSize="256" rasterYSize="256">
<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand">
<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>
<PixelFunctionCode><![CDATA[
def f(in_ar, out_ar, *args, **kwargs):
    out_ar[:] = in_ar[0]
]]></PixelFunctionCode><SimpleSource><SourceFilename relativeToVRT="1">s.tif</SourceFilename>
<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""
LIMITED = """
import resource, sys
from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from tests.engine.fakes import ColourEncoder
encoder = ColourEncoder(size=32)
index(sys.argv[1], encoder, IndexOptions(tile_px=32))  # everything is imported now
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000_000,) * 2)
for name in sys.argv[2:]:
    try:
        print(index(name, encoder, IndexOptions(tile_px=64)).tiles, "tiles")
    except SearchError as error:
        print(error.message, "|", error.hint)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits are Linux's")
def test_small_files_that_describe_vast_rasters_do_not_take_all_memory(tmp_path):
    """Within 1 GB more than an ordinary index takes."""
    usual = write(tmp_path / "s.tif", painted(64, 64)[:1])
    isg, rows = tmp_path / "a.isg", tmp_path / "rows.vrt"
    isg.write_text(ISG.format(rows=1_500_000_000, step=80 / 1_500_000_000))
    rows.write_text(LARGE_VRT.format(width=2_147_483_647, height=64))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), usual, isg, rows],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    said = done.stdout.splitlines()
    assert "not a raster GDAL can read" in said[0]
    assert "would make 33,554,432 tiles" in said[1]
    assert all(line.split("|")[1].strip() for line in said)


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits are Linux's")
def test_the_stretch_of_a_vast_mosaic_is_sampled_not_listed(tmp_path):
    usual = write(tmp_path / "s.tif", painted(64, 64)[:1])
    huge = tmp_path / "huge.vrt"
    huge.write_text(LARGE_VRT.format(width=2_700_000, height=2_200_000))
    code = LIMITED.rpartition("for name")[0] + (
        "from rs_text_search_plugin.engine.raster.reader import Raster, open_raster\n"
        "with open_raster(sys.argv[2]) as raster: print(raster.stretch())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, usual, huge], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith("((")


def test_too_many_tiles_are_counted_and_refused(tmp_path):
    write(tmp_path / "s.tif", painted(64, 64)[:1])
    huge = tmp_path / "huge.vrt"
    huge.write_text(LARGE_VRT.format(width=2_700_000, height=2_200_000))
    with pytest.raises(RasterError, match=r"5,800,\d{3},\d{3} tiles|would make") as caught:
        index(str(huge), ColourEncoder(size=32), IndexOptions(tile_px=32))
    assert "larger tiles" in caught.value.hint


def test_a_sparse_raster_is_sampled_where_it_holds_something(tmp_path, monkeypatch):
    """Also when it has too many blocks to list them."""
    monkeypatch.setattr("rs_text_search_plugin.engine.raster.sampling.LISTED_BLOCKS", 100)
    path = tmp_path / "sparse.tif"
    kind = {"driver": "GTiff", "count": 1, "dtype": "uint16", "tiled": True, "sparse_ok": True}
    with rasterio.open(path, "w", width=16_384, height=16_384, blockxsize=64, blockysize=64, **kind) as file:
        file.write(np.full((1, 64, 64), 700, np.uint16), window=rasterio.windows.Window(6400, 12_800, 64, 64))
    with open_raster(path) as raster:
        assert raster.stretch() == ((700.0, 701.0),)


def test_a_window_that_failed_once_never_becomes_black_ground(tmp_path):
    """GDAL gives zeros for a pixel function that it refused a moment ago."""
    write(tmp_path / "s.tif", painted(256, 256)[:1])
    path = tmp_path / "function.vrt"
    path.write_text(PIXEL_FUNCTION)
    with open_raster(path) as raster:
        for _ in range(3):
            with pytest.raises(RasterError, match="Python code"):
                raster.raw(Window(0, 0, 128, 128))
    with pytest.raises(RasterError) as caught:
        index(str(path), ColourEncoder(size=32), IndexOptions(tile_px=32))
    assert "Python code" in caught.value.message


def test_what_gdal_says_itself_is_shown(tmp_path):
    path = write_tiled(tmp_path / "a.tif", painted(256, 256))
    spoil_block(path, 0, 0)
    with open_raster(path) as raster, pytest.raises(RasterError) as caught:
        raster.raw(Window(0, 0, 64, 64))
    assert "previous exception" not in caught.value.message
    assert "band 1: IReadBlock failed at X offset 0, Y offset 0" in caught.value.message


def test_a_palette_of_sixteen_bits(tmp_path):
    data = np.zeros((1, 64, 64), np.uint16)
    data[0, :32] = 300
    data[0, 32:] = 65_535
    path = write(tmp_path / "a.tif", data, colours=(ColorInterp.palette,), photometric="palette")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {300: (200, 10, 20, 255), 65_535: (1, 2, 3, 255)})
    with open_raster(path) as raster:
        image = raster.rgb(Window(0, 0, 64, 64), raster.stretch())[0]
    assert image[0, 0].tolist() == [200, 10, 20]
    assert image[-1, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "transform",
    [
        Affine(1e-300, 0, 5, 0, -1, 5),
        Affine(1e200, 0, 5, 0, -1, 5),
        Affine(0, 0, 5, 0, 0, 5),
        Affine(1, 0, 0, 0, 0, 0),
        Affine(0, 0, 0, 0, -1, 0),
        Affine(1, 2, 0, 2, 4, 0),
    ],
)
def test_a_georeference_in_which_pixels_have_no_size(tmp_path, transform):
    path = write(tmp_path / "a.tif", painted(64, 64), transform=transform)
    with rasterio.open(path) as file:
        if file.transform != transform:
            pytest.skip("this format does not keep it")
    with pytest.raises(RasterError, match="no size") as caught:
        open_raster(path)
    assert "world file" in caught.value.hint


def test_a_world_file_of_zeros(tmp_path):
    with rasterio.open(
        tmp_path / "a.pgm", "w", driver="PNM", width=64, height=64, count=1, dtype="uint8"
    ) as f:
        f.write(painted(64, 64)[:1])
    (tmp_path / "a.pgw").write_text("0\n0\n0\n0\n0\n0\n")
    (tmp_path / "a.wld").write_text("0\n0\n0\n0\n0\n0\n")
    with pytest.raises(RasterError, match="no size"):
        open_raster(tmp_path / "a.pgm")


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
@pytest.mark.parametrize("side", [256, 2304])
def test_complex_bands_show_their_brightness(tmp_path, dtype, side):
    values = (painted(side, side)[:1].astype(np.float32) * np.exp(0.7j)).astype(np.complex64)
    kind = {"driver": "GTiff", "count": 1, "dtype": dtype, "width": side, "height": side}
    with rasterio.open(tmp_path / "a.tif", "w", **kind) as file:
        file.write(values)
    report = index(str(tmp_path / "a.tif"), ColourEncoder(size=32), IndexOptions(tile_px=side // 4))
    assert report.tiles == 16
    low, high = open_index(report.index).meta.stretch[0]
    assert 0 <= low < high <= 256


def test_what_gdal_raises_itself_while_a_file_is_opened_is_told(tmp_path, monkeypatch):
    """As for a GeoTIFF whose table of keys is damaged (seed 885 of tests/bench/faults.py)."""

    def damaged(self, bands):
        raise CPLE_AppDefinedError(3, 1, "Key 3072 of unknown type.")

    monkeypatch.setattr(Raster, "_choose_bands", damaged)
    with pytest.raises(RasterError, match="Key 3072") as caught:
        open_raster(write(tmp_path / "a.tif", painted(64, 64)))
    assert caught.value.hint
