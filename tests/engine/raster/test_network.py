"""A raster that would contact another machine is refused before anything is read, unless it is allowed."""

from __future__ import annotations

import socket
import threading

import pytest

from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.engine.index.planner import IndexOptions, index, index_raster
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.output.thumbnails import thumbnails
from rs_text_search_plugin.engine.raster.network import address_in, is_followed, remember
from rs_text_search_plugin.engine.raster.reader import open_indexed, open_raster
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write

VRT = """<VRTDataset rasterXSize="64" rasterYSize="64">
<SRS>GEOGCS["x"]</SRS><Metadata><MDI key="SOFTWARE">https://example.org/about</MDI></Metadata>
<VRTRasterBand dataType="Byte" band="1"><{kind}><SourceFilename relativeToVRT="1">{name}</SourceFilename>
<SourceBand>1</SourceBand></{kind}></VRTRasterBand></VRTDataset>"""
WMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>http://{address}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
<DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>64</UpperLeftY><LowerRightX>64</LowerRightX>
<LowerRightY>0</LowerRightY><SizeX>64</SizeX><SizeY>64</SizeY><TileLevel>0</TileLevel></DataWindow>
<BlockSizeX>64</BlockSizeX><BlockSizeY>64</BlockSizeY><BandsCount>3</BandsCount><Timeout>2</Timeout></GDAL_WMS>"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server():
    """An address on this machine, and the list of those who came."""
    came, listening = [], socket.create_server(("127.0.0.1", 0))

    def wait():
        while True:
            try:
                connection, where = listening.accept()
            except OSError:
                return
            came.append(where)
            connection.close()

    threading.Thread(target=wait, daemon=True).start()
    yield f"127.0.0.1:{listening.getsockname()[1]}", came
    listening.close()


def vrt(path, name, kind="SimpleSource"):
    path.write_text(VRT.format(name=name, kind=kind), "utf-8")
    return path


def hostile(folder, address):
    """Every way to an address that a file can take."""
    (folder / "wms.tif").write_text(WMS.format(address=address))
    (folder / "late.tif").write_text("\n \n" + WMS.format(address=address))
    vrt(folder / "curl.vrt", f"/vsicurl/http://{address}/a.tif")
    vrt(folder / "url.vrt", f"http://{address}/a.tif", "ComplexSource")
    vrt(folder / "inner.vrt", WMS.format(address=address).replace("<", "&lt;").replace(">", "&gt;"))
    vrt(folder / "outer.vrt", "curl.vrt")
    vrt(folder / "disguised.tif", "wms.tif")
    vrt(folder / "named.vrt", f"WMS:http://{address}/wms?layers=a")


NAMES = [
    "wms.tif",
    "late.tif",
    "curl.vrt",
    "url.vrt",
    "inner.vrt",
    "outer.vrt",
    "disguised.tif",
    "named.vrt",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_names_an_address_is_refused_and_nobody_is_contacted(tmp_path, server, name):
    address, came = server
    hostile(tmp_path, address)
    with pytest.raises(RasterError, match="another machine") as caught:
        open_raster(tmp_path / name)
    assert address in caught.value.message
    assert "--allow-network" in caught.value.hint
    assert came == []


def test_allowed_it_is_contacted(tmp_path, server):
    address, came = server
    hostile(tmp_path, address)
    with open_raster(tmp_path / "wms.tif", allow_network=True) as raster, pytest.raises(RasterError):
        raster.stretch()
    assert came


def test_a_chain_too_deep_to_follow_still_reaches_nobody(tmp_path, server):
    """GDAL itself is told to reach nothing when no address was found."""
    address, came = server
    vrt(tmp_path / "0.vrt", f"/vsicurl/http://{address}/a.tif")
    for i in range(1, 10):
        vrt(tmp_path / f"{i}.vrt", f"{i - 1}.vrt")
    with open_raster(tmp_path / "9.vrt") as raster, pytest.raises(RasterError):
        raster.stretch()
    assert came == []


def test_local_descriptions_and_addresses_in_metadata_are_no_reason(tmp_path):
    write(tmp_path / "a.tif", painted(64, 64)[:1])
    with open_raster(vrt(tmp_path / "a.vrt", "a.tif")) as raster:
        assert raster.stretch()
    assert address_in(str(write(tmp_path / "b.tif", painted(64, 64)))) is None
    assert address_in(str(tmp_path / "absent.tif")) is None


def test_a_description_of_itself_ends(tmp_path):
    assert address_in(str(vrt(tmp_path / "a.vrt", "a.vrt"))) is None


@pytest.mark.parametrize(
    "source",
    [
        "https://example.org/a.tif",
        "/vsicurl/https://example.org/a.tif",
        "/vsis3/bucket/a.tif",
        "WMS:https://example.org",
        "<GDAL_WMS><Service/></GDAL_WMS>",
        'NETCDF:"/vsicurl/https://example.org/a.nc":x',
    ],
)
def test_an_address_in_an_index_is_followed_only_by_who_indexed_from_it(source):
    with pytest.raises(RasterError, match="not indexed from here"):
        open_indexed(source, [1])
    remember(source)
    assert is_followed(source)


@pytest.mark.parametrize("source", ["/data/a.tif", "GPKG:/data/map.gpkg:photo", r"C:\images\a.tif"])
def test_paths_of_this_machine_are_followed(source):
    assert is_followed(source)


def test_who_indexed_with_the_network_allowed_gets_thumbnails_and_others_do_not(tmp_path, monkeypatch):
    """The description is a local file that names an address; reading is replaced, as there is no server."""
    path = write(tmp_path / "a.tif", painted(64, 64))
    monkeypatch.setattr(
        "rs_text_search_plugin.engine.raster.reader.address_in", lambda source: "http://example.org"
    )
    options = IndexOptions(tile_px=32)
    with pytest.raises(RasterError, match="another machine"):
        index(str(path), ColourEncoder(size=32), options)
    with open_raster(path, allow_network=True) as raster:
        report = index_raster(raster, ColourEncoder(size=32), options, lambda *_: None, lambda: False)
    opened = open_index(report.index)
    assert len(thumbnails(opened, [0], 32, tmp_path)) == 1
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path / "another user"))
    with pytest.raises(RasterError, match="another machine"):
        thumbnails(opened, [1], 32, tmp_path)


def test_another_address_in_the_same_file_is_asked_for_again(tmp_path):
    path = vrt(tmp_path / "a.vrt", "/vsicurl/http://one.example/a.tif")
    remember(str(path))
    vrt(path, "/vsicurl/http://two.example/a.tif")
    with pytest.raises(RasterError, match=r"two\.example"):
        open_raster(path)
