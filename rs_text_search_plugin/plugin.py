"""What QGIS sees of the plugin: `initGui` and `unload` mirror each other, `initProcessing` needs no GUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsApplication

from .processing.provider import SearchProvider

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from .gui.window_parts import WindowParts


class TextSearchPlugin:
    """Owns the Processing provider and, where QGIS has a window, what the plugin adds to it."""

    def __init__(self, iface: QgisInterface | None) -> None:
        self.iface = iface
        self.provider: SearchProvider | None = None
        self.window: WindowParts | None = None

    def initProcessing(self) -> None:  # noqa: N802 - QGIS's name; all that qgis_process calls
        """Offer the algorithms."""
        self.provider = SearchProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:  # noqa: N802 - QGIS's name
        """Offer the algorithms, the dock and the map's actions."""
        from .gui.window_parts import WindowParts  # noqa: PLC0415 - widgets are of no use to qgis_process

        self.initProcessing()
        if self.iface is not None:
            self.window = WindowParts(self.iface)

    def unload(self) -> None:
        """Take out everything `initGui` put in, last first."""
        if self.window is not None:
            self.window.remove()
            self.window = None
        QgsApplication.processingRegistry().removeProvider(self.provider)
        self.provider = None
