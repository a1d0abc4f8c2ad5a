"""Everything the plugin adds to QGIS's window: dock, button, menu entry, the map's actions, the locator's filter."""

from __future__ import annotations

from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAction

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.engine_process.client import EngineClient
from rs_text_search_plugin.map.map_actions import MapActions
from rs_text_search_plugin.translation import tr

from .locator import SearchLocator
from .search_dock import SearchDock

MENU = "&RS Text Search"


class WindowParts:
    """Added when made, taken out again by `remove`. The engine waits until the dock is first shown."""

    def __init__(self, iface: QgisInterface) -> None:
        self.iface = iface
        self.engine = EngineClient()
        self.dock = SearchDock(iface, self.engine)
        iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()  # QGIS shows it again where it was open last time
        self.action = self._add_action()
        self.map_actions = MapActions(iface, self.dock)
        self.map_actions.register()
        self.locator = SearchLocator(self.dock.search_for)
        iface.registerLocatorFilter(self.locator)

    def remove(self) -> None:
        """Take everything out, last first, and end the engine."""
        self.iface.deregisterLocatorFilter(self.locator)
        self.map_actions.unregister()
        self.iface.removePluginRasterMenu(MENU, self.action)
        self.iface.removeToolBarIcon(self.action)
        self.action.deleteLater()
        self.iface.removeDockWidget(self.dock)
        self.dock.close_down()
        self.dock.deleteLater()
        self.engine.stop()

    def _add_action(self) -> QAction:
        action = QAction(icon("icon"), tr("Text Search"), self.iface.mainWindow())
        action.setToolTip(tr("Search rasters with words"))
        self.dock.setToggleVisibilityAction(action)
        self.iface.addToolBarIcon(action)
        self.iface.addPluginToRasterMenu(MENU, action)
        return action
