"""Messages to the person, in QGIS's message bar."""

from __future__ import annotations

from qgis.core import Qgis
from qgis.gui import QgisInterface

from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.engine_process.client import EngineError

WARNING_S, INFORMATION_S = 12, 8
"""How long a message stays."""


class Messages:
    """The one place where errors of the engine reach a person."""

    def __init__(self, iface: QgisInterface) -> None:
        self._iface = iface

    def show_error(self, error: EngineError | SearchError) -> None:
        """Tell what happened and what to do; something cancelled is news, not an error."""
        cancelled = isinstance(error, EngineError) and error.kind == "Cancelled"
        show = self.inform if cancelled else self.warn
        show(error.message, error.hint)

    def warn(self, message: str, hint: str = "") -> None:
        """Show a warning."""
        self._push(f"{message} {hint}".strip(), Qgis.MessageLevel.Warning, WARNING_S)

    def inform(self, message: str, detail: str = "") -> None:
        """Show news."""
        self._push(f"{message} {detail}".strip(), Qgis.MessageLevel.Info, INFORMATION_S)

    def _push(self, text: str, level: Qgis.MessageLevel, seconds: int) -> None:
        self._iface.messageBar().pushMessage(text, level, seconds)
