"""The objects of labels of any size, block by block: a table and outlines that hold each object once."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import find_objects
from tqdm import tqdm

from embedseg_ops.data.writing import atomic_path
from embedseg_ops.export.geojson import geojson
from embedseg_ops.export.rois import RoiZip
from embedseg_ops.export.rows import Table, growing
from embedseg_ops.export.table import object_table
from embedseg_ops.predict.blocks.grid import Box, Grid

BLOCKS = {2: 2048, 3: 256}  # pixels along an axis


def write_objects(
    labels: Any, image: Any = None, *, table: str | os.PathLike[str] | None = None,
    outlines: str | os.PathLike[str] | None = None, pixel_size: Sequence[float] | None = None,
    channels: Sequence[str] | None = None, block: int | None = None, progress: bool = False,
    scores: ArrayLike | None = None, rois: str | os.PathLike[str] | None = None,
    parquet: str | os.PathLike[str] | None = None,
) -> None:  # fmt: skip
    """Measure and outline the objects of labels that need not fit into memory.

    The rows are those of :func:`embedseg_ops.export.object_table`, the outlines those of
    :func:`embedseg_ops.export.geojson` and :func:`embedseg_ops.export.write_rois`, in the order of the blocks in which
    the objects' boxes begin. Memory is that of a block with the boxes of its objects, and 16 bytes an object and axis.

    Args:
        labels: integer ``[H, W]`` or ``[D, H, W]``; anything with a shape and slices, such as a Zarr array.
        image: ``[C, *spatial]``, likewise, for the intensities; None: none.
        table: the CSV file; None: none.
        outlines: the GeoJSON file; None: none.
        pixel_size: µm of a pixel along each axis.
        channels: names of the channels; None: 0, 1, …
        block: side of a block, in pixels; None: 2048 in 2D, 256 in 3D.
        progress: show a progress bar for each of the two passes.
        scores: of the objects, a column of the table; see `embedseg_ops.export.object_table`.
        rois: the ZIP of ImageJ's ROIs; None: none.
        parquet: the table once more, as Parquet, which needs pyarrow; None: none.
    """
    grid = grid_over(labels, block)
    with contextlib.ExitStack() as opened:
        drawn = opened.enter_context(RoiZip(opened.enter_context(atomic_path(rois)))) if rois is not None else None
        tables = [opened.enter_context(growing(path)) for path in (table, parquet) if path is not None]
        features = Features(opened.enter_context(writing(outlines))) if outlines is not None else None
        for box, own in objects_of_blocks(labels, grid, progress):
            origin = [part.start for part in box]
            if tables:
                pixels = read(image, box)
                rows = object_table(own, pixels, pixel_size, channels=channels, origin=origin, scores=scores)
            for add in tables:
                add(rows)
            if features:
                features.add(geojson(own, origin)["features"])
            if drawn:
                drawn.add(own, origin)
        if features:
            features.end()


def table_in_blocks(labels: Any, image: Any = None, block: int | None = None, **how: Any) -> Table:
    """Return the table of :func:`embedseg_ops.export.object_table`, for labels and an image that stay where they are.

    Args:
        labels: integer ``[H, W]`` or ``[D, H, W]``; anything with a shape and slices.
        image: ``[C, *spatial]``, likewise; None: none.
        block: side of a block, in pixels; None: as of :func:`write_objects`.
        how: the other arguments of `object_table`.
    """
    parts = [
        object_table(own, read(image, box), origin=[part.start for part in box], **how)
        for box, own in objects_of_blocks(labels, grid_over(labels, block))
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(columns["id"])
    return {name: column[order] for name, column in columns.items()}


def grid_over(labels: Any, block: int | None) -> Grid:
    """Return the blocks that labels are read in."""
    return Grid(tuple(labels.shape), (block or BLOCKS[len(labels.shape)],) * len(labels.shape))


def read(image: Any, box: Box) -> np.ndarray | None:
    """Return a box of an image ``[C, *spatial]``; None of none."""
    return None if image is None else np.asarray(image[(slice(None), *box)])


def objects_of_blocks(labels: Any, grid: Grid, progress: bool = False) -> Iterator[tuple[Box, np.ndarray]]:
    """Yield a window of each block's objects, whole, and of none else; the first one maybe without any."""
    ids, starts, stops = object_boxes(labels, grid, progress)
    places = starts // np.array(grid.core)
    owners = np.ravel_multi_index(tuple(places.T), grid.counts) if len(ids) else np.zeros(0, np.int64)
    order = np.argsort(owners, kind="stable")
    blocks = np.split(order, np.flatnonzero(np.diff(owners[order])) + 1)
    for own in tqdm(blocks, desc="objects", unit="block", disable=not progress):
        if len(own) == 0:  # no object at all
            box = tuple(slice(0, min(1, size)) for size in grid.shape)
        else:
            first, last = starts[own].min(0).tolist(), stops[own].max(0).tolist()
            box = tuple(slice(start, stop) for start, stop in zip(first, last, strict=True))
        window = np.array(labels[box])
        window[~np.isin(window, ids[own])] = 0
        yield box, window


def object_boxes(labels: Any, grid: Grid, progress: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ids of all objects [K], ascending, and where their boxes begin and end, int64 ``[K, axes]``."""
    boxes = [grid.box(block) for block in range(len(grid))]
    table = np.concatenate(
        [
            boxes_in(np.asarray(labels[box]), box)
            for box in tqdm(boxes, desc="boxes", unit="block", disable=not progress)
        ]
    )
    ids, place = np.unique(table[:, 0], return_inverse=True)
    starts = np.full((len(ids), len(grid.shape)), np.iinfo(np.int64).max)
    stops = np.zeros_like(starts)
    np.minimum.at(starts, place, table[:, 1 : 1 + len(grid.shape)])
    np.maximum.at(stops, place, table[:, 1 + len(grid.shape) :])
    return ids, starts, stops


def boxes_in(labels: np.ndarray, box: Box) -> np.ndarray:
    """Return id, starts and stops of every object's part in a block, int64 ``[K, 1 + 2 axes]``, in image pixels."""
    ids, dense = np.unique(np.append(labels.ravel(), 0), return_inverse=True)  # 0 is always there
    dense = (dense - np.searchsorted(ids, 0))[:-1].reshape(labels.shape)
    parts = [[*(side.start for side in part), *(side.stop for side in part)] for part in find_objects(dense)]
    corner = [part.start for part in box] * 2
    found = np.array(parts, np.int64).reshape(-1, len(corner)) + np.array(corner, np.int64)
    return np.column_stack([ids[ids > 0].astype(np.int64), found])


class Features:
    """A GeoJSON file that grows."""

    def __init__(self, file: IO[str]):
        self.file = file
        self.before = '{"type":"FeatureCollection","features":['

    def add(self, features: list[dict[str, Any]]) -> None:
        """Add outlines."""
        for feature in features:
            self.file.write(self.before + json.dumps(feature, separators=(",", ":")))
            self.before = ",\n"

    def end(self) -> None:
        """Close the list."""
        self.file.write((self.before if self.before != ",\n" else "") + "]}")


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Open a text file that takes the place of `path` once it is whole."""
    with atomic_path(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        yield file
