"""Rasters: opening, georeference, CRS, and reading pixels in strips."""
