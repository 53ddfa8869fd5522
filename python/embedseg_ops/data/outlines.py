"""Objects drawn as outlines: ImageJ's ROIs (roifile) and COCO's polygons and run lengths (pycocotools)."""

import json
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from skimage.draw import polygon2mask

from embedseg_ops.data.errors import DataError, needed

IGNORED = -1


def read_rois(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the ROIs of a ZIP, or of a ``.roi`` file, as labels 1, 2, … in the order of the file.

    ROIs that are no areas (points, lines) are left out; where areas overlap, the later one is on top.

    Args:
        path: the file.
        shape: of the image, two axes.
    """
    if len(shape) != 2:
        raise DataError(f"{path}: ROIs are read for planes, and the image has the shape {shape}")
    rois = needed("roifile", "annotations", path).roiread(path)
    labels = np.zeros(shape, np.int32)
    number = 0
    for roi in rois if isinstance(rois, list) else [rois]:
        inside = np.zeros(shape, bool)
        for path_of in roi.coordinates(multi=True):  # pieces, and holes in them
            inside ^= drawn(np.asarray(path_of), shape)
        if roi.roitype.name not in ("POINT", "LINE", "POLYLINE", "FREELINE", "ANGLE", "NOROI") and inside.any():
            number += 1
            labels[inside] = number
    return labels


def drawn(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels whose centres are inside a polygon of points (x, y) between pixels, as ImageJ has them."""
    return np.asarray(polygon2mask(shape, points[:, ::-1].astype(np.float64) - 0.5))


def coco(path: Path) -> dict[str, Any]:
    """Return a COCO file: what its images are called, and their annotations."""
    return parsed_coco(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def parsed_coco(path: Path, written: int) -> dict[str, Any]:
    """Return `coco` of a file as it was when it was `written`, so that it is parsed once for all of its images."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images = {str(image["file_name"]): image for image in content["images"]}
        annotations: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not COCO: {type(error).__name__} {error}") from error
    return {"images": images, "annotations": annotations}


def read_coco(path: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the annotations of an image as labels 1, 2, … in their order; a crowd's pixels are −1, ignored.

    Args:
        path: the JSON file.
        name: the image's, as the file has it.
        shape: of the image, two axes.
    """
    masks = needed("pycocotools.mask", "annotations", path)
    content = coco(path)
    image = content["images"][name]
    size = (image.get("height", shape[0]), image.get("width", shape[1]))
    if size != shape:
        raise DataError(f"{path}: {name} has the size {size} there, and {shape} in its file")
    labels = np.zeros(shape, np.int32)
    number = 0
    for annotation in content["annotations"][image["id"]]:
        inside = segmented(masks, annotation["segmentation"], shape)
        if annotation.get("iscrowd"):
            labels[inside & (labels == 0)] = IGNORED
        elif inside.any():
            number += 1
            labels[inside] = number
    return labels


def segmented(masks: Any, segmentation: Any, shape: Sequence[int]) -> np.ndarray:
    """Return a mask of polygons, of run lengths, or of encoded run lengths."""
    coded = segmentation if is_coded(segmentation) else masks.frPyObjects(segmentation, *shape)
    if isinstance(coded, list):
        coded = masks.merge(coded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy's, about pycocotools' own arrays
        return np.asarray(masks.decode(coded), bool)


def is_coded(segmentation: Any) -> bool:
    """Return whether run lengths are encoded as a string."""
    return isinstance(segmentation, dict) and isinstance(segmentation["counts"], str | bytes)
