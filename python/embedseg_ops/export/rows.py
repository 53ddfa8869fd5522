"""Files of tables that grow part by part: CSV, and Parquet."""

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from embedseg_ops.data.writing import atomic_path

Table = dict[str, np.ndarray]
Add = Callable[[Table], None]


@contextmanager
def growing(path: str | os.PathLike[str]) -> Iterator[Add]:
    """Yield what adds a table's rows to a file, Parquet where its name ends so and CSV else, which is there at the end.

    All tables have the columns of the first.

    Raises:
        ModuleNotFoundError: Parquet needs pyarrow.
    """
    kind = parquet_rows if Path(path).suffix == ".parquet" else csv_rows
    with atomic_path(path) as part, kind(part) as add:
        yield add


@contextmanager
def csv_rows(path: Path) -> Iterator[Add]:
    """Yield what adds rows to a CSV file, after a header before the first."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)

        def add(table: Table) -> None:
            if file.tell() == 0:
                rows.writerow(table)
            rows.writerows(zip(*(column.tolist() for column in table.values()), strict=True))

        yield add


@contextmanager
def parquet_rows(path: Path) -> Iterator[Add]:
    """Yield what adds rows to a Parquet file, as a group of their own."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise ModuleNotFoundError('Parquet needs pyarrow: pip install "embedseg-ops[export]"') from error
    writers: list[Any] = []

    def add(table: Table) -> None:
        rows = pyarrow.table(table)
        if not writers:
            writers.append(ParquetWriter(path, rows.schema))
        writers[0].write_table(rows.cast(writers[0].schema))

    try:
        yield add
    finally:
        for writer in writers:
            writer.close()
