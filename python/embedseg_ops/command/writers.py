"""The outputs that ``predict`` writes for an image, by name."""

import argparse
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from embedseg_ops.data.images import ImageFile
from embedseg_ops.export.cellpose import write_seg
from embedseg_ops.export.geojson import write_geojson
from embedseg_ops.export.overlay import write_overlay
from embedseg_ops.export.rois import write_rois
from embedseg_ops.export.rows import Table
from embedseg_ops.export.table import object_table, write_table
from embedseg_ops.export.tiff import write_labels
from embedseg_ops.export.zarr import write_zarr


class Result(NamedTuple):
    """What came of an image.

    Args:
        image: its pixels have the axes ``[*planes, C, *spatial]``.
        labels: ``[*planes, *spatial]``; every plane has ids of its own.
        options: of the command line.
        scores: of the objects of each plane, by its place; none where the model has no calibration.
    """

    image: ImageFile
    labels: np.ndarray
    options: argparse.Namespace
    scores: Mapping[tuple[int, ...], np.ndarray] = MappingProxyType({})

    @property
    def axes(self) -> str:
        """The letters of the labels' axes."""
        return self.image.axes.replace("C", "")

    @property
    def planes(self) -> str:
        """The letters of the axes before the channels: T, Z or both where planes are taken one by one."""
        return self.image.axes.partition("C")[0]

    def pixel_size(self, axes: str) -> tuple[float, ...] | None:
        """Return the pixel's sides along these axes, in µm, if the file tells all of them."""
        return self.image.size_of(axes)


class Writer(NamedTuple):
    """One kind of output.

    Args:
        folder: below the output folder.
        ending: of the file's name.
        write: takes the path and the result.
        help: what it is.
        needs: a package that is not installed with this one.
    """

    folder: str
    ending: str
    write: Callable[[Path, Result], None]
    help: str
    needs: str = ""

    def path(self, out: Path, name: Path) -> Path:
        """Return where the output of an image goes."""
        return out / self.folder / name.with_name(name.name + self.ending)


def labels(path: Path, result: Result) -> None:
    """Write the labels as TIFF; the length of a pixel along Z is 1 where the file does not tell it."""
    known = "ZYX" if "Z" in result.axes else "YX"
    sizes = result.pixel_size(known)
    if sizes is None and (plane := result.pixel_size("YX")):
        sizes = (1.0, *plane)
    write_labels(path, result.labels, sizes, axes=result.axes)


def overlay(path: Path, result: Result) -> None:
    """Draw the outlines; of several planes, on the middle one."""
    pixels, found = np.asarray(result.image.pixels), result.labels
    for _ in result.planes:
        pixels, found = pixels[len(pixels) // 2], found[len(found) // 2]
    write_overlay(path, pixels, found, gamma=result.options.gamma, numbers=result.options.ids)


def table(path: Path, result: Result) -> None:
    """Measure the objects, plane by plane where planes were taken one by one."""
    spatial = result.axes[len(result.planes) :]
    pixels, shape = np.asarray(result.image.pixels), result.labels.shape[: len(result.planes)]
    parts: list[Table] = []
    for place in np.ndindex(shape):
        channels = channel_columns(result.image, len(pixels[place]))
        sizes, scores = result.pixel_size(spatial), result.scores.get(place)
        part = object_table(result.labels[place], pixels[place], sizes, channels=channels, scores=scores)
        planes = {f"plane_{axis.lower()}": number for axis, number in zip(result.planes, place, strict=True)}
        parts.append({**{axis: np.full(len(part["id"]), number) for axis, number in planes.items()}, **part})
    write_table(path, {column: np.concatenate([part[column] for part in parts]) for column in parts[0]})


def channel_columns(image: ImageFile, channels: int) -> list[str] | None:
    """Return the names of so many channels; None where the file does not give each one of its own."""
    names = [name for name in dict.fromkeys(image.channel_names) if name]
    return names if len(names) == channels else None


def one_stack(result: Result) -> np.ndarray:
    """Return labels of at most three axes, for formats that know no more."""
    if result.labels.ndim > 3:
        raise ValueError(
            f"{result.image.path}: time points and planes at once can only be written as labels and tables"
        )
    return result.labels


def rois(path: Path, result: Result) -> None:
    """Write ImageJ ROIs."""
    write_rois(path, one_stack(result))


def geojson(path: Path, result: Result) -> None:
    """Write outlines for QuPath."""
    write_geojson(path, one_stack(result))


def seg(path: Path, result: Result) -> None:
    """Write Cellpose's file."""
    write_seg(path, one_stack(result), result.image.path)


def zarr(path: Path, result: Result) -> None:
    """Write OME-Zarr."""
    write_zarr(path, one_stack(result), result.pixel_size(result.axes))


WRITERS = {
    "labels": Writer("", ".tif", labels, "OME-TIFF"),
    "overlay": Writer("overlays", ".png", overlay, "outlines on the image"),
    "table": Writer("tables", ".csv", table, "of objects, CSV"),
    "parquet": Writer("tables", ".parquet", table, "the same as Parquet", "pyarrow"),
    "rois": Writer("rois", ".zip", rois, "for ImageJ and Fiji", "roifile"),
    "geojson": Writer("geojson", ".geojson", geojson, "outlines for QuPath"),
    "seg": Writer("seg", "_seg.npy", seg, "for Cellpose"),
    "zarr": Writer("zarr", ".zarr", zarr, "OME-Zarr", "zarr"),
}


def check_installed(kinds: Iterable[str]) -> None:
    """Raise a ModuleNotFoundError if one of these outputs needs a package that is not installed."""
    for module in sorted({WRITERS[kind].needs for kind in kinds} - {""}):
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f'--write needs {module}: pip install "embedseg-ops[export]"')
