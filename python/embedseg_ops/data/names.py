"""Which files of a folder belong together, by their names."""

from collections.abc import Sequence
from pathlib import Path

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.formats import SUFFIXES
from embedseg_ops.data.ome_zarr import is_zarr

OTHER_LABELS = {".npy", ".zip", ".roi"}  # Cellpose's, and ImageJ's ROIs
LABEL_FOLDERS = ("labels", "masks", "label", "mask")  # beside images/
ENDINGS = ("_cp_masks", "_labels", "_label", "_masks", "_mask", "_seg", "_rois", "_RoiSet")


def find_files(folder: Path, others: bool = False) -> list[Path]:
    """Return the image files of a folder, sorted by name, without those that begin with a dot.

    Args:
        folder: where.
        others: also the files of labels that are no images.
    """
    suffixes = SUFFIXES | OTHER_LABELS if others else SUFFIXES
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and (not path.is_dir() or is_zarr(path))
    )


def find_arrays(folder: Path) -> list[Path]:
    """Return the NumPy files of a folder that are not Cellpose's, sorted by name."""
    return sorted(path for path in folder.glob("[!.]*.npy") if not path.stem.endswith("_seg"))


def stem(path: Path) -> str:
    """Return a file's name without its extension, ``.ome`` included."""
    return path.stem.removesuffix(".ome")


def label_stem(path: Path) -> str:
    """Return the name of the image that a label file belongs to, without its extension."""
    ending = next((ending for ending in ENDINGS if stem(path).endswith(ending)), "")
    return stem(path).removesuffix(ending)


def labels_among(files: Sequence[Path]) -> dict[Path, None]:
    """Return those files of one folder, in their order, that hold the labels of an image in it, by their names."""
    images = {stem(path) for path in files if path.suffix.lower() in SUFFIXES}
    labelling = [path for path in files if stem(path).endswith(ENDINGS) or path.suffix.lower() in OTHER_LABELS]
    return dict.fromkeys(path for path in labelling if label_stem(path) in images)


def by_stem(paths: Sequence[Path]) -> dict[str, Path]:
    """Return files by their names without extensions.

    Raises:
        DataError: two have the same; both are named.
    """
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(stem(path), path)
        if other != path:
            raise DataError(f"{path}: has the name of {other}, extensions aside; keep one of them")
    return found


def pair(images: Sequence[Path], labels: Sequence[Path]) -> dict[Path, Path]:
    """Return the label file of each image: of the same name, or with one of `ENDINGS`.

    Raises:
        DataError: two label files for an image, two images of one name, an image without labels, labels without one.
    """
    named = by_stem(images)
    found: dict[Path, Path] = {}
    alone = []
    for path in labels:
        image = named.get(stem(path)) or named.get(label_stem(path))
        if image is None:
            alone.append(path)
            continue
        other = found.setdefault(image, path)
        if other != path:
            raise DataError(f"{image}: has two files of labels, {other} and {path}; keep one of them")
    for image in images:
        if image not in found:
            raise DataError(f"{image}: no labels of this name in {labels[0].parent if labels else image.parent}")
    if alone:
        raise DataError(f"{alone[0]}: no image of this name in {images[0].parent}")
    return {image: found[image] for image in images}
