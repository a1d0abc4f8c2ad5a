"""Footprints to every format, read back by GDAL; nothing of an old file is lost when writing fails."""

import json
import os
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from pyarrow import parquet

from rs_text_search_plugin.contracts.errors import ExportError
from rs_text_search_plugin.contracts.messages import Match, Window
from rs_text_search_plugin.engine.output.export import DRIVERS, Found, export, export_index
from tests.engine.synthetic import SyntheticIndex, checkerless

ROTATED = (0.4, 0.3, 500_000.0, 0.3, -0.4, 5_000_000.0)
FIELDS = ["rank", "score", "query", "model", "raster", "tile_id", "region"]
MOON = (
    'GEOGCRS["Moon",DATUM["Moon",ELLIPSOID["Moon",1737400,0,LENGTHUNIT["metre",1]]],'
    'PRIMEM["Reference meridian",0],CS[ellipsoidal,2],AXIS["latitude",north],AXIS["longitude",east],'
    'ANGLEUNIT["degree",0.0174532925199433]]'
)


def index_of(folder="/nowhere/scene.tif.rsidx", **kwargs):
    return SyntheticIndex(np.ones((12, 4), np.float32), checkerless(3, 4), folder=Path(folder), **kwargs)


def matches_of(index, positions=(0, 5, 11)):
    corners = index.corners(np.array(positions, dtype=int))
    matches = []
    for n, (i, corner) in enumerate(zip(positions, corners, strict=True), start=1):
        row, col = divmod(int(i), 4)
        window = Window(col * 256, row * 256, 256, 256)
        ring = tuple((float(x), float(y)) for x, y in corner)
        matches.append(Match(str(index.folder), int(i), row, col, 90.5 - i, n, 1 + n // 2, window, ring))
    return matches


def write(path, index=None, query="storage tanks", **kwargs):
    index = index or index_of()
    return export(path, Found(matches_of(index), {str(index.folder): index}, query, "compact"), **kwargs)


def read(path):
    """Field values and polygons of a vector file."""
    meta, _, geometry, values = pyogrio.raw.read(path)
    return dict(zip(meta["fields"], values, strict=True)), shapely.from_wkb(geometry), meta


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".fgb"])
def test_formats_hold_the_rotated_footprints_and_all_fields(tmp_path, suffix):
    index = index_of(transform=ROTATED)
    report = write(tmp_path / f"tanks{suffix}", index)
    fields, shapes, meta = read(tmp_path / f"tanks{suffix}")
    order = np.argsort(fields["rank"])
    assert list(fields) == FIELDS
    assert fields["rank"][order].tolist() == [1, 2, 3]
    assert fields["score"][order].tolist() == [90.5, 85.5, 79.5]
    assert fields["tile_id"][order].tolist() == [0, 5, 11]
    assert fields["region"][order].tolist() == [1, 2, 2]
    assert set(fields["query"]) == {"storage tanks"}
    assert set(fields["model"]) == {"compact"}
    assert set(fields["raster"]) == {"scene.tif"}
    assert meta["crs"] == "EPSG:32633"
    expected = shapely.polygons(index.corners(np.array([0, 5, 11])))
    assert shapely.equals(shapes[order], expected).all()
    assert report.features == 3
    assert str(tmp_path / f"tanks{suffix}") in report.files
    assert all(Path(file).is_file() for file in report.files)
    assert sorted(map(str, tmp_path.iterdir())) == list(report.files)


def test_geojson_is_wgs84_as_its_standard_wants(tmp_path):
    report = write(tmp_path / "a.geojson")
    text = json.loads((tmp_path / "a.geojson").read_text())
    ring = text["features"][0]["geometry"]["coordinates"][0]
    assert "crs" not in text
    assert np.allclose(ring[0], [15, 45.1535], atol=0.01)
    assert any("WGS 84" in warning for warning in report.warnings)


def test_geojson_is_split_at_the_antimeridian(tmp_path):
    index = index_of(crs="EPSG:32601", transform=(50, 0, 303_000 - 6_400, 0, -50, 6_000_000))
    write(tmp_path / "a.geojson", index)
    _, shapes, _ = read(tmp_path / "a.geojson")
    assert all(shape.bounds[2] - shape.bounds[0] < 2 for shape in shapely.get_parts(shapes))
    assert (shapely.bounds(shapes)[:, 2] - shapely.bounds(shapes)[:, 0] > 300).any()


def test_geoparquet_names_its_crs_and_geometry(tmp_path):
    write(tmp_path / "a.parquet")
    table = parquet.read_table(tmp_path / "a.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert table.column_names == [*FIELDS, "geometry"]
    assert geo["columns"]["geometry"]["crs"]["id"] == {"authority": "EPSG", "code": 32633}
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert shapely.equals(shapes, shapely.polygons(index_of().corners(np.array([0, 5, 11])))).all()


def test_a_shapefile_has_short_names_prj_cpg_and_warns_of_cut_text(tmp_path):
    query = "ä" * 200
    report = write(tmp_path / "a.shp", query=query)
    fields, _, _ = read(tmp_path / "a.shp")
    assert {Path(file).suffix for file in report.files} == {".shp", ".shx", ".dbf", ".prj", ".cpg"}
    assert max(map(len, fields)) <= 10
    assert fields["query"][0] == "ä" * 127
    assert any("query" in warning and "254" in warning for warning in report.warnings)
    assert (tmp_path / "a.prj").read_text().startswith('PROJCS["WGS_1984_UTM_Zone_33N"')
    assert (tmp_path / "a.cpg").read_text().strip() == "UTF-8"


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".geojson", ".fgb"])
def test_other_formats_keep_long_text_whole(tmp_path, suffix):
    query = "ä storage " * 60
    report = write(tmp_path / f"a{suffix}", query=query)
    found = (
        parquet.read_table(tmp_path / "a.parquet")["query"][0].as_py()
        if suffix == ".parquet"
        else read(tmp_path / f"a{suffix}")[0]["query"][0]
    )
    assert found == query
    assert not any("cut" in warning for warning in report.warnings)


def test_tiles_of_another_crs_are_brought_to_the_first_with_dense_edges(tmp_path):
    here = index_of("/a.rsidx")
    there = index_of(
        "/b.rsidx", crs="EPSG:32632", transform=(0.5, 0, 970_000, 0, -0.5, 5_010_000), source="C:\\x\\b.tif"
    )
    rows = matches_of(here) + matches_of(there)
    export(tmp_path / "a.gpkg", Found(rows, {"/a.rsidx": here, "/b.rsidx": there}, "q", "compact"))
    fields, shapes, meta = read(tmp_path / "a.gpkg")
    assert meta["crs"] == "EPSG:32633"
    moved = shapes[fields["raster"] == "b.tif"]
    assert (shapely.get_num_coordinates(shapes) > 20).sum() == 3
    assert shapely.union_all(moved).distance(shapely.union_all(shapes[:3])) < 20_000


def test_the_person_chooses_a_crs(tmp_path):
    write(tmp_path / "a.gpkg", crs="EPSG:4326")
    _, shapes, meta = read(tmp_path / "a.gpkg")
    assert meta["crs"] == "EPSG:4326"
    assert np.allclose(shapes[0].bounds[:2], [15, 45.15], atol=0.02)
    with pytest.raises(ExportError, match="CRS"):
        write(tmp_path / "b.gpkg", crs="EPSG:1")


@pytest.mark.parametrize("suffix", list(DRIVERS))
def test_a_raster_without_crs_keeps_its_coordinates_and_says_so(tmp_path, suffix):
    (tmp_path / "a.prj").write_text("left over")
    index = index_of(crs=None, transform=(1, 0, 0, 0, 1, 0))
    report = write(tmp_path / f"a{suffix}", index)
    assert any("no CRS" in warning for warning in report.warnings)
    assert report.features == 3
    if suffix == ".shp":
        assert not (tmp_path / "a.prj").exists()
    if suffix != ".parquet":
        _, shapes, meta = read(tmp_path / f"a{suffix}")
        assert meta["crs"] is None or suffix == ".geojson"  # GDAL takes any GeoJSON for WGS 84
        assert shapely.bounds(shapes).max() == 1024


def test_tiles_without_crs_are_left_out_of_a_file_that_has_one(tmp_path):
    here, nowhere = index_of("/a.rsidx"), index_of("/b.rsidx", crs=None)
    rows = matches_of(nowhere) + matches_of(here)
    report = export(tmp_path / "a.gpkg", Found(rows, {"/b.rsidx": nowhere, "/a.rsidx": here}, "q", "m"))
    assert report.features == 3
    assert any("left out" in warning for warning in report.warnings)


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".fgb", ".parquet", ".geojson"])
def test_other_bodies_than_the_earth(tmp_path, suffix):
    index = index_of(crs=MOON, transform=(0.01, 0, 10, 0, -0.01, 20))
    report = write(tmp_path / f"a{suffix}", index)
    assert report.features == 3
    if suffix != ".parquet":
        _, shapes, _ = read(tmp_path / f"a{suffix}")
        assert np.allclose(shapely.bounds(shapes)[:, 0].min(), 10)


@pytest.mark.parametrize("suffix", list(DRIVERS))
def test_no_matches_make_an_empty_layer(tmp_path, suffix):
    index = index_of()
    report = export(tmp_path / f"a{suffix}", Found([], {str(index.folder): index}, "q", "compact"))
    assert report.features == 0
    assert (tmp_path / f"a{suffix}").is_file()
    if suffix not in (".parquet", ".geojson"):
        assert read(tmp_path / f"a{suffix}")[2]["crs"] == "EPSG:32633"


def test_a_whole_index_can_be_written(tmp_path):
    report = export_index(tmp_path / "tiles.gpkg", index_of())
    fields, _, _ = read(tmp_path / "tiles.gpkg")
    assert report.features == 12
    assert list(fields) == ["tile_id", "row", "col", "model", "raster"]
    assert fields["row"][5] == 1
    assert fields["col"][5] == 1


def test_writing_again_replaces_the_file(tmp_path):
    write(tmp_path / "a.shp", query="one")
    (tmp_path / "a.qix").write_text("an index of the old shapes")
    write(tmp_path / "a.shp", query="two")
    assert set(read(tmp_path / "a.shp")[0]["query"]) == {"two"}
    assert not (tmp_path / "a.qix").exists()


def test_unknown_formats_and_folders_are_said(tmp_path):
    with pytest.raises(ExportError, match="no format") as error:
        write(tmp_path / "a.kml")
    assert ".gpkg" in error.value.hint
    with pytest.raises(ExportError, match="cannot be written"):
        write(tmp_path / "missing" / "a.gpkg")


@pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write(tmp_path / "a.gpkg")
    before = (tmp_path / "a.gpkg").read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyogrio.raw.write", full)
    with pytest.raises(ExportError, match="No space left"):
        write(tmp_path / "a.gpkg")
    assert (tmp_path / "a.gpkg").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "a.gpkg"]
