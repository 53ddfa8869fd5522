"""OME-Zarr (versions 0.1 to 0.5, so Zarr 2 and 3) and plain Zarr arrays, read lazily by zarr."""

from pathlib import Path
from typing import Any

from embedseg_ops.data.errors import DataError, needed
from embedseg_ops.data.stored import Stored
from embedseg_ops.data.units import known, micrometres

MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
OLD_AXES = "tczyx"  # of versions before 0.3


def is_zarr(path: Path) -> bool:
    """Return whether a folder holds a Zarr group or array, which is one image."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def open_zarr(path: Path, series: int | None = None, level: int = 0) -> Stored:
    """Open one image of a Zarr folder; `series` and `level` as of `open_tiff`."""
    zarr = needed("zarr", "zarr", path)
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return plain(path, node)
    said = described(node)
    if "bioformats2raw.layout" in said and "multiscales" not in said:
        node = node[str(which_series(path, node, series))]
        said = described(node)
    if "plate" in said or "well" in said:
        raise DataError(f"{path}: a plate of many images; give one of them, such as {path / 'A' / '1' / '0'}")
    if not said.get("multiscales"):
        inside = ", ".join(sorted(node.keys())[:8]) or "nothing"
        raise DataError(f"{path}: a Zarr group without OME's multiscales; give one of its arrays: {inside}")
    scales = said["multiscales"][0]
    if not 0 <= level < len(scales["datasets"]):
        raise DataError(f"{path}: no level {level}; it has {len(scales['datasets'])}, from 0")
    dataset = scales["datasets"][level]
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in scales.get("axes", OLD_AXES)]
    names = "".join(str(axis["name"])[:1].upper() for axis in axes)
    sizes = pixel_size(
        axes, [*dataset.get("coordinateTransformations", ()), *scales.get("coordinateTransformations", ())]
    )
    channels = tuple(str(channel.get("label", "")) for channel in said.get("omero", {}).get("channels", ()))
    return Stored(path, node[dataset["path"]], names, sizes, channels)


def described(node: Any) -> dict[str, Any]:
    """Return OME's attributes of a group; version 0.5 keeps them under a key."""
    attributes = dict(node.attrs)
    return dict(attributes.get("ome", attributes))


def which_series(path: Path, node: Any, series: int | None) -> int:
    """Return the number of an image of a converted file that may hold several."""
    numbers = sorted(int(key) for key in node.group_keys() if key.isdecimal())
    if series is None and len(numbers) == 1:
        return numbers[0]
    if series not in numbers:
        raise DataError(f"{path}: holds {len(numbers)} images; choose one with series (--series): {numbers}")
    return series


def pixel_size(axes: list[dict[str, Any]], transformations: list[dict[str, Any]]) -> dict[str, float]:
    """Return µm of a pixel along Z, Y, X: the product of all scales."""
    sizes: dict[str, float | None] = {}
    for place, axis in enumerate(axes):
        scale = 1.0
        for transformation in transformations:
            if transformation.get("type") == "scale":
                scale *= float(transformation["scale"][place])
        if axis.get("type", "space") == "space":
            sizes[str(axis["name"])[:1].upper()] = micrometres(scale, axis.get("unit"))
    return known(sizes)


def plain(path: Path, array: Any) -> Stored:
    """Return an array with the names that Zarr 3 gives its dimensions, if they are ours."""
    names = [str(name or "Q")[:1].upper() for name in getattr(array.metadata, "dimension_names", None) or ()]
    names = names or ["Q"] * (array.ndim - 2) + ["Y", "X"]
    if array.ndim < 2 or not {"Y", "X"} <= set(names):
        raise DataError(f"{path}: an array of shape {array.shape}, expected an image")
    return Stored(path, array, "".join(names))
