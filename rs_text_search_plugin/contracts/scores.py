"""Score bands, the same in the engine and in QGIS. A score is calibrated, 0-100."""

STRONG = 80
"""From this score on a match is called strong."""
POSSIBLE = 50
"""From this score on a match is called possible; below it nothing is claimed."""
