"""The engine as seen from QGIS: its environment, its process, its client and its tasks."""
