"""A network's output, kept so that other options need the postprocessing alone: in memory, or on disk in blocks."""

import math
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import PostprocessOptions
from embedseg_ops.ops.postprocess import find_seeds
from embedseg_ops.predict.blocks.engine import run_tasks
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.grid import Grid
from embedseg_ops.predict.blocks.job import Job
from embedseg_ops.predict.blocks.maps import Maps
from embedseg_ops.predict.blocks.network import Planes
from embedseg_ops.predict.blocks.passes import run_passes, score_objects
from embedseg_ops.predict.blocks.scores import SCORES
from embedseg_ops.predict.blocks.segment_blocks import choose_sides, choose_zoom, network_maps, open_source
from embedseg_ops.predict.blocks.sizes import HALOS
from embedseg_ops.predict.memory import memory_free, memory_needed
from embedseg_ops.predict.network import tile_sizes
from embedseg_ops.predict.prediction import Prediction, predict_image
from embedseg_ops.predict.scale import stretching

Model = tuple[EmbeddingModel, Settings]
LARGE = 1 << 28  # pixels of labels beyond which they are kept on the disk


class Scratch:
    """A folder that is removed with this object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="embedseg-ops-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Output(Protocol):
    """What a network said of one plane (volume)."""

    def label(self, options: PostprocessOptions, out: Any) -> None:
        """Write the labels to `out`, ``[*spatial]``."""

    def scores(self, labels: Any, calibration: Mapping[str, float]) -> np.ndarray:
        """Return how probably each of the labels ``[*spatial]`` is right, float64 ``[N]``."""


@dataclass(frozen=True)
class Whole:
    """An output in memory.

    Args:
        prediction: the network's outputs.
    """

    prediction: Prediction

    def label(self, options: PostprocessOptions, out: Any) -> None:
        """Write the labels to `out`, ``[*spatial]``."""
        out[...] = self.prediction.label(options).numpy()

    def scores(self, labels: Any, calibration: Mapping[str, float]) -> np.ndarray:
        """Return how probably each of the labels ``[*spatial]`` is right, float64 ``[N]``."""
        return self.prediction.scores(np.asarray(labels[...]))

    def seeds(self, options: PostprocessOptions) -> np.ndarray:
        """Return what grows: int32 ``[*spatial]``."""
        seeds, _ = find_seeds(
            self.prediction.embedding, self.prediction.distance, options["seed_threshold"], options["seed_smoothing"],
            options["min_seed_size"], options["max_objects"],
        )  # fmt: skip
        return np.asarray(seeds[0])


@dataclass(frozen=True)
class Blocks:
    """An output in a folder, for an image that is too large for the memory; the folder is removed with it.

    Args:
        maps: of the network.
        shape: ``[*spatial]``.
        core: sides of a block.
        folder: of everything.
    """

    maps: Maps
    shape: tuple[int, ...]
    core: tuple[int, ...]
    folder: Scratch

    def label(self, options: PostprocessOptions, out: Any) -> None:
        """Write the labels to `out`, ``[*spatial]``: those of the image in one piece."""
        with tempfile.TemporaryDirectory(dir=self.folder.path) as path:
            run_passes(self.job(path, options, out))

    def scores(self, labels: Any, calibration: Mapping[str, float]) -> np.ndarray:
        """Return how probably each of the labels ``[*spatial]`` is right, float64 ``[N]``."""
        with tempfile.TemporaryDirectory(dir=self.folder.path) as path:
            job = self.job(path, {}, labels)
            score_objects(job, largest(labels), calibration, run_tasks)
            return np.array(job.folder.load(SCORES))

    def job(self, path: str, options: PostprocessOptions, labels: Any) -> Job:
        """Return what is done in blocks, in a folder."""
        grid = Grid(self.shape, self.core)
        return Job(Folder(Path(path)), grid, HALOS[len(self.shape)], self.maps, options, lambda: labels)


def run_network(
    image: Any, model: Model, memory: int | None = None, diameter: float | None = None, side: int | None = None,
    spacing: Sequence[float] | None = None,
) -> Output:  # fmt: skip
    """Run the network over one plane (volume).

    Args:
        image: ``[C, *spatial]`` with a shape, a dtype and slices.
        model: the network and its settings.
        memory: bytes that may be used; None: half of what is free. What does not fit goes to the disk.
        diameter: of the objects, for a model that has one; see `embedseg_ops.segment`.
        side: of a block, in pixels; None: as large as fits.
        spacing: of the pixels; see `embedseg_ops.segment`.

    Raises:
        ValueError: values that are not finite.
    """
    network, settings = model
    allowed = (memory_free() or 1 << 62) // 2 if memory is None else memory
    if memory_needed(image.shape, settings, diameter=diameter) <= allowed:
        return Whole(predict_image(np.asarray(image[...]), model, diameter=diameter, spacing=spacing))
    shape, folder = tuple(image.shape[1:]), Scratch()
    halo, most, tiles = HALOS[len(shape)], min(allowed, 4 << 30), tile_sizes(len(shape), network.divisor, None, None)
    place = Folder(folder.path)
    place.start({}, resume=False)
    planes, device = Planes(lambda: image, settings.spatial_dims), str(next(network.parameters()).device)
    source = open_source(place, planes, model, device, "float32")
    stretches = tuple(stretching(spacing, settings.spacing, len(shape)))
    zoom = choose_zoom(place, lambda: source, settings, diameter, stretches, shape, tiles, run_tasks)
    core = (side,) * len(shape) if side else choose_sides(shape, settings, zoom, halo, most)
    maps = network_maps(place, source, model, zoom, tiles, threads=torch.get_num_threads())
    return Blocks(maps, shape, core, folder)


def largest(labels: Any) -> int:
    """Return the largest of labels ``[*spatial]``, 0 at least; many pixels are read row by row."""
    if math.prod(labels.shape) <= LARGE:
        return int(np.max(labels[...], initial=0))
    return max(int(np.max(labels[row], initial=0)) for row in range(labels.shape[0]))
