"""The engine: rasters in, matches out. Never imports qgis or Qt."""
