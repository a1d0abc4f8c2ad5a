"""The process that QGIS talks to: its loop, its open models and indexes, its operations."""
