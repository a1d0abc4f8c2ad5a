"""Asks for the phrases of a classification, written or read from a text file."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QMessageBox,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from rs_text_search_plugin.gui.controls import fill, named, push_button, wrapped_label
from rs_text_search_plugin.results_store.classification import phrases_in
from rs_text_search_plugin.translation import tr

EXAMPLE = "parking lot\nresidential area\nfarmland\nforest\nwater"


class ClassifyDialog(QDialog):
    """`phrases` holds what was written once the dialog is accepted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Classify by phrases"))
        intro = wrapped_label(self, tr("What happens"))
        intro.setText(tr("One phrase a line. Each tile gets the phrase that claims it best, or none."))
        self.text = named(QPlainTextEdit(self), tr("Phrases, one a line"))
        self.text.setPlaceholderText(EXAMPLE)
        self.text.textChanged.connect(self._allow)
        self.file_button = push_button(self, tr("From a &file ..."), tr("Read the phrases from a text file"))
        self.file_button.clicked.connect(self._pick)
        both = QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        self.buttons = QDialogButtonBox(both, self)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        fill(QVBoxLayout(self), intro, self.text, self.file_button, self.buttons)
        self._allow()

    @property
    def phrases(self) -> list[str]:
        """What was written, without blank lines and repetitions."""
        return phrases_in(self.text.toPlainText())

    def read(self, file: str) -> None:
        """Put the phrases of a text file into the field."""
        try:
            self.text.setPlainText(Path(file).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            text = tr("The phrases cannot be read: {}. Choose a text file in UTF-8.").format(error)
            QMessageBox.warning(self, self.windowTitle(), text)

    def _pick(self) -> None:
        file, _ = QFileDialog.getOpenFileName(
            self, tr("Phrases, one a line"), "", tr("Text files (*.txt *.csv)")
        )
        if file:
            self.read(file)

    def _allow(self) -> None:
        button = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        if button is not None:
            button.setEnabled(bool(self.phrases))
