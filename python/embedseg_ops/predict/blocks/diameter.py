"""How far an image of any size is resampled: `segment` looks at the whole image for it, and this at windows."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from embedseg_ops.data.scale import diameter_of
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.grid import Grid, extent, within
from embedseg_ops.predict.blocks.network import Source
from embedseg_ops.predict.scale import COARSE, find_rescaling, predict_zoomed, zoom_by

WHOLE = {2: 1 << 20, 3: 1 << 18}  # an image of so many pixels is one window
CORES = {2: 384, 3: 48}  # sides of windows, in pixels, and what is seen around them:
MARGINS = {2: 64, 3: 16}
FEW, MOST = 16, 64  # windows that are looked at: an eighth of all, not fewer or more, but more where objects are rare
ENOUGH = 100  # objects
SEED = 0


@dataclass(frozen=True)
class Look:
    """What the tasks that look for objects share.

    Args:
        folder: of the run.
        source: the image and the network.
        settings: of the model.
        grid: the windows.
        margin: of pixels that are seen around a window; around one that is shrunk, as many after that.
        stretches: by which the image is resampled along each axis; 1: as it is.
        tile: see `embedseg_ops.predict.network.predict_network`, as the following.
        overlap: of neighbouring tiles.
    """

    folder: Folder
    source: Source
    settings: Settings
    grid: Grid
    margin: int
    stretches: tuple[float, ...]
    tile: int
    overlap: int

    def __call__(self, argument: tuple[int, float]) -> None:
        """Write the sizes of the objects, in pixels, whose first pixel lies in a window of the resampled image."""
        window, factor = argument
        margin = math.ceil(self.margin / min(factor, 1.0))
        core, box = self.grid.box(window), self.grid.box(window, margin)
        zoom = zoom_by(factor, self.stretches, extent(box))
        outputs = predict_zoomed(self.source.read(box), self.source.network(), zoom, self.tile, self.overlap)
        labels = postprocess(*outputs, spatial_dims=len(box), **self.settings.postprocess)[0].numpy()
        objects, first, sizes = np.unique(labels, return_index=True, return_counts=True)
        places = np.unravel_index(first, labels.shape)
        own = objects > 0
        for place, part in zip(places, within(core, box), strict=True):
            own &= (part.start <= place) & (place < part.stop)
        self.folder.save(sizes[own], *self.name(window, factor))

    def name(self, window: int, factor: float) -> tuple[object, ...]:
        """Return the name of a window's file."""
        return "objects", factor, f"{window}.npy"

    def sizes(self, windows: Sequence[int], factor: float, run: Callable[..., None]) -> np.ndarray:
        """Return the sizes of the objects in some windows of the resampled image."""
        missing = [(window, factor) for window in windows if not self.folder.has(*self.name(window, factor))]
        run(self, missing, "diameter")
        found = [self.folder.load(*self.name(window, factor)) for window in windows]
        return np.concatenate([np.zeros(0, np.int64), *found])


def cut(shape: tuple[int, ...]) -> tuple[Grid, int]:
    """Return the windows of an image, and the margin around each."""
    dims = len(shape)
    if np.prod(shape, dtype=np.int64) <= WHOLE[dims]:
        return Grid(shape, shape), 0
    return Grid(shape, (CORES[dims],) * dims), MARGINS[dims]


def estimate(look: Look, run: Callable[..., None]) -> dict[str, Any]:
    """Look for objects in some windows, drawn by a seed, as `embedseg_ops.segment` does in the whole image.

    Args:
        look: what the tasks share.
        run: takes a task, its arguments and a name.

    Returns:
        ``factor``, by which the image is resampled; ``diameter``, the median of the objects in the image as it is
        (as it is looked at first, if it is shrunk), in pixels, None without any; ``objects``, their number;
        ``windows``, in which they are.
    """
    windows = look_around(look, run)
    factor = find_rescaling(None, look.settings, lambda factor: torch.from_numpy(look.sizes(windows, factor, run)))
    sizes = look.sizes(windows, COARSE if factor < 1 else 1.0, run)
    diameter = diameter_of(torch.from_numpy(sizes), len(look.grid.shape))
    return {"factor": factor, "diameter": diameter, "objects": len(sizes), "windows": windows}


def look_around(look: Look, run: Callable[..., None]) -> list[int]:
    """Return windows that hold objects; a few are enough, unless they hold hardly any."""
    count = len(look.grid)
    drawn = np.random.default_rng(SEED).choice(count, min(count, MOST), replace=False).tolist()
    for some in range(min(max(count // 8, FEW), MOST), MOST + FEW, FEW):
        drawn_now = drawn[:some]
        if len(look.sizes(drawn_now, 1.0, run)) >= ENOUGH:
            break
    return [window for window in drawn_now if len(look.folder.load(*look.name(window, 1.0)))]
