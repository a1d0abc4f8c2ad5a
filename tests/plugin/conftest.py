"""A project with a raster, and the search panel over a fake engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from osgeo import gdal, osr
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer

from rs_text_search_plugin.engine_process.client import EngineClient
from rs_text_search_plugin.gui.search_dock import SearchDock

FAKE_ENGINE = str(Path(__file__).parent / "fake_engine.py")


def write_raster(path: Path, bands: int = 3, epsg: int = 32632) -> Path:
    """A raster where the fake engine believes every raster to be: 1000 x 1000 m from (500000, 5600000)."""
    image = gdal.GetDriverByName("GTiff").Create(str(path), 100, 100, bands)
    image.SetGeoTransform((500000, 10, 0, 5600000, 0, -10))
    system = osr.SpatialReference()
    system.ImportFromEPSG(epsg)
    image.SetProjection(system.ExportToWkt())
    for band in range(1, bands + 1):
        image.GetRasterBand(band).Fill(60 * band % 255)
    image.FlushCache()
    return path


@pytest.fixture
def add_raster(tmp_path, qgis_new_project):
    """Adds a raster layer of that name to the project; `indexed` as if it had been indexed before."""

    def add(name: str = "scene", indexed: bool = False, bands: int = 3) -> QgsRasterLayer:
        path = write_raster(tmp_path / f"{name}.tif", bands)
        if indexed:
            folder = Path(f"{path}.rsidx")
            folder.mkdir()
            (folder / "meta.json").write_text("{}")
        layer = QgsRasterLayer(str(path), name)
        QgsProject.instance().addMapLayer(layer)
        return layer

    return add


@pytest.fixture
def canvas(qgis_canvas):
    qgis_canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    qgis_canvas.resize(400, 400)
    return qgis_canvas


@pytest.fixture
def panel(qgis_iface, canvas, qtbot, monkeypatch, tmp_path):
    """The dock, shown, with a fake engine that has answered."""
    monkeypatch.setenv("RS_TEXT_SEARCH_PYTHON", FAKE_ENGINE)
    qgis_iface.messageBar().clear_messages()
    engine = EngineClient()
    qgis_iface.mainWindow().show()
    dock = SearchDock(qgis_iface, engine)
    with qtbot.waitSignal(engine.ready, timeout=10000):
        dock.show()
    yield dock
    dock.close_down()
    dock.layers.clear()
    engine.stop()
    dock.hide()
    dock.deleteLater()
