"""Predictions as a trained network makes them: crowded cells, an embedding and a distance map, both with noise."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import ndimage, spatial
from torch import Tensor

import embedseg_ops
from benchmarks.peers.neighbors import kd_trees
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.settings import Settings


@dataclass(frozen=True)
class Scene:
    embedding: Tensor  # float32 [1, D, *spatial]
    labels: Tensor  # int32 [1, *spatial]
    distance: Tensor  # float32 [1, *spatial], as predicted
    name: str = "crowded cells"
    image: Tensor | None = None  # float32 [C, *spatial], what it was predicted from
    model: tuple[EmbeddingModel, Settings] | None = None  # that predicted it

    @property
    def picture(self) -> Tensor:
        """The image; of drawn cells, their mask."""
        return (self.labels > 0).float() if self.image is None else self.image

    @property
    def description(self) -> dict[str, str]:
        size, dim = " x ".join(map(str, self.labels.shape[1:])), str(self.embedding.shape[1])
        dtype = str(self.embedding.dtype).removeprefix("torch.")
        return {"name": self.name, "size": size, "objects": str(self.objects), "D": dim, "dtype": dtype}

    @property
    def objects(self) -> int:
        return int(self.labels.max())

    def crop(self, side: int) -> "Scene":
        """The part of this side with the most objects, without the image."""
        part = (..., *most_crowded(self.labels[0].numpy(), side))
        return Scene(*(tensor[part].contiguous() for tensor in (self.embedding, self.labels, self.distance)))

    @cached_property
    def pairs(self) -> Tensor:
        """Neighbours closer than 10 pixels, int64 [P, 3]; an input of the loss's rows."""
        if hasattr(embedseg_ops, "neighbor_pairs"):
            return embedseg_ops.neighbor_pairs(self.labels, 10.0)
        return torch.from_numpy(kd_trees(self.labels[0].numpy(), 10.0))


def crowded_cells(size: int | Sequence[int], objects: int, dim: int = 16, seed: int = 0) -> Scene:
    """Draw `objects` touching cells over about two thirds of the image, a square where `size` is one number."""
    shape = (size, size) if isinstance(size, int) else tuple(size)
    random = np.random.default_rng(seed)
    labels, centres = draw_labels(shape, objects, random)
    directions = draw_directions(centres, dim, random)
    embedding = draw_embedding(labels, directions, random)
    noise = ndimage.gaussian_filter(random.standard_normal(shape, dtype=np.float32), 1.5)
    distance = normalised_distance(labels) + noise * np.float32(0.05 / noise.std())
    return Scene(*(torch.from_numpy(array)[None] for array in (embedding, labels, distance)))


def most_crowded(labels: np.ndarray, side: int) -> tuple[slice, ...]:
    """Of the tiles of this side, the one that shows most objects."""
    starts = [range(0, max(size - side, 0) + 1, side) for size in labels.shape]
    tiles = (tuple(slice(start, start + side) for start in corner) for corner in itertools.product(*starts))
    return max(tiles, key=lambda tile: len(np.unique(labels[tile])))


def draw_labels(shape: tuple[int, ...], objects: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give each pixel to the ellipse it lies deepest in: cells that overlap cut each other along a curve."""
    spacing = (np.prod(shape) / max(objects, 1)) ** (1 / len(shape))
    centres = jittered_grid(shape, objects, spacing, random)
    crowding = {2: 1.0, 3: 1.17}[len(shape)]  # covers two thirds
    radii = spacing / 2 * crowding * random.uniform(0.75, 1.25, (objects, len(shape)))
    turns = np.linalg.qr(random.standard_normal((objects, len(shape), len(shape))))[0]
    labels, depth = np.zeros(shape, np.int32), np.ones(shape, np.float32)
    for label, (centre, axes, turn) in enumerate(zip(centres, radii, turns, strict=True), start=1):
        box = tuple(
            slice(max(int(c - axes.max()), 0), min(int(c + axes.max()) + 2, side))
            for c, side in zip(centre, shape, strict=True)
        )
        offsets = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), -1) - centre
        ellipse = np.square((offsets @ turn / axes).astype(np.float32)).sum(-1)
        closer = ellipse < depth[box]
        depth[box][closer], labels[box][closer] = ellipse[closer], label
    return labels, centres


def jittered_grid(shape: tuple[int, ...], objects: int, spacing: float, random: np.random.Generator) -> np.ndarray:
    counts = [max(int(np.ceil(side / spacing)), 1) for side in shape]
    cells = np.stack(np.unravel_index(random.permutation(np.prod(counts))[:objects], counts), -1)
    if len(cells) < objects:
        raise ValueError(f"an image of {shape} has no room for {objects} objects")
    places = (cells + 0.5 + random.uniform(-0.3, 0.3, cells.shape)) * np.divide(shape, counts)
    return places[np.lexsort(places.T[::-1].astype(int))]


def draw_directions(centres: np.ndarray, dim: int, random: np.random.Generator) -> np.ndarray:
    """Colour the cells greedily with orthonormal axes, unlike their neighbours; axis 0 is the background's."""
    colors = np.zeros(len(centres) + 1, int)
    if len(centres):
        _, nearest = spatial.cKDTree(centres).query(centres, k=min(12, len(centres)))
        for cell, others in enumerate(np.reshape(nearest, (len(centres), -1)), start=1):
            taken = np.bincount(colors[others + 1], minlength=dim)
            taken[0] += len(centres)
            free = np.flatnonzero(taken == taken.min())
            colors[cell] = free[random.integers(len(free))]
    axes = np.linalg.qr(random.standard_normal((dim, dim)))[0]
    directions = axes[colors] + random.normal(0, 0.1 / np.sqrt(dim), (len(colors), dim))
    return directions.astype(np.float32)  # [K + 1, D]


def draw_embedding(labels: np.ndarray, directions: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Blur each direction with noise half its length; row by row, as all at once would need thrice the memory."""
    dim = directions.shape[1]
    embedding = np.empty((dim, *labels.shape), np.float32)
    for index, row in enumerate(labels):
        noise = random.standard_normal((dim, *row.shape), dtype=np.float32)
        lengths = np.exp(np.float32(0.3) * random.standard_normal(row.shape, dtype=np.float32))
        blurred = np.moveaxis(directions[row], -1, 0) + noise * np.float32(0.5 / np.sqrt(dim))
        embedding[:, index] = blurred * lengths
    return embedding


def normalised_distance(labels: np.ndarray) -> np.ndarray:
    """The distance map, object by object in a crop one pixel wider than the object."""
    distance = np.zeros(labels.shape, np.float32)
    for label, box in enumerate(ndimage.find_objects(np.maximum(labels, 0)), start=1):
        if box is None:
            continue
        wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        inside = labels[wide] == label
        depth = ndimage.distance_transform_edt(inside) if not inside.all() else np.ones(inside.shape)
        distance[wide][inside] = (depth / depth.max())[inside]
    return distance
