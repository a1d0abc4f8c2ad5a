"""The engine room: rasters in, matches out. Never imports qgis or Qt."""
