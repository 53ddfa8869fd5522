"""The scores of the objects of an image of any size: what each block says of them, added up."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from embedseg_ops.ops.direction_sums import direction_sums
from embedseg_ops.ops.smoothing import widened
from embedseg_ops.predict.blocks.engine import Writing
from embedseg_ops.predict.blocks.grid import within
from embedseg_ops.predict.blocks.job import Job
from embedseg_ops.predict.scores import NEAR, Features, calibrated, features_of

UNIT = 2.0**-22  # of the sums of float32 directions
SCORES = "scores.npy"


def measure_block(job: Job, block: int) -> Writing:
    """Return what writes what the network's outputs say of a block's objects, once all labels are there.

    The table: ``objects`` [K], the numbers of the labels in the core, 0 among them; their ``sizes``; ``depths``, the
    sums of their distances; their ``peaks``; ``sums`` [K, D] of their directions; and ``pairs`` [P, 2] of labels that
    are less than `NEAR` pixels from each other.
    """
    core, window = job.grid.box(block), job.grid.box(block, math.ceil(NEAR))
    stored = np.asarray(job.open_out()[window]).astype(np.int64).clip(0)
    objects = np.unique(np.append(stored, 0))  # label 0 is background, whether or not there is some
    around = torch.from_numpy(np.searchsorted(objects, stored).astype(np.int32))
    pairs = torch.ops.embedseg_ops.neighbor_pairs(around[None], NEAR, False, [1.0] * len(core))[:, 1:].numpy()
    labels = around[within(core, window)].contiguous()
    sums, sizes = direction_sums(job.maps.embedding(core)[None], labels[None], len(objects))
    values, places = widened(job.maps.distance(core)).double().nan_to_num().ravel(), labels.ravel().long()
    empty = torch.zeros(len(objects), dtype=torch.float64, device="cpu")
    here = sizes[0].numpy() > 0
    table = {
        "objects": objects, "sizes": sizes[0].numpy(), "sums": sums[0].numpy(),
        "depths": empty.index_add(0, places, values).numpy(),
        "peaks": empty.scatter_reduce(0, places, values, "amax").numpy(),
    }  # fmt: skip
    table = {name: column[here] for name, column in table.items()}
    return partial(job.folder.save_table, {**table, "pairs": objects[pairs]}, "scores", f"{block}.npz")


def add_features(job: Job, count: int) -> Features:
    """Return what `embedseg_ops.object_features` says of the whole image with so many objects."""
    sizes, depths, peaks = np.zeros(count + 1, np.int64), np.zeros(count + 1), np.zeros(count + 1)
    sums, pairs = np.zeros((count + 1, 1), np.int64), [np.zeros((0, 2), np.int64)]
    for block in range(len(job.grid)):
        table = job.folder.load_table("scores", f"{block}.npz")
        objects = table["objects"]  # each occurs once
        sums = np.broadcast_to(sums, (count + 1, table["sums"].shape[1])).copy() if block == 0 else sums
        sizes[objects] += table["sizes"]
        depths[objects] += table["depths"]
        peaks[objects] = np.maximum(peaks[objects], table["peaks"])
        sums[objects] += table["sums"]
        pairs.append(table["pairs"])
    near = np.concatenate(pairs)
    if sizes[0]:  # background is everybody's neighbour
        near = np.concatenate([near, np.stack([np.arange(1, count + 1), np.zeros(count, np.int64)], 1)])
    vectors = torch.from_numpy(sums * UNIT)
    lengths = vectors.norm(dim=1)
    means = torch.where(lengths > 0, vectors.T / lengths, 0.0).T
    known, depth, peak, pair = (torch.from_numpy(column) for column in (sizes, depths, peaks, near))
    return features_of(known, depth, peak, lengths.float(), means.float(), pair)


def write_scores(job: Job, count: int, calibration: Mapping[str, float]) -> None:
    """Write the probability of each object, float64 [count]; the file stays in the folder."""
    job.folder.save(calibrated(add_features(job, count), calibration), SCORES)
