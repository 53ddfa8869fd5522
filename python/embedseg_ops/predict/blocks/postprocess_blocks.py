"""From a network's output of any size to labels, block by block."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedseg_ops.library import build_info
from embedseg_ops.ops.options import PostprocessOptions
from embedseg_ops.predict.blocks.arrays import check_chunks, check_shared, handle, run_folder
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.grid import Grid
from embedseg_ops.predict.blocks.job import Job
from embedseg_ops.predict.blocks.maps import ArrayMaps
from embedseg_ops.predict.blocks.options import complete
from embedseg_ops.predict.blocks.passes import Summary, finished, run_passes
from embedseg_ops.predict.blocks.sizes import HALOS, choose_core
from embedseg_ops.version import __version__


def postprocess_blocks(
    embedding: Any,
    distance: Any,
    out: Any,
    *,
    block: int | tuple[int, ...] | None = None,
    halo: int | None = None,
    memory: int | str = "4GiB",
    client: Any = None,
    resume: bool = True,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> Summary:
    """Segment a network's output of any size: exactly what :func:`embedseg_ops.postprocess` gives for the whole.

    Seeds and their sums are merged before they grow, and a block grows again for as long as anything near it does, so
    nothing is stitched. Memory is that of one block and of a table of the seeds.

    Args:
        embedding: float32, float16 or float64 ``[D, *spatial]``, 2D or 3D: a zarr, dask or NumPy array, a memmap, or
            the path of a zarr array or a .npy file.
        distance: float ``[*spatial]``, likewise.
        out: receives the labels, in the shape of `distance`: an integer array of the same kinds, or its path.
        block: sides of a block in pixels; None: what fits into `memory`.
        halo: levels of growth in a round, and the pixels around a block that it reads; None: 64 in 2D, 16 in 3D.
        memory: bytes of this process, or of each worker, such as ``"4GiB"``.
        client: a `distributed.Client` whose workers do the work, and see the arrays and the folder; None: this process.
        resume: go on where an interrupted run stopped; False: a ValueError if there is one.
        folder: keeps the run's files; None: beside `out` if that is a path, else one that is removed afterwards.
        progress: show a progress bar for each pass.
        options: those of :func:`embedseg_ops.postprocess`.

    Returns:
        how many objects, seeds, pieces of seeds that were merged, and rounds of growth there were.

    Raises:
        TypeError: an argument is no array, or not of floats.
        ValueError: shapes do not match, a size or an option is wrong, or the folder holds another run.
    """
    opens, opens_distance, opens_out = (
        handle(embedding, "embedding"), handle(distance, "distance"), handle(out, "out", "r+"),
    )  # fmt: skip
    vectors, depths, labels = opens(), opens_distance(), opens_out()
    check_maps(vectors, depths, labels)
    shape = tuple(depths.shape)
    halo = HALOS[len(shape)] if halo is None else halo
    core = sides(block, shape) or choose_core(shape, vectors.shape[0], halo, memory, vectors.dtype.itemsize)
    if client is not None:
        for opened, name in ((opens, "embedding"), (opens_distance, "distance"), (opens_out, "out")):
            check_shared(opened, name)
        check_chunks(labels, core)
    chosen = complete(options)
    run = describe(shape, halo, chosen) | {
        "block": core, "embedding": str(vectors.dtype), "distance": str(depths.dtype),
    }  # fmt: skip
    with scratch(run_folder(out, folder)) as path:
        place = Folder(path)
        place.start(run, resume)
        if (summary := finished(place)) is not None:
            return summary
        job = Job(place, Grid(shape, core), halo, ArrayMaps(opens, opens_distance), chosen, opens_out)
        return run_passes(job, client, progress=progress)


def check_maps(embedding: Any, distance: Any, out: Any) -> None:
    """Raise unless the arrays are a float embedding ``[D, *spatial]``, a float distance and integers of its shape."""
    for array, name in ((embedding, "embedding"), (distance, "distance")):
        if np.dtype(array.dtype).kind != "f":
            raise TypeError(f"{name} must be a float, got {array.dtype}")
    if len(embedding.shape) not in (3, 4):
        raise ValueError(f"embedding must be [D, *spatial], 2D or 3D, got shape {list(embedding.shape)}")
    if tuple(distance.shape) != tuple(embedding.shape[1:]):
        expected = list(embedding.shape[1:])
        raise ValueError(f"distance must be {expected} for this embedding, got shape {list(distance.shape)}")
    check_out(out, tuple(distance.shape))


def check_out(out: Any, shape: tuple[int, ...]) -> None:
    """Raise unless `out` is an array of integers of a shape."""
    if tuple(out.shape) != shape:
        raise ValueError(f"out must be {list(shape)}, got shape {list(out.shape)}")
    if np.dtype(out.dtype).kind not in "iu":
        raise TypeError(f"out must have an integer dtype, got {out.dtype}")


def sides(block: int | tuple[int, ...] | None, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return a block's side along each axis; None for None."""
    if block is None:
        return None
    each = (block,) * len(shape) if isinstance(block, int) else tuple(block)
    if len(each) != len(shape) or min(each) < 1:
        raise ValueError(f"block must be at least 1 along each of {len(shape)} axes, got {block}")
    return each


def describe(shape: tuple[int, ...], halo: int, options: PostprocessOptions) -> dict[str, Any]:
    """Return what another run must share to go on with this one's files."""
    if isinstance(halo, bool) or halo < 1:
        raise ValueError(f"halo must be at least 1, got {halo}")
    return {
        "shape": shape, "halo": halo, "options": options, "version": __version__,
        "torch": torch.__version__, "simd": build_info()["simd"],
    }  # fmt: skip


@contextmanager
def scratch(path: Path | None) -> Iterator[Path]:
    """Yield a folder that is there to stay, or without a path one that is removed afterwards."""
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="embedseg-ops-") as temporary:
        yield Path(temporary)
