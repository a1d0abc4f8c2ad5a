"""Search your own imagery with words, inside QGIS."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from .plugin import TextSearchPlugin


def classFactory(iface: QgisInterface) -> TextSearchPlugin:  # noqa: N802 - the name QGIS calls
    """Return the plugin object. QGIS calls this once, when the plugin is enabled."""
    from .plugin import TextSearchPlugin  # noqa: PLC0415 - the engine imports this package without Qt

    return TextSearchPlugin(iface)
