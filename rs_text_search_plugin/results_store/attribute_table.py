"""A table of attributes without geometry: rows as dictionaries, found by the values of their columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from qgis.core import QgsExpression, QgsFeature, QgsFeatureRequest, QgsField, QgsFields, QgsVectorLayer
from qgis.PyQt.QtCore import QVariant

from .geopackage import TableLayout, cannot_write, has_table, open_table, write_table

Row = dict[str, Any]


class Column(NamedTuple):
    """Name and QVariant type of a column."""

    name: str
    kind: Any = QVariant.String


def fields_of(columns: tuple[Column, ...]) -> QgsFields:
    """The columns as QGIS takes them."""
    fields = QgsFields()
    for column in columns:
        fields.append(QgsField(column.name, column.kind))
    return fields


class AttributeTable:
    """Rows of one table, which is made with the first row. Every method may raise StorageError."""

    def __init__(self, path: Path, name: str, columns: tuple[Column, ...]) -> None:
        self.path = path
        self.name = name
        self.columns = columns

    def rows(self, **where: Any) -> list[Row]:
        """Rows whose columns have these values; all rows without any."""
        if not has_table(self.path, self.name):
            return []
        names = [column.name for column in self.columns]
        found = open_table(self.path, self.name).getFeatures(_request(where))
        return [{name: feature[name] for name in names} for feature in found]

    def put(self, row: Row, key: tuple[str, ...]) -> None:
        """Add a row, or replace the one that agrees in the columns of `key`."""
        if not has_table(self.path, self.name):
            write_table(self.path, TableLayout(self.name, fields_of(self.columns)))
        layer = open_table(self.path, self.name)
        same = [feature.id() for feature in layer.getFeatures(_request({name: row[name] for name in key}))]
        done = _change(layer, same[0], row) if same else _add(layer, row)
        if not done:
            raise cannot_write(self.path, "; ".join(layer.dataProvider().errors()))

    def remove(self, **where: Any) -> None:
        """Remove the rows whose columns have these values."""
        if not has_table(self.path, self.name):
            return
        layer = open_table(self.path, self.name)
        found = [feature.id() for feature in layer.getFeatures(_request(where))]
        if found and not layer.dataProvider().deleteFeatures(found):
            raise cannot_write(self.path, "; ".join(layer.dataProvider().errors()))


def _request(where: Row) -> QgsFeatureRequest:
    parts = [QgsExpression.createFieldEqualityExpression(name, value) for name, value in where.items()]
    return QgsFeatureRequest().setFilterExpression(" AND ".join(parts)) if parts else QgsFeatureRequest()


def _add(layer: QgsVectorLayer, row: Row) -> bool:
    feature = QgsFeature(layer.fields())
    for name, value in row.items():
        feature.setAttribute(name, value)
    added, _ = layer.dataProvider().addFeatures([feature])
    return bool(added)


def _change(layer: QgsVectorLayer, feature_id: int, row: Row) -> bool:
    changes = {layer.fields().lookupField(name): value for name, value in row.items()}
    return bool(layer.dataProvider().changeAttributeValues({feature_id: changes}))
