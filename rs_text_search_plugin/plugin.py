"""What QGIS sees of the plugin: `initGui` and `unload` mirror each other, `initProcessing` needs no GUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAction

from rs_text_search_plugin.engine_process.client import EngineClient

from .assets import icon
from .processing.provider import SearchProvider

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

MENU = "&RS Text Search"


class TextSearchPlugin:
    """Owns the engine's client, the panel, the map's actions and the Processing provider."""

    def __init__(self, iface: QgisInterface | None) -> None:
        self.iface = iface
        self.provider: SearchProvider | None = None

    def initProcessing(self) -> None:  # noqa: N802 - QGIS's name; all that qgis_process calls
        """Offer the algorithms."""
        self.provider = SearchProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:  # noqa: N802 - QGIS's name
        """Add the panel, its button and the map's actions. The engine waits until the panel is seen."""
        from rs_text_search_plugin.gui.search_dock import SearchDock  # noqa: PLC0415
        from rs_text_search_plugin.map.map_actions import MapActions  # noqa: PLC0415 - widgets are of no use to qgis_process

        self.initProcessing()
        self.engine = EngineClient()
        self.dock = SearchDock(self.iface, self.engine)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()  # QGIS shows it again where it was open last time
        self.action = QAction(icon("icon"), "Text Search", self.iface.mainWindow())
        self.action.setToolTip("Search rasters with words")
        self.dock.setToggleVisibilityAction(self.action)
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu(MENU, self.action)
        self.map_actions = MapActions(self.iface, self.dock)
        self.map_actions.register()

    def unload(self) -> None:
        """Take out everything `initGui` put in, last first, and end the engine."""
        if hasattr(self, "dock"):
            self.map_actions.unregister()
            self.iface.removePluginRasterMenu(MENU, self.action)
            self.iface.removeToolBarIcon(self.action)
            self.action.deleteLater()
            self.iface.removeDockWidget(self.dock)
            self.dock.close_down()
            self.dock.deleteLater()
            self.engine.stop()
            del self.map_actions, self.action, self.dock, self.engine
        QgsApplication.processingRegistry().removeProvider(self.provider)
        self.provider = None
