"""What the tasks of a run share; small, for it travels to the workers with every task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedseg_ops.ops.options import PostprocessOptions
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.grid import Box, Grid, extent, intersect, within
from embedseg_ops.predict.blocks.maps import Maps


@dataclass(frozen=True)
class Job:
    """One image's postprocessing in blocks.

    Args:
        folder: of the run.
        grid: the blocks.
        halo: levels a round, and pixels around a core that its growth sees.
        maps: the network's output.
        options: of the postprocessing.
        open_out: returns the array that the labels go to.
        pyramid: return those of its smaller levels: each has every second pixel of the last along the last two axes.
    """

    folder: Folder
    grid: Grid
    halo: int
    maps: Maps
    options: PostprocessOptions
    open_out: Callable[[], Any]
    pyramid: tuple[Callable[[], Any], ...] = ()

    def read_labels(self, window: Box, rounds: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return a window's labels after some rounds of growth, and the objects that they stand for.

        Args:
            window: a box of the image.
            rounds: for each block that the window meets, the round that it last grew in.

        Returns:
            labels: int32 ``[*window]``, 0 none, i + 1 object i of:
            objects: int64, ascending: numbers in the whole image.
        """
        tables = {block: self.objects(block, after) for block, after in rounds.items()}
        objects = np.unique(np.concatenate([*tables.values(), np.zeros(1, np.int64)]))[1:]
        labels = np.zeros([part.stop - part.start for part in window], np.int32)
        for block, own in tables.items():
            core = self.grid.box(block)
            shared = intersect(core, window)
            places = np.concatenate([[0], np.where(own > 0, np.searchsorted(objects, own) + 1, 0)]).astype(np.int32)
            stored = self.stored_labels(block, rounds[block])
            labels[within(shared, window)] = places[stored[within(shared, core)]]
        return labels, objects

    def stored_labels(self, block: int, after: int) -> np.ndarray:
        """Return a block's labels after a round, int ``[*core]``, which stay on the disk until they are read."""
        return np.broadcast_to(self.folder.load(*version(block, after)), extent(self.grid.box(block)))

    def objects(self, block: int, after: int) -> np.ndarray:
        """Return the numbers in the whole image of a block's labels 1, 2, …, after a round; 0 for what is none."""
        if after > 0:
            return self.folder.load_entry("objects", "grown", after, f"{block}.npz")
        first, last = self.folder.load("merged", "offsets.npy")[block : block + 2]
        return np.array(self.folder.load("merged", "numbers.npy")[first:last], np.int64)


def version(block: int, after: int) -> tuple[object, ...]:
    """Return the name of the labels of a block after a round of growth; 0: its seeds."""
    return ("grown", after, f"{block}.npy") if after > 0 else ("seeds", f"{block}.npy")


def compact(labels: np.ndarray) -> np.ndarray:
    """Return labels, none negative, in the smallest dtype that holds them; one pixel stands for an empty block."""
    largest = int(labels.max(initial=0))
    return labels.astype(np.min_scalar_type(largest)) if largest else np.zeros([1] * labels.ndim, np.uint8)
