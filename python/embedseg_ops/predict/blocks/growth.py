"""A round of growth in one block, and which blocks need another."""

import numpy as np
import torch

from embedseg_ops.ops.levels import grow_levels
from embedseg_ops.predict.blocks.engine import Writing
from embedseg_ops.predict.blocks.grid import Box, extent, grow_box, intersect, within
from embedseg_ops.predict.blocks.job import Job, compact, version


def grow_block(job: Job, block: int, after: int, rounds: dict[int, int]) -> Writing:
    """Let a block's core grow for as many levels as its halo is wide; return what writes its labels and their table.

    A pixel's label after t levels depends on what lies at most t pixels away, so the core is exact for as many levels
    as the halo is wide. The table: ``objects``, the numbers in the image of labels 1, 2, …; ``sizes``, their pixels in
    the core; ``wake``, the blocks that may change in the next round: those within the halo of a pixel that joined in
    the last level.

    Args:
        job: what the tasks share.
        block: which one.
        after: the number of this round.
        rounds: for each block around, the round that it last grew in, before this one.
    """
    core, window = job.grid.box(block), job.grid.box(block, job.halo)
    labels, objects = job.read_labels(window, rounds)
    active = np.zeros(extent(window), bool)
    if len(objects):
        vectors = torch.from_numpy(job.folder.load("merged", "vectors.npy")[[0, *objects]])[None]
        background = vectors[:, 0] if job.options["background_threshold"] is not None else None
        grown, joined = grow_levels(
            job.maps.embedding(window)[None], torch.from_numpy(labels)[None], vectors, background,
            job.options["max_cosine_distance"], job.halo,
        )  # fmt: skip
        labels, active = grown[0].numpy(), joined[0].numpy()
    own = within(core, window)
    sizes = np.bincount(labels[own].ravel(), minlength=len(objects) + 1)[1:]
    places = np.concatenate([[0], np.where(sizes > 0, np.cumsum(sizes > 0), 0)]).astype(np.int32)
    table = {"objects": objects[sizes > 0], "sizes": sizes[sizes > 0], "wake": blocks_to_wake(job, core, active[own])}
    labels = compact(places[labels[own]])

    def write() -> None:
        job.folder.save(labels, *version(block, after))
        job.folder.save_table(table, "grown", after, f"{block}.npz")

    return write


def blocks_to_wake(job: Job, core: Box, active: np.ndarray) -> np.ndarray:
    """Return the blocks whose cores lie within the halo of a pixel of this core that is active."""
    if not active.any():
        return np.zeros(0, np.int64)
    near = job.grid.over(grow_box(core, job.halo, job.grid.shape))
    reached = [grow_box(job.grid.box(other), job.halo, job.grid.shape) for other in near]
    wake = [other for other, box in zip(near, reached, strict=True) if active[within(intersect(box, core), core)].any()]
    return np.array(wake, np.int64)


def rounds_around(job: Job, block: int, rounds: np.ndarray) -> dict[int, int]:
    """Return, of the round that each block last grew in, that of the blocks that a window meets."""
    return {other: int(rounds[other]) for other in job.grid.over(job.grid.box(block, job.halo))}
