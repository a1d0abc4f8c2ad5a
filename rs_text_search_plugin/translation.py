"""The person's language: every text that the interface shows goes through `tr` or `tr_count`."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

CONTEXT = "RsTextSearch"


def tr(text: str) -> str:
    """`text` in the person's language, itself where there is no translation."""
    return QCoreApplication.translate(CONTEXT, text)


def mark(text: str) -> str:
    """Marks a text that `tr` gets later, such as a class attribute, for whoever collects texts to translate."""
    return text


def tr_count(one: str, many: str, number: int) -> str:
    """A phrase with a number in place of %n; translations are looked up by `many` and bring their own plurals.

    >>> tr_count("%n tile", "%n tiles", 4096)
    '4,096 tiles'
    """
    translated = QCoreApplication.translate(CONTEXT, many, None, number)
    untranslated = translated == many.replace("%n", str(number))
    if not untranslated:
        return translated
    return (one if number == 1 else many).replace("%n", f"{number:,}")
