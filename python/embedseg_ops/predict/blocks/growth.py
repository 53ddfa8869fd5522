"""A round of growth in one block, and which blocks need another."""

import numpy as np
import torch

from embedseg_ops.ops.levels import grow_levels
from embedseg_ops.predict.blocks.engine import Writing
from embedseg_ops.predict.blocks.grid import Box, box_of, extent, grow_box, hull, intersect, within
from embedseg_ops.predict.blocks.job import Job, compact, version


def grow_block(job: Job, block: int, after: int, rounds: dict[int, int], part: Box) -> Writing:
    """Let a block's core grow for as many levels as its halo is wide; return what writes its labels and their table.

    A pixel's label after t levels depends on what lies at most t pixels away, so the core is exact for as many levels
    as the halo is wide. For the same reason nothing changes further than that from the pixels that joined last. The
    table: ``objects``, the numbers in the image of labels 1, 2, …; ``sizes``, their pixels in the core; ``wake``, what
    may change in the next round.

    Args:
        job: what the tasks share.
        block: which one.
        after: the number of this round.
        rounds: for each block around, the round that it last grew in, before this one.
        part: of the core, that may change: the first time all of it.
    """
    core, frame = job.grid.box(block), job.grid.box(block, job.halo)
    window = grow_box(part, job.halo, job.grid.shape)
    labels, objects = job.read_labels(frame, rounds)
    joined = np.zeros(extent(part), bool)
    if len(objects):
        vectors = torch.from_numpy(job.folder.load("merged", "vectors.npy")[[0, *objects]])[None]
        background = vectors[:, 0] if job.options["background_threshold"] is not None else None
        grown, active = grow_levels(
            job.maps.embedding(window)[None], torch.from_numpy(labels[within(window, frame)])[None],
            vectors, background, job.options["max_cosine_distance"], job.halo,
        )  # fmt: skip
        own = within(part, window)
        labels[within(part, frame)], joined = grown[0].numpy()[own], active[0].numpy()[own]
    labels = labels[within(core, frame)]
    sizes = np.bincount(labels.ravel(), minlength=len(objects) + 1)[1:]
    places = np.concatenate([[0], np.where(sizes > 0, np.cumsum(sizes > 0), 0)]).astype(np.int32)
    table = {"objects": objects[sizes > 0], "sizes": sizes[sizes > 0], "wake": parts_to_wake(job, part, joined)}
    labels = compact(places[labels])

    def write() -> None:
        job.folder.save(labels, *version(block, after))
        job.folder.save_table(table, "grown", after, f"{block}.npz")

    return write


def parts_to_wake(job: Job, part: Box, joined: np.ndarray) -> np.ndarray:
    """Return what may change in the next round: int64 ``[blocks, 1 + 2 dims]``, a block, and where a box of its core
    begins and ends along each axis, which holds all that lies within the halo of pixels that have just joined.

    Args:
        job: what the tasks share.
        part: the box that has grown.
        joined: bool ``[*part]``: in the last level.
    """
    wake = [np.zeros((0, 1 + 2 * joined.ndim), np.int64)]
    for other in job.grid.over(grow_box(part, job.halo, job.grid.shape)):
        core = job.grid.box(other)
        near = intersect(grow_box(core, job.halo, job.grid.shape), part)
        pixels = joined[within(near, part)]
        if pixels.any():
            changing = intersect(grow_box(box_of(pixels, near), job.halo, job.grid.shape), core)
            wake.append(np.array([[other, *[edge for side in changing for edge in (side.start, side.stop)]]], np.int64))
    return np.concatenate(wake)


def join_parts(wake: np.ndarray) -> dict[int, Box]:
    """Return one box for each block that may change, from the rows of `parts_to_wake`."""
    parts: dict[int, Box] = {}
    for block, *edges in wake.tolist():
        part = tuple(slice(*pair) for pair in zip(edges[::2], edges[1::2], strict=True))
        parts[block] = hull(parts.get(block, part), part)
    return dict(sorted(parts.items()))


def rounds_around(job: Job, block: int, rounds: np.ndarray) -> dict[int, int]:
    """Return, of the round that each block last grew in, that of the blocks that a window meets."""
    return {other: int(rounds[other]) for other in job.grid.over(job.grid.box(block, job.halo))}
