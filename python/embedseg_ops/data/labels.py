"""Label maps, renumbered 1, 2, … in the order of their ids."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from embedseg_ops.data.arrays import read_array
from embedseg_ops.data.axes import described, name_axes
from embedseg_ops.data.choice import arrange
from embedseg_ops.data.errors import DataError, DataWarning, reading
from embedseg_ops.data.folders import Source
from embedseg_ops.data.formats import open_stored
from embedseg_ops.data.masks import suspicion
from embedseg_ops.data.outlines import coco, read_coco, read_rois
from embedseg_ops.data.stored import Pixels, Stored

COCO, ROIS = ".json", (".zip", ".roi")
OUTLINES = (COCO, *ROIS)
TABLE = 2**26  # ids up to here are renumbered through a table


def read_labels(path: str | Path, spatial_dims: int = 2) -> np.ndarray:
    """Return a label map as int32 ``[*spatial]`` with ids 1, 2, …, K; 0 is background, −1 ignored.

    Any integers, and floats that are whole numbers; axes of length 1 are dropped. A file that looks like a mask, not
    like a label map, is a `DataWarning` that says what to do.

    Raises:
        DataError: unreadable, not whole numbers, below −1, or of the wrong number of axes.
    """
    path = Path(path)
    return renumbered(checked_labels(path, spatial_dims))


def checked_labels(path: Path, spatial_dims: int) -> np.ndarray:
    """Return whole numbers ``[*spatial]`` as they are stored, from −1; what looks like a mask is a `DataWarning`."""
    with reading(path):
        labels = whole_numbers(path, open_labels(path, spatial_dims)[0])
    found = suspicion(labels)
    if found:
        warnings.warn(f"{path}: {found}", DataWarning, stacklevel=2)
    return labels


def read_source_labels(source: Source, shape: tuple[int, ...]) -> np.ndarray:
    """Return the labels of a sample as int32 ``[*spatial]``; masks are numbered 1, 2, … in the order of their names.

    Raises:
        DataError: unreadable, not whole numbers, or of another size than the image's `shape`.
    """
    labels = np.zeros(shape, np.int32)
    for number, path in enumerate(source.labels, 1):
        read = read_mask(path, len(shape)) if source.masks else read_any_labels(path, source.image, shape)
        check_size(path, read, source, shape)
        labels = np.where(read, number, labels) if source.masks else read
    return labels.astype(np.int32)


def check_size(path: Path, labels: np.ndarray, source: Source, shape: tuple[int, ...]) -> None:
    """Refuse labels of another size than their image's `shape`."""
    if labels.shape != shape:
        raise DataError(f"{path}: size {labels.shape}, but its image {source.image} has size {shape}")


def is_label_map(source: Source) -> bool:
    """Return whether the labels are in one file that has a number for each pixel."""
    return not source.masks and source.labels[0].suffix.lower() not in OUTLINES


def read_any_labels(path: Path, image: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the labels of an image from a label map, or from outlines, which need its `shape`."""
    suffix = path.suffix.lower()
    if suffix == COCO:
        return read_coco(path, name_in_coco(path, image), shape)
    if suffix in ROIS:
        with reading(path):
            return read_rois(path, shape)
    return read_labels(path, len(shape))


def name_in_coco(path: Path, image: Path) -> str:
    """Return what a COCO file calls an image that lies beside it or in ``images/``."""
    inside = image.relative_to(path.parent).as_posix()
    return inside if inside in coco(path)["images"] else inside.removeprefix("images/")


def read_mask(path: Path, spatial_dims: int) -> np.ndarray:
    """Return where the mask of one object is not black; it may be in colour."""
    with reading(path):
        refuse_lossy(path)
        stored = name_axes(open_stored(path), "Z" if spatial_dims == 3 else "")
        view, _ = arrange(stored, spatial_dims, None, None, {"T": None, "Z": None})
        return np.asarray(view[...].any(0))


def open_labels(path: Path, spatial_dims: int, windows: bool = False) -> Pixels:
    """Open a label map ``[1, *spatial]`` with the numbers that are stored, whatever they are.

    Args:
        path: the file.
        spatial_dims: 2 or 3.
        windows: as of `embedseg_ops.data.formats.open_stored`.

    Raises:
        DataError: no numbers, or of the wrong number of axes.
    """
    if path.suffix.lower() == ".npy":
        labels = read_array(path, windows)
        if labels.ndim != spatial_dims:
            raise DataError(f"{path}: shape {labels.shape}, expected a label map with {spatial_dims} axes")
        return labels[None]
    refuse_lossy(path)
    stored = without_channels(open_stored(path, as_stored=True, windows=windows), spatial_dims)
    if stored.length("S") > 1 or stored.length("C") > 1:
        raise DataError(f"{described(stored)}; expected a label map, with one number, not a colour, a pixel")
    if sum(length > 1 for length in stored.pixels.shape) > spatial_dims:
        hint = "; for volumes, give spatial_dims=3 (--spatial-dims 3)" if spatial_dims == 2 else ""
        raise DataError(f"{described(stored)}; expected a label map with {spatial_dims} axes{hint}")
    stored = name_axes(stored, "Z" if spatial_dims == 3 else "")
    return arrange(stored, spatial_dims, 1, None, {"T": None, "Z": None})[0]


def without_channels(stored: Stored, spatial_dims: int) -> Stored:
    """Return labels whose channels or times are planes, if a volume has no others: many writers mix them up."""
    names = [name for name in "CT" if stored.length(name) > 1]
    if spatial_dims == 3 and stored.length("Z") == 1 and len(names) == 1:
        axes = stored.axes.replace("Z", "I").replace(names[0], "Z")
        return replace(stored, axes=axes)
    return stored


def refuse_lossy(path: Path) -> None:
    """Refuse what does not keep numbers."""
    if path.is_dir():
        return
    with path.open("rb") as file:
        if file.read(3) == b"\xff\xd8\xff":
            raise DataError(f"{path}: a JPEG, which changes the ids of labels; save label maps as PNG or TIFF")


def whole_numbers(path: Path, labels: np.ndarray) -> np.ndarray:
    """Return integers from −1; floats if they are whole."""
    if labels.dtype.kind == "f":
        labels = labels.astype(np.float64)
        if not (np.abs(labels) < 2**53).all() or (labels != np.rint(labels)).any():
            raise DataError(f"{path}: holds fractions, or numbers that are not finite; expected whole numbers")
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise DataError(f"{path}: dtype {labels.dtype}, expected integer labels")
    if labels.size and labels.min() < -1:
        raise DataError(f"{path}: labels from {labels.min()} to {labels.max()}, expected -1, 0 or more")
    return labels


def renumbered(labels: np.ndarray) -> np.ndarray:
    """Return labels as int32 with ids 1, 2, … in their order, 0 and −1 as they are."""
    if labels.size and labels.max() < TABLE:
        shifted = labels.astype(np.int64) + 1
        table = np.zeros(int(shifted.max()) + 1, np.int32)
        table[shifted.ravel()] = 1
        table[:2] = 0
        numbers = np.cumsum(table, dtype=np.int32)
        numbers[0] = -1
        return np.asarray(numbers[shifted])
    ids, places = np.unique(labels, return_inverse=True)
    numbers = np.cumsum(ids > 0).astype(np.int32)
    numbers[ids < 0] = -1
    return np.asarray(numbers[places].reshape(labels.shape))


def ids_of(labels: np.ndarray, renumbered: np.ndarray) -> np.ndarray | None:
    """Return the ids of a label map, in their order; None if it needs no renumbering."""
    if not labels.size or labels.max() == max(0, renumbered.max()):
        return None
    ids = np.unique(labels)
    return np.asarray(ids[ids > 0])


def numbered(labels: np.ndarray, ids: np.ndarray | None) -> np.ndarray:
    """Return a part of a label map with the `ids_of` the whole as `renumbered` does the whole."""
    if ids is None:
        return labels.astype(np.int32)
    numbers = np.searchsorted(ids, labels.clip(0)).astype(np.int32) + 1
    return np.where(labels > 0, numbers, labels.astype(np.int32))
