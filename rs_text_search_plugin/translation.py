"""The person's language: every text that the interface shows goes through `tr`."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

CONTEXT = "RsTextSearch"


def tr(text: str, number: int = -1) -> str:
    """`text` in the person's language; `%n` becomes `number`, and the plural form follows it."""
    return QCoreApplication.translate(CONTEXT, text, None, number)
