"""Folders of images with labels, in the layouts that data sets come in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.formats import SUFFIXES
from embedseg_ops.data.labels import read_labels

LABEL_FOLDERS = ("labels", "masks")
BBBC006_IMAGES = "BBBC006_v1_images_z_16"
LABEL_ENDINGS = ("_labels", "_label", "_masks", "_mask")


@dataclass(frozen=True)
class Source:
    """The files of one sample.

    Args:
        image: the image file.
        labels: one label map, or a mask for each object.
        masks: whether `labels` are masks.
    """

    image: Path
    labels: tuple[Path, ...]
    masks: bool = False


def find_files(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def find_sources(folder: str | Path) -> list[Source]:
    """Return every image of a folder with its label files, sorted by name.

    Understands ``images/`` beside ``labels/`` or ``masks/`` (the same file names, extensions aside, or with
    ``_label`` or ``_mask`` at the end), and the layouts that data sets come in: Kaggle 2018 (``ID/images/*.png`` beside
    ``ID/masks/*.png``), BBBC006 (``BBBC006_v1_images_z_16`` beside ``BBBC006_v1_labels``; the nuclei, ``w1``) and
    CVPPP 2017 (``*_rgb.png`` beside ``*_label.png``).

    Raises:
        DataError: no such folder or layout, an image without labels, labels without an image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if (folder / "images").is_dir():
        return sources_by_name(folder)
    if (folder / BBBC006_IMAGES).is_dir():
        return bbbc006_sources(folder)
    leaves = sorted(folder.glob("*_rgb.png"))
    if leaves:
        return [Source(leaf, (leaf.with_name(leaf.name.replace("_rgb", "_label")),)) for leaf in leaves]
    samples = [child for child in sorted(folder.iterdir()) if (child / "images").is_dir()]
    if not samples:
        raise DataError(
            f"{folder}: expected images/ beside labels/ or masks/, or the layout of Kaggle 2018 (ID/images, ID/masks), "
            "BBBC006 or CVPPP 2017"
        )
    return [kaggle_source(child) for child in samples]


def bbbc006_sources(folder: Path) -> list[Source]:
    """Return the nuclei of BBBC006, in focus: ``NAME_w1UUID.tif`` belongs to ``NAME.png``."""
    images = sorted((folder / BBBC006_IMAGES).glob("*_w1*.tif"))
    if not images:
        raise DataError(f"{folder / BBBC006_IMAGES}: no image *_w1*.tif in it")
    labels = folder / "BBBC006_v1_labels"
    return [Source(image, (labels / f"{image.name.rpartition('_w1')[0]}.png",)) for image in images]


def sources_by_name(folder: Path) -> list[Source]:
    """Return the pairs of ``images/`` and ``labels/`` or ``masks/``."""
    label_folder = next((folder / name for name in LABEL_FOLDERS if (folder / name).is_dir()), None)
    if label_folder is None:
        raise DataError(f"{folder}: has images/, but neither {' nor '.join(f'{name}/' for name in LABEL_FOLDERS)}")
    images = find_files(folder / "images")
    if not images:
        raise DataError(f"{folder / 'images'}: no image in it ({', '.join(sorted(SUFFIXES))})")
    labels = {label_stem(path): path for path in find_files(label_folder)}
    for image in images:
        if image.stem not in labels:
            raise DataError(f"{image}: no labels of this name in {label_folder}")
    for stem in sorted(set(labels) - {image.stem for image in images}):
        raise DataError(f"{labels[stem]}: no image of this name in {folder / 'images'}")
    return [Source(image, (labels[image.stem],)) for image in images]


def label_stem(path: Path) -> str:
    """Return the name of the image that a label file belongs to, without its extension."""
    ending = next((ending for ending in LABEL_ENDINGS if path.stem.endswith(ending)), "")
    return path.stem.removesuffix(ending)


def kaggle_source(folder: Path) -> Source:
    """Return the one image of a Kaggle folder with its masks."""
    images = find_files(folder / "images")
    if len(images) != 1:
        raise DataError(f"{folder / 'images'}: {len(images)} images, expected 1")
    if not (folder / "masks").is_dir():
        raise DataError(f"{folder}: has images/, but no masks/")
    return Source(images[0], tuple(find_files(folder / "masks")), masks=True)


def read_source_labels(source: Source, shape: tuple[int, ...]) -> np.ndarray:
    """Return the labels of a sample as int32 ``[*spatial]``; masks are numbered 1, 2, … in the order of their names.

    Raises:
        DataError: unreadable, not integers, or of another size than the image's `shape`.
    """
    labels = np.zeros(shape, np.int32)
    for number, path in enumerate(source.labels, 1):
        read = read_labels(path, len(shape))
        if read.shape != shape:
            raise DataError(f"{path}: size {read.shape}, but its image {source.image} has size {shape}")
        labels = np.where(read > 0, number, labels) if source.masks else read
    return labels.astype(np.int32)
