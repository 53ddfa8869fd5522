"""A table of objects beside the viewer: a row for each, linked with the layer of labels."""

from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QTableView

from embedseg_ops.export.rows import Table


class Rows(QAbstractTableModel):
    """What Qt shows of a table: the cells are asked for when they are seen.

    Args:
        table: a column for each name.
    """

    def __init__(self, table: Table):
        super().__init__()
        self.names = list(table)
        self.columns = [np.asarray(column) for column in table.values()]

    def rowCount(self, parent: Any = QModelIndex()) -> int:  # noqa: B008, D102, N802
        return 0 if parent.isValid() or not self.columns else len(self.columns[0])

    def columnCount(self, parent: Any = QModelIndex()) -> int:  # noqa: B008, D102, N802
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a cell as text."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        value = self.columns[index.column()][index.row()]
        return str(value) if self.columns[index.column()].dtype.kind in "iu" else f"{value:.4g}"

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        """Return a column's name; rows have none but their id."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.names[section]
        return None

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """Put the rows in the order of a column."""
        if not self.columns:
            return
        self.layoutAboutToBeChanged.emit()
        places = np.argsort(self.columns[column], kind="stable")
        places = places[::-1] if order == Qt.SortOrder.DescendingOrder else places
        self.columns = [values[places] for values in self.columns]
        self.layoutChanged.emit()

    def row_of(self, number: int) -> int | None:
        """Return the row of an object."""
        found = np.flatnonzero(self.columns[0] == number) if self.columns else np.zeros(0, int)
        return int(found[0]) if len(found) else None


class ObjectTable(QTableView):
    """The table; choosing a row tells which object it is of.

    Args:
        chosen: is called with an object's id and its centre, in pixels.
    """

    def __init__(self, chosen: Callable[[int, tuple[float, ...]], None]):
        super().__init__()
        self.chosen, self.quiet = chosen, False
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSortingEnabled(True)
        self.verticalHeader().setVisible(False)
        self.setMinimumHeight(160)
        self.show_table({})

    def show_table(self, table: Table) -> None:
        """Show another table, in the order of its first column."""
        self.rows = Rows(table)
        self.setModel(self.rows)
        self.horizontalHeader().setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        self.selectionModel().currentRowChanged.connect(self.tell)
        self.resizeColumnsToContents()

    def tell(self, current: Any, previous: Any = None) -> None:
        """Tell which object was chosen."""
        if current.isValid() and not self.quiet:
            values = {
                name: column[current.row()] for name, column in zip(self.rows.names, self.rows.columns, strict=True)
            }
            centre = tuple(float(values[f"centroid_{axis}"]) for axis in "zyx" if f"centroid_{axis}" in values)
            self.chosen(int(values["id"]), centre)

    def select(self, number: int) -> None:
        """Mark the row of an object, without telling so."""
        row = self.rows.row_of(number)
        if row is None:
            self.clearSelection()
        elif row != self.currentIndex().row():
            self.quiet = True
            self.selectRow(row)
            self.quiet = False
