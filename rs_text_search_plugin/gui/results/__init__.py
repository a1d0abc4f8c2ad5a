"""Results in the dock: gallery, score slider, export."""
