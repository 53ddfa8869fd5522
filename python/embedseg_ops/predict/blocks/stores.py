"""The files that labels of any size go to: OME-Zarr 0.5 with a pyramid, OME-TIFF, or a .npy file."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from embedseg_ops.data.ome_labels import CHUNK, label_metadata
from embedseg_ops.data.writing import atomic_path
from embedseg_ops.predict.blocks.arrays import TIFF, Stored, import_zarr

SMALLEST = 1024  # no level of a pyramid is made of one whose plane is no larger
CLASSIC = 2**32 - 2**25  # bytes of pixels that a TIFF has room for; more is BigTIFF, which ImageJ reads by Bio-Formats
DTYPE = "uint32"
SUFFIXES = (".zarr", ".npy", *TIFF)


def open_labels(
    path: str | os.PathLike[str], shape: Sequence[int], core: Sequence[int], pixel_size: Sequence[float] | None = None
) -> tuple[Stored, ...]:
    """Make the arrays for labels uint32 of a shape, unless they are there; return what opens each level.

    Raises:
        ValueError: the path ends with none of `SUFFIXES`.
    """
    path = Path(path)
    if path.suffix == ".zarr":
        levels = count_levels(shape, core)
        if not (path / "zarr.json").exists():
            make_zarr(path, shape, core, levels, pixel_size)
        return tuple(Stored(str(path / str(level)), "r+") for level in range(levels))
    if path.suffix == ".npy":
        if not path.exists():
            np.lib.format.open_memmap(path, "w+", DTYPE, tuple(shape)).flush()
        return (Stored(str(path), "r+"),)
    if path.suffix in TIFF:
        if not path.exists():
            make_tiff(path, shape, pixel_size)
        return (Stored(str(path), "r+"),)
    raise ValueError(f"out must end with one of {', '.join(SUFFIXES)}, got {path}")


def check_own(path: Path, folder: Path) -> None:
    """Raise a FileExistsError for labels that are there although the run's folder does not know of a run."""
    if path.exists() and not (folder / "run.json").exists():
        raise FileExistsError(
            f"{path} exists already, and no run of {folder} made it: remove it, or choose another name"
        )


def make_tiff(path: Path, shape: Sequence[int], pixel_size: Sequence[float] | None) -> None:
    """Make an OME-TIFF of zeros, not compressed, so that blocks can be written into it; BigTIFF where it is large."""
    axes = "ZYX"[-len(shape) :]
    metadata: dict[str, Any] = {"axes": axes}
    for axis, size in zip(axes, pixel_size or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    with atomic_path(path) as part:
        tifffile.memmap(
            part, shape=tuple(shape), dtype=DTYPE, ome=True, metadata=metadata, photometric="minisblack",
            bigtiff=4 * math.prod(shape) > CLASSIC, software="embedseg-ops",
        )  # fmt: skip


def count_levels(shape: Sequence[int], core: Sequence[int]) -> int:
    """Return how many levels a pyramid has: while blocks have an even number of pixels, and planes are large."""
    levels = 1
    while max(shape[-2:]) > SMALLEST << (levels - 1) and all(side % (1 << levels) == 0 for side in core[-2:]):
        levels += 1
    return levels


def make_zarr(
    path: Path, shape: Sequence[int], core: Sequence[int], levels: int, pixel_size: Sequence[float] | None = None
) -> None:
    """Make an OME-Zarr label image; a block is a shard of every level, so that no two blocks write to one file.

    Args:
        path: of its folder.
        shape: of level 0.
        core: of a block.
        levels: how many.
        pixel_size: µm of a pixel along each axis; None: not known.
    """
    zarr = import_zarr()
    group = zarr.open_group(path, mode="a", zarr_format=3)
    for level in range(levels):
        shrink = [1] * (len(shape) - 2) + [1 << level] * 2
        shard = [side // by for side, by in zip(core, shrink, strict=True)]
        chunk = [CHUNK[len(shape)] if side % CHUNK[len(shape)] == 0 else side for side in shard]
        group.create_array(
            str(level), shape=[-(-size // by) for size, by in zip(shape, shrink, strict=True)], dtype=DTYPE,
            chunks=chunk, shards=shard, dimension_names=list("zyx"[-len(shape) :]), overwrite=True,
        )  # fmt: skip
    group.attrs["ome"] = label_metadata(len(shape), levels, pixel_size, "micrometer")  # last: a group with it is whole
