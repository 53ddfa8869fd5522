"""From the labels that have grown to those of the image: trimmed, counted, numbered, written."""

import json
from functools import partial

import numpy as np

from embedseg_ops.data.writing import write_atomically
from embedseg_ops.predict.blocks.arrays import sync_box
from embedseg_ops.predict.blocks.engine import Writing
from embedseg_ops.predict.blocks.grid import Box
from embedseg_ops.predict.blocks.job import Job, compact


def add_sizes(job: Job, tables: list[tuple[object, ...]], key: str = "sizes") -> np.ndarray:
    """Add up the pixels of each object over all blocks: int64 [K + 1]."""
    sizes = np.zeros(len(job.folder.load("merged", "vectors.npy")), np.int64)
    for name in tables:
        table = job.folder.load_table(*name)
        sizes[table["objects"]] += table[key]  # an object occurs once in a table
    return sizes


def count_trimmed(job: Job, block: int, after: int) -> Writing:
    """Return what writes a block's labels without what is near a boundary, and how many pixels each object keeps."""
    objects = job.objects(block, after)
    labels = trimmed(job, block, np.array(job.stored_labels(block, after)), objects)
    sizes = np.bincount(labels.ravel(), minlength=len(objects) + 1)[1:]
    kept = compact(labels)

    def write() -> None:
        job.folder.save(kept, "trimmed", f"{block}.npy")
        job.folder.save_table({"objects": objects, "sizes": sizes}, "trimmed", f"{block}.npz")

    return write


def trimmed(job: Job, block: int, labels: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Return a block's labels, of these objects, trimmed as `embedseg_ops.ops.trim` does."""
    sizes = job.folder.load("finished", "sizes.npy")[objects].astype(np.float64)
    radii = np.sqrt(sizes / np.pi) if labels.ndim == 2 else np.cbrt(0.75 / np.pi * sizes)
    limits = np.concatenate([[0], job.options["min_depth_pixels"] / radii])
    distance = job.maps.distance(job.grid.box(block)).float().double().numpy()
    return np.where(distance > limits[labels], labels, 0)


def number_objects(job: Job, sizes: np.ndarray) -> int:
    """Write the final number of each object, 0 for those that are too small; return how many there are."""
    stay = sizes >= max(job.options["min_object_size"], 1)
    stay[0] = False
    numbers = np.where(stay, np.cumsum(stay), 0).astype(np.uint32)
    job.folder.save(numbers, "finished", "numbers.npy")
    count = int(np.count_nonzero(stay))
    write_atomically(job.folder.file("finished", "summary.json"), json.dumps({"objects": count}).encode())
    return count


def number_block(job: Job, block: int, after: int) -> Writing:
    """Return what writes a block's labels, with their final numbers, where they belong, and says so."""
    labels, objects = job.stored_labels(block, after), job.objects(block, after)
    if job.options["min_depth_pixels"] > 0:
        labels = np.broadcast_to(job.folder.load("trimmed", f"{block}.npy"), labels.shape)
    numbers = np.concatenate([np.zeros(1, np.uint32), job.folder.load("finished", "numbers.npy")[objects]])
    return partial(write_block, job, block, numbers[labels])


def write_block(job: Job, block: int, values: np.ndarray) -> None:
    """Write a block's labels into every level of the pyramid; then the file that says so."""
    box = job.grid.box(block)
    for level, opens in enumerate((job.open_out, *job.pyramid)):
        if level > 0:
            box, values = halved(box), values[..., ::2, ::2]
        opens()[box] = values
        sync_box(opens, box)
    job.folder.mark("written", f"{block}.done")


def halved(box: Box) -> Box:
    """Return the box of every second pixel along the last two axes; it begins at one that stays."""
    *before, rows, columns = box
    return (*before, *(slice(part.start // 2, (part.stop + 1) // 2) for part in (rows, columns)))
