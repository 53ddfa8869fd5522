"""A table of objects: where they are, how large, of which shape, how bright."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from skimage.measure import regionprops_table

from embedseg_ops.export.arguments import check_pixel_size, label_array
from embedseg_ops.export.rows import Table, growing

SHAPE = {2: ("perimeter", "eccentricity", "solidity"), 3: ("equivalent_diameter_area", "extent")}


def object_table(
    labels: ArrayLike, image: ArrayLike | None = None, pixel_size: Sequence[float] | None = None, unit: str = "µm",
    channels: Sequence[str] | None = None, origin: Sequence[int] | None = None, scores: ArrayLike | None = None,
) -> Table:  # fmt: skip
    """Measure every object; scikit-image does it.

    The columns, one value an object: ``id``; ``score`` where `scores` are given; ``centroid_y``, ``centroid_x`` (of a
    volume ``centroid_z`` too), in pixels; of images ``area``, ``perimeter`` in pixels, ``eccentricity`` (0: a circle)
    and ``solidity`` (the share of the convex hull); of volumes ``volume``, ``equivalent_diameter`` in pixels and
    ``extent`` (the share of the bounding box). Lengths, areas and volumes again in the unit, such as ``area_µm²``,
    where `pixel_size` is given; perimeter and equivalent diameter only where pixels are squares or cubes. For every
    channel ``mean_NAME`` and ``max_NAME``.

    Args:
        labels: integer ``[H, W]`` or ``[D, H, W]``.
        image: ``[C, *spatial]`` or ``[*spatial]``, for the intensities; None: none.
        pixel_size: length of a pixel along each axis, in `unit`.
        unit: of `pixel_size`.
        channels: names of the channels; None: 0, 1, …
        origin: where `labels` begin in a larger image, in pixels along each axis; None: at 0.
        scores: ``[N]`` of :func:`embedseg_ops.segment_with_scores`, where ``scores[k - 1]`` is that of label k.

    Returns:
        the columns, in this order, sorted by id.

    Raises:
        TypeError: `labels` are not integers.
        ValueError: shapes, or numbers of names or of scores, do not match.
    """
    array = label_array(labels)
    dims = array.ndim
    sizes = check_pixel_size(pixel_size, dims)
    intensities, names = _intensities(image, array, channels)
    wanted = ["label", "centroid", "area", *SHAPE[dims]]
    if intensities is not None:
        wanted += ["intensity_mean", "intensity_max"]
    measured = regionprops_table(_narrow(array), intensities, properties=wanted)
    table: Table = {"id": np.asarray(measured["label"]).astype(np.int64)}
    if scores is not None:
        table["score"] = _scores(scores, table["id"])
    for axis, name in enumerate("zyx"[-dims:]):
        centre = measured[f"centroid-{axis}"] + (origin[axis] if origin else 0)
        _add(table, f"centroid_{name}", centre, unit, sizes[axis] if sizes else None)
    if dims == 2:
        _add(table, "area", measured["area"], f"{unit}²", float(np.prod(sizes)) if sizes else None)
        _add(table, "perimeter", measured["perimeter"], unit, _one_size(sizes))
        table |= {name: measured[name] for name in ("eccentricity", "solidity")}
    else:
        _add(table, "volume", measured["area"], f"{unit}³", float(np.prod(sizes)) if sizes else None)
        _add(table, "equivalent_diameter", measured["equivalent_diameter_area"], unit, _one_size(sizes))
        table["extent"] = measured["extent"]
    for number, name in enumerate(names):
        table[f"mean_{name}"] = measured[f"intensity_mean-{number}"]
        table[f"max_{name}"] = measured[f"intensity_max-{number}"]
    return table


def write_table(path: str | os.PathLike[str], table: Table) -> None:
    """Write a table of :func:`object_table` as CSV, or as Parquet where the name ends so.

    Raises:
        ModuleNotFoundError: Parquet needs pyarrow: ``pip install "embedseg-ops[export]"``.
    """
    with growing(path) as add:
        add(table)


def _intensities(
    image: ArrayLike | None, labels: np.ndarray, channels: Sequence[str] | None
) -> tuple[np.ndarray | None, list[str]]:
    """Return the image with its channels last, as scikit-image takes it, and their names."""
    if image is None:
        return None, []
    array = np.asarray(image)
    array = array[None] if array.ndim == labels.ndim else array
    if array.shape[1:] != labels.shape:
        raise ValueError(f"image must be [C, *{list(labels.shape)}], got shape {list(array.shape)}")
    names = list(channels) if channels else [str(number) for number in range(len(array))]
    if len(names) != len(array) or len(set(names)) != len(names):
        raise ValueError(f"channels must be {len(array)} different names, got {names}")
    return np.moveaxis(array, 0, -1), names


def _scores(scores: ArrayLike, ids: np.ndarray) -> np.ndarray:
    """Return the scores of these objects."""
    array = np.asarray(scores)
    if array.ndim != 1 or len(array) < ids.max(initial=0):
        raise ValueError(f"scores must be [{ids.max(initial=0)}], one for each label, got shape {list(array.shape)}")
    chosen: np.ndarray = array[ids - 1]
    return chosen


def _narrow(labels: np.ndarray) -> np.ndarray:
    """Return labels in a type that scikit-image takes: it has no place for unsigned ones of 64 bits."""
    return labels.astype(np.int64) if labels.dtype == np.uint64 else labels


def _add(table: Table, name: str, values: np.ndarray, unit: str, factor: float | None) -> None:
    """Add a column in pixels and, with a factor, one in the unit."""
    table[name] = values
    if factor is not None:
        table[f"{name}_{unit}"] = values * factor


def _one_size(sizes: Sequence[float] | None) -> float | None:
    """Return the side of a square or cubic pixel; None where sides differ by more than a thousandth."""
    return sizes[0] if sizes and max(sizes) <= 1.001 * min(sizes) else None
