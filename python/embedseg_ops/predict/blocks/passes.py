"""The passes over the blocks of an image, one after the other; each begins where the last run stopped."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from embedseg_ops.data.writing import write_atomically
from embedseg_ops.predict.blocks.engine import Writing, run_tasks
from embedseg_ops.predict.blocks.finish import add_sizes, count_trimmed, number_block, number_objects
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.grid import Box
from embedseg_ops.predict.blocks.growth import grow_block, join_parts, rounds_around
from embedseg_ops.predict.blocks.job import Job
from embedseg_ops.predict.blocks.merge import merge_seeds
from embedseg_ops.predict.blocks.scores import measure_block, write_scores
from embedseg_ops.predict.blocks.seeds import find_seeds


@dataclass(frozen=True)
class Summary:
    """What a run found.

    Args:
        objects: in the image.
        seeds: that grew.
        merged: pieces of seeds that became part of another block's.
        rounds: of growth, until no pixel joined.
    """

    objects: int
    seeds: int
    merged: int
    rounds: int


Runner = Callable[..., None]
DONE = "summary.json"


def finished(folder: Folder) -> Summary | None:
    """Return what a run found that is over; None for one that is not."""
    return Summary(**json.loads(folder.file(DONE).read_text())) if folder.has(DONE) else None


def run_passes(
    job: Job, client: Any = None, threads: int = 0, progress: bool = False,
    calibration: Mapping[str, float] | None = None,
) -> Summary:  # fmt: skip
    """Find, merge and grow the seeds of an image, write the labels, and leave of the folder what says so.

    With a model's calibration, it leaves the objects' scores as well, and where the labels are there, it does no more.
    """
    run = partial(run_tasks, client=client, threads=threads, progress=progress)
    summary = finished(job.folder) or write_labels(job, run)
    if calibration:
        score_objects(job, summary.objects, calibration, run)
    write_atomically(job.folder.file(DONE), json.dumps(vars(summary)).encode())
    job.folder.clear()
    return summary


def write_labels(job: Job, run: Runner) -> Summary:
    """Find, merge and grow the seeds of an image, and write the labels."""
    blocks = range(len(job.grid))
    seedless = [block for block in blocks if not job.folder.has("seeds", f"{block}.npy")]
    run(partial(find_seeds, job), seedless, "seeds")
    merged = merge_seeds(job)
    rounds = grow_all(job, run)
    objects = count_objects(job, rounds, run)
    unwritten = [block for block in blocks if not job.folder.has("written", f"{block}.done")]
    run(partial(_number, job), [(block, int(rounds[block])) for block in unwritten], "labels")
    return Summary(objects, merged["seeds"], merged["merged"], int(rounds.max(initial=0)))


def score_objects(job: Job, objects: int, calibration: Mapping[str, float], run: Runner) -> None:
    """Leave the scores of the objects whose labels are there: `SCORES`, in the folder."""
    unmeasured = [block for block in range(len(job.grid)) if not job.folder.has("scores", f"{block}.npz")]
    run(partial(measure_block, job), unmeasured, "scores")
    write_scores(job, objects, calibration)


def grow_all(job: Job, run: Runner) -> np.ndarray:
    """Grow round after round until no pixel joins; return the round that each block last grew in."""
    rounds = np.zeros(len(job.grid), np.int64)
    awake = {block: job.grid.box(block) for block in range(len(job.grid))}
    after = 0
    while awake:
        after += 1
        tasks = [
            (block, after, rounds_around(job, block, rounds), part)
            for block, part in awake.items()
            if not job.folder.has("grown", after, f"{block}.npz")
        ]
        run(partial(_grow, job), tasks, f"growth {after}")
        rounds[list(awake)] = after
        woken = [job.folder.load_table("grown", after, f"{block}.npz")["wake"] for block in awake]
        awake = join_parts(np.concatenate(woken))
    return rounds


def count_objects(job: Job, rounds: np.ndarray, run: Runner) -> int:
    """Number the objects that stay; return how many they are."""
    if job.folder.has("finished", "summary.json"):
        return int(json.loads(job.folder.file("finished", "summary.json").read_text())["objects"])
    blocks = range(len(job.grid))
    sizes = add_sizes(job, [("grown", after, f"{block}.npz") for block, after in enumerate(rounds)])
    if job.options["min_depth_pixels"] > 0:
        job.folder.save(sizes, "finished", "sizes.npy")
        uncounted = [block for block in blocks if not job.folder.has("trimmed", f"{block}.npz")]
        run(partial(_trim, job), [(block, int(rounds[block])) for block in uncounted], "trim")
        sizes = add_sizes(job, [("trimmed", f"{block}.npz") for block in blocks])
    return number_objects(job, sizes)


def _grow(job: Job, argument: tuple[int, int, dict[int, int], Box]) -> Writing:
    return grow_block(job, *argument)


def _trim(job: Job, argument: tuple[int, int]) -> Writing:
    return count_trimmed(job, *argument)


def _number(job: Job, argument: tuple[int, int]) -> Writing:
    return number_block(job, *argument)
