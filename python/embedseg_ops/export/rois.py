"""Outlines as a ZIP of ImageJ ROIs, which Fiji's ROI manager opens."""

import importlib.util
import os
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from embedseg_ops.data.writing import atomic_path
from embedseg_ops.export.arguments import label_array
from embedseg_ops.export.outlines import Polygon, outlines

if TYPE_CHECKING:
    from roifile import ImagejRoi

LARGEST = 2**15 - 1  # coordinates are 16-bit integers
MOVE, LINE, CLOSE = 0, 1, 4  # the commands of a path in ImageJ's composite ROIs


def write_rois(path: str | os.PathLike[str], labels: ArrayLike) -> None:
    """Write the exact outline of every object as an ImageJ ROI; roifile does it.

    A ROI is named by its object's id, in a volume by id and plane (``12-z3``, from 1), where it has a position. An
    object with holes, or in pieces, is a composite ROI.

    Args:
        path: the file; its name should end in ``.zip``.
        labels: integer ``[H, W]`` or ``[D, H, W]``.

    Raises:
        ModuleNotFoundError: roifile is missing: ``pip install "embedseg-ops[export]"``.
        TypeError: `labels` are not integers.
        ValueError: they have other axes, or an object lies beyond 32,767 pixels along one.
    """
    with atomic_path(path) as part, RoiZip(part) as rois:
        rois.add(labels)


class RoiZip:
    """A ZIP of ROIs that grows.

    Args:
        path: the file to make.
    """

    def __init__(self, path: str | os.PathLike[str]):
        if importlib.util.find_spec("roifile") is None:
            raise ModuleNotFoundError('ImageJ ROIs need roifile: pip install "embedseg-ops[export]"')
        self.file = zipfile.ZipFile(path, "w")

    def add(self, labels: ArrayLike, origin: Sequence[int] | None = None) -> None:
        """Add the outlines of labels, which begin at `origin` in a larger image, in pixels along each axis.

        Raises:
            ValueError: outlines reach further than ImageJ can say.
        """
        array = label_array(labels)
        *first, top, left = origin or [0] * array.ndim
        planes = [(None, array)] if array.ndim == 2 else list(enumerate(array, first[0] + 1))
        for plane, flat in planes:
            for number, polygons in outlines(flat).items():
                name = str(number) if plane is None else f"{number}-z{plane}"
                roi = make_roi([[np.add(ring, (left, top)) for ring in polygon] for polygon in polygons], name, plane)
                if max(roi.right, roi.bottom) > LARGEST:
                    raise ValueError(f"object {name} reaches beyond {LARGEST} pixels, where ImageJ's ROIs end")
                self.file.writestr(f"{name}.roi", roi.tobytes())

    def __enter__(self) -> "RoiZip":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.file.close()


def make_roi(polygons: list[Polygon], name: str, plane: int | None) -> "ImagejRoi":
    """Return an object's outline as one ROI."""
    from roifile import ROI_TYPE, ImagejRoi

    rings = [np.asarray(ring)[:-1] for polygon in polygons for ring in polygon]
    roi = ImagejRoi.frompoints(rings[0], name=name)
    if len(rings) == 1:
        roi.roitype = ROI_TYPE.TRACED
    else:
        path = [[float(value) for value in command] for ring in rings for command in path_of(ring)]
        roi.roitype = ROI_TYPE.RECT
        roi.integer_coordinates, roi.subpixel_coordinates, roi.n_coordinates = None, None, 0
        roi.multi_coordinates = np.concatenate(path).astype(np.float32)
        roi.shape_roi_size = len(roi.multi_coordinates)
    corners = np.concatenate(rings)
    (roi.left, roi.top), (roi.right, roi.bottom) = corners.min(0).tolist(), corners.max(0).tolist()
    if plane is not None:
        roi.position = roi.z_position = plane
    return roi


def path_of(ring: np.ndarray) -> list[tuple[int, ...]]:
    """Return the commands that draw a ring of corners ``[N, 2]``."""
    (first, *others) = ring.tolist()
    return [(MOVE, *first), *((LINE, *corner) for corner in others), (CLOSE,)]
