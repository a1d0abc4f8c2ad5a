"""The list of rasters and everything about indexing them."""
