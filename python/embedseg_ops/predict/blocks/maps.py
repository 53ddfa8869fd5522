"""Where an embedding and a distance map are read from, window by window."""

import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from embedseg_ops.data.numpy_files import load_npy
from embedseg_ops.predict.blocks.buffer import Buffer
from embedseg_ops.predict.blocks.folder import sync
from embedseg_ops.predict.blocks.grid import Box, extent, intersect, within
from embedseg_ops.predict.tiles import Stretch, split_axis
from embedseg_ops.predict.zoom import Zoom

ScratchType = Literal["float32", "float16"]
LARGEST = float(np.finfo(np.float16).max)
ROWS = 16  # or planes of a volume, that are written at a time: few enough for the processor's cache


class Maps(Protocol):
    """An embedding ``[D, *spatial]`` and a distance map ``[*spatial]``."""

    def embedding(self, window: Box) -> Tensor:
        """Return the embedding of a window, ``[D, *window]``."""

    def distance(self, window: Box) -> Tensor:
        """Return the distance map of a window, ``[*window]``."""


@dataclass(frozen=True)
class ArrayMaps:
    """Two arrays that a network of the caller's has filled.

    Args:
        open_embedding: returns the array ``[D, *spatial]``.
        open_distance: returns the array ``[*spatial]``.
    """

    open_embedding: Callable[[], Any]
    open_distance: Callable[[], Any]

    def embedding(self, window: Box) -> Tensor:
        """Return the embedding of a window, ``[D, *window]``."""
        return torch.from_numpy(np.array(self.open_embedding()[(slice(None), *window)]))

    def distance(self, window: Box) -> Tensor:
        """Return the distance map of a window, ``[*window]``."""
        return torch.from_numpy(np.array(self.open_distance()[window]))


@dataclass(frozen=True)
class TileGrid:
    """The tiles of an image that a network runs over, as `embedseg_ops.predict.tiles` lays them, in raster order.

    Args:
        axes: the stretches of each axis.
    """

    axes: tuple[tuple[Stretch, ...], ...]

    @classmethod
    def over(cls, shape: Sequence[int], tile: int, overlap: int, divisor: int) -> "TileGrid":
        """Lay tiles over an image."""
        return cls(tuple(tuple(split_axis(size, tile, overlap, divisor)) for size in shape))

    def __len__(self) -> int:
        """Return how many tiles there are."""
        return math.prod(map(len, self.axes))

    def tile(self, number: int) -> tuple[Stretch, ...]:
        """Return one tile's stretches."""
        places = np.unravel_index(number, [len(axis) for axis in self.axes])
        return tuple(axis[place] for axis, place in zip(self.axes, places, strict=True))

    def kept(self, number: int) -> Box:
        """Return the part of the image where a tile counts: its weights are above 0."""
        return tuple(kept_part(stretch) for stretch in self.tile(number))


def kept_part(stretch: Stretch) -> slice:
    """Return where the weights of a stretch are above 0."""
    inside = torch.nonzero(stretch.weights)
    return slice(stretch.start + int(inside[0]), stretch.start + int(inside[-1]) + 1)


@dataclass(frozen=True)
class TileMaps:
    """A network's outputs for the tiles of an image, a file each, blended where tiles overlap.

    The sums are those of `embedseg_ops.predict.network.predict_network`, term by term, so the bits are, too.

    Args:
        folder: holds NUMBER.npy of a tile's part that counts: the embedding ``[*part, D]``, as networks lay it out, and
            then the distance map float32 ``[*part]``, whose bytes count as numbers of the embedding's dtype.
        grid: the tiles.
        dim: D.
        dtype: of the embedding; with float16, the bits are others.
        buffer: of the embedding's windows.
    """

    folder: Path
    grid: TileGrid
    dim: int
    dtype: ScratchType = "float32"
    buffer: Buffer = field(default_factory=Buffer, compare=False, repr=False)

    def embedding(self, window: Box) -> Tensor:
        """Return the embedding of a window, ``[D, *window]``."""
        return torch.from_numpy(self._blend(window, 0)).movedim(-1, 0)

    def distance(self, window: Box) -> Tensor:
        """Return the distance map of a window, ``[*window]``."""
        return torch.from_numpy(self._blend(window, 1)[..., 0])

    def write(self, number: int, embedding: Tensor, distance: Tensor) -> None:
        """Write a tile's outputs ``[D, *tile]`` and ``[*tile]``, of which the part that counts is kept."""
        frame = tuple(slice(stretch.start, stretch.stop) for stretch in self.grid.tile(number))
        kept = within(self.grid.kept(number), frame)
        dtype = np.dtype(self.dtype)
        vectors, depths = embedding.movedim(0, -1)[kept].numpy(), distance[kept].numpy()
        count = vectors.size + depths.nbytes // dtype.itemsize
        part = self.folder / f"{number}.part"
        with open(part, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": (count,)})
            for values in (vectors, depths):
                for first in range(0, len(values), ROWS):
                    rows = values[first : first + ROWS]
                    if values is vectors and dtype == np.float16:
                        rows = rows.clip(-LARGEST, LARGEST).astype(dtype)
                    file.write(np.ascontiguousarray(rows).data)
        sync(part)
        part.replace(self.file(number))

    def file(self, number: int) -> Path:
        """Return a tile's file."""
        return self.folder / f"{number}.npy"

    def _blend(self, window: Box, kind: int) -> np.ndarray:
        """Return the embedding of a window, or its distance map, channels last.

        As many threads as torch's read the embedding; the distance map is too small to gain by that.
        """
        result = np.empty((*extent(window), 1), np.float32) if kind else self.buffer.empty((*extent(window), self.dim))
        first, threads = window[0], 1 if kind else torch.get_num_threads()
        edges = np.linspace(first.start, first.stop, threads + 1).astype(int).tolist()
        bands = [(slice(*edge), *window[1:]) for edge in itertools.pairwise(edges)]
        with ThreadPoolExecutor(threads) as readers:
            list(readers.map(lambda band: self._fill(result[within(band, window)], band, kind), bands))
        return result

    def _fill(self, result: np.ndarray, window: Box, kind: int) -> None:
        spans = [_spans(axis, part) for axis, part in zip(self.grid.axes, window, strict=True)]
        counts = [len(axis) for axis in self.grid.axes]
        for cells in itertools.product(*spans):
            box = tuple(part for part, _ in cells)
            target = result[within(box, window)]
            tiles = list(itertools.product(*(members for _, members in cells)))
            for i, places in enumerate(tiles):
                values = self._read(int(np.ravel_multi_index(places, counts)), box, kind)
                if len(tiles) == 1:
                    target[...] = values  # its weight is 1
                elif i == 0:
                    np.multiply(values, self._weights(places, box), out=target)
                else:
                    target += values * self._weights(places, box)

    def _read(self, number: int, box: Box, kind: int) -> np.ndarray:
        stored = load_npy(self.file(number))
        kept = self.grid.kept(number)
        embedding, distance = np.split(stored, [self.dim * math.prod(extent(kept))])
        return (distance.view(np.float32) if kind else embedding).reshape(*extent(kept), -1)[within(box, kept)]

    def _weights(self, places: Sequence[int], box: Box) -> np.ndarray:
        weights = np.ones((), np.float32)
        for axis, place, part in zip(self.grid.axes, places, box, strict=True):
            stretch = axis[place]
            own = stretch.weights[part.start - stretch.start : part.stop - stretch.start].numpy()
            weights = weights[..., None] * own
        return weights[..., None]


@dataclass(frozen=True)
class ZoomedMaps:
    """Maps in the image's pixels, of a network that saw it resampled.

    Args:
        maps: of the resampled image.
        zoom: back to the image's pixels.
    """

    maps: Maps
    zoom: Zoom

    def embedding(self, window: Box) -> Tensor:
        """Return the embedding of a window, ``[D, *window]``."""
        return self.zoom(self.maps.embedding(self.zoom.source(window)), window)

    def distance(self, window: Box) -> Tensor:
        """Return the distance map of a window, ``[*window]``."""
        return self.zoom(self.maps.distance(self.zoom.source(window))[None], window)[0]


def _spans(axis: Sequence[Stretch], window: slice) -> list[tuple[slice, list[int]]]:
    """Cut a window's axis where tiles begin and end to count: every part with the tiles that count there."""
    parts = [kept_part(stretch) for stretch in axis]
    inside = [intersect((part,), (window,))[0] for part in parts]
    met = [(number, part) for number, part in enumerate(inside) if part.stop > part.start]
    cuts = sorted({edge for _, part in met for edge in (part.start, part.stop)})
    return [
        (slice(first, last), [number for number, part in met if part.start <= first and last <= part.stop])
        for first, last in itertools.pairwise(cuts)
    ]
