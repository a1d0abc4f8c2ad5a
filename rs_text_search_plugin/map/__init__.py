"""Everything on the map canvas: result layers, styles, map actions, geometry of tiles."""
