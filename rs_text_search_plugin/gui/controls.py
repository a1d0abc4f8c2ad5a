"""Controls as this plugin makes them: each with an accessible name, a tooltip and a place in the tab order."""

from __future__ import annotations

from typing import TypeVar

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

AnyWidget = TypeVar("AnyWidget", bound=QWidget)


def named(widget: AnyWidget, name: str, tip: str = "") -> AnyWidget:
    """The widget, with what a screen reader calls it and what the mouse shows."""
    widget.setAccessibleName(name)
    widget.setToolTip(tip or name)
    return widget


def push_button(parent: QWidget, text: str, tip: str, image: QIcon | None = None) -> QPushButton:
    """A button with text, called by its tooltip."""
    button = named(QPushButton(text, parent), tip)
    if image is not None:
        button.setIcon(image)
    return button


def tool_button(parent: QWidget, text: str, name: str, tip: str = "") -> QToolButton:
    """A small button that the keyboard reaches."""
    button = named(QToolButton(parent), name, tip)
    button.setText(text)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


def wrapped_label(parent: QWidget, name: str, tip: str = "") -> QLabel:
    """An empty label of several lines."""
    label = named(QLabel(parent), name, tip)
    label.setWordWrap(True)
    return label


def column(parent: QWidget, *items: QWidget | QLayout) -> QVBoxLayout:
    """Lay items out below each other, without a margin."""
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    fill(layout, *items)
    return layout


def row(*items: QWidget | QLayout, stretch: int = -1) -> QHBoxLayout:
    """Items beside each other; the one at position `stretch` takes what is left."""
    layout = QHBoxLayout()
    fill(layout, *items)
    if stretch >= 0:
        layout.setStretch(stretch, 1)
    return layout


def fill(layout: QBoxLayout, *items: QWidget | QLayout) -> None:
    """Add widgets and layouts to a layout."""
    for item in items:
        if isinstance(item, QWidget):
            layout.addWidget(item)
        else:
            layout.addLayout(item)
