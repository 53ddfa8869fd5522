"""A block's seeds, and the table of them that the whole image's is made from."""

import numpy as np
import torch
from torch import Tensor

from embedseg_ops.ops.direction_sums import direction_sums
from embedseg_ops.ops.smoothing import gaussian, widened
from embedseg_ops.predict.blocks.engine import Writing
from embedseg_ops.predict.blocks.grid import within
from embedseg_ops.predict.blocks.job import Job, compact
from embedseg_ops.predict.blocks.options import margin


def find_seeds(job: Job, block: int) -> Writing:
    """Find a block's seeds, numbered within it, and their table; return what writes them.

    The table: ``sizes`` and ``first`` [K] (pixels, and the first one's place in the whole image), ``sums`` [K + 1, D]
    with the background's in row 0, ``doubtful`` [K + 1, D] or empty (the part of a seed's sums that is the
    background's if the seed does not grow), and the labels on the core's faces.
    """
    core, window = job.grid.box(block), job.grid.box(block, margin(job.options))
    around = widened(job.maps.distance(window))[None]
    own = (slice(None), *within(core, window))
    seeds = torch.zeros(around[own].shape, dtype=torch.int32, device="cpu")
    if may_hold_seeds(around, job.options["seed_threshold"]):
        smooth = gaussian(around, job.options["seed_smoothing"]) if job.options["seed_smoothing"] > 0 else around
        seeds = torch.ops.embedseg_ops.connected_components((smooth[own] > job.options["seed_threshold"]).contiguous())
    outside = torch.zeros_like(seeds, dtype=torch.bool)
    if job.options["background_threshold"] is not None:
        outside = around[own] <= job.options["background_threshold"]
    labels = seeds[0].numpy()
    table = {"first": first_pixels(labels, job, block), **faces(labels), **sum_seeds(job, block, seeds, outside)}
    seeds_of_block = compact(labels)

    def write() -> None:
        job.folder.save_table(table, "seeds", f"{block}.npz")
        job.folder.save(seeds_of_block, "seeds", f"{block}.npy")

    return write


def may_hold_seeds(distance: Tensor, threshold: float) -> bool:
    """Return whether a smoothed distance map may be above a threshold: it is nowhere above the map but by rounding."""
    largest = float(distance.max())
    return not largest < threshold - 1e-5 * max(abs(threshold), abs(largest))


def sum_seeds(job: Job, block: int, seeds: Tensor, outside: Tensor) -> dict[str, np.ndarray]:
    """Return the directions' sums of a block's seeds and of its background."""
    count, pixels = int(seeds.max()), int(np.prod(job.grid.shape))
    box = job.grid.box(block)
    if count == 0 and not outside.any():  # one pixel will do, to tell D
        box = tuple(slice(part.start, part.start + 1) for part in box)
        seeds, outside = (values[(slice(1), *[slice(1)] * len(box))] for values in (seeds, outside))
    embedding = job.maps.embedding(box)[None]
    labels = torch.where((seeds == 0) & ~outside, -1, seeds)
    sums, sizes = direction_sums(embedding, labels, count + 1, pixels)
    doubtful = torch.zeros(0, embedding.shape[1], dtype=torch.int64)
    both = (seeds > 0) & outside
    if both.any():
        doubtful = direction_sums(embedding, torch.where(both, seeds, -1), count + 1, pixels)[0][0]
    return {"sums": sums[0].numpy(), "sizes": sizes[0, 1:].numpy(), "doubtful": doubtful.numpy()}


def first_pixels(labels: np.ndarray, job: Job, block: int) -> np.ndarray:
    """Return each label's first pixel in raster order: its place in the whole image, int64."""
    flat = labels.ravel()
    places = np.flatnonzero(flat)[::-1]
    first = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    first[flat[places]] = places  # backwards: the first one is written last
    inside = np.unravel_index(first[1:], labels.shape)
    corner = [part.start for part in job.grid.box(block)]
    place = np.zeros(len(first) - 1, np.int64)
    for coordinates, start, size in zip(inside, corner, job.grid.shape, strict=True):
        place = place * size + coordinates + start
    return place


def faces(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the labels in the first and the last plane of each axis, as ``face AXIS START`` or ``STOP``."""
    found = {}
    for axis in range(labels.ndim):
        found[f"face {axis} 0"] = labels.take(0, axis)
        found[f"face {axis} 1"] = labels.take(-1, axis)
    return found
