"""An index of one raster: its grid of tiles, how it is planned, written, stored and checked."""
