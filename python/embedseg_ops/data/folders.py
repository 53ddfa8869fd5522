"""Folders of images with labels, in the layouts that data sets come in."""

from dataclasses import dataclass
from pathlib import Path

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.formats import SUFFIXES
from embedseg_ops.data.names import LABEL_FOLDERS, find_arrays, find_files, labels_among, pair
from embedseg_ops.data.outlines import coco

BBBC006_IMAGES = "BBBC006_v1_images_z_16"
EXPECTED = (
    "expected images/ beside labels/ or masks/, labels beside images (NAME.png and NAME_masks.png, NAME_seg.npy, …), "
    "COCO's JSON, or the layout of Kaggle 2018 (ID/images, ID/masks), BBBC006 or CVPPP 2017"
)


@dataclass(frozen=True)
class Source:
    """The files of one sample.

    Args:
        image: the image file.
        labels: one file of labels, or a mask for each object.
        masks: whether `labels` are masks.
    """

    image: Path
    labels: tuple[Path, ...]
    masks: bool = False


def find_sources(folder: str | Path) -> list[Source]:
    """Return every image of a folder with its label files, sorted by name.

    Understands ``images/`` beside ``labels/`` or ``masks/`` (the same names, extensions aside, or with one of `ENDINGS`
    after them; NumPy's files where there are no others), images with their labels beside them (Cellpose's
    ``NAME_masks.png`` and ``NAME_seg.npy``, ROIs in ``NAME.zip``), COCO's JSON, Kaggle 2018 (``ID/images/*.png`` beside
    ``ID/masks/*.png``), BBBC006 (``BBBC006_v1_images_z_16`` beside ``BBBC006_v1_labels``; the nuclei, ``w1``) and
    CVPPP 2017 (``*_rgb.png`` beside ``*_label.png``). Names that begin with a dot are skipped.

    Raises:
        DataError: no such folder or layout, an image without labels, labels without an image, two of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    annotations = sorted(folder.glob("*.json"))
    if annotations:
        return coco_sources(folder, annotations)
    if (folder / "images").is_dir():
        return sources_by_name(folder)
    if (folder / BBBC006_IMAGES).is_dir():
        return bbbc006_sources(folder)
    leaves = [path for path in find_files(folder) if path.stem.endswith("_rgb")]
    if leaves:
        return [Source(leaf, (leaf.with_name(leaf.name.replace("_rgb", "_label")),)) for leaf in leaves]
    samples = [child for child in sorted(folder.iterdir()) if (child / "images").is_dir()]
    if samples:
        return [kaggle_source(child) for child in samples]
    return flat_sources(folder)


def bbbc006_sources(folder: Path) -> list[Source]:
    """Return the nuclei of BBBC006, in focus: ``NAME_w1UUID.tif`` belongs to ``NAME.png``."""
    images = sorted((folder / BBBC006_IMAGES).glob("[!.]*_w1*.tif"))
    if not images:
        raise DataError(f"{folder / BBBC006_IMAGES}: no image *_w1*.tif in it")
    labels = folder / "BBBC006_v1_labels"
    return [Source(image, (labels / f"{image.name.rpartition('_w1')[0]}.png",)) for image in images]


def sources_by_name(folder: Path) -> list[Source]:
    """Return the pairs of ``images/`` and ``labels/`` or ``masks/``; labels may also be in ``images/``."""
    label_folder = next((folder / name for name in LABEL_FOLDERS if (folder / name).is_dir()), None)
    images = find_files(folder / "images") or find_arrays(folder / "images")
    if not images:
        raise DataError(f"{folder / 'images'}: no image in it ({', '.join(sorted(SUFFIXES))})")
    if label_folder is None:
        if not labels_among(find_files(folder / "images", others=True)):
            raise DataError(f"{folder}: has images/, but neither labels/ nor masks/")
        return flat_sources(folder / "images")
    return [Source(image, (path,)) for image, path in pair(images, find_files(label_folder, others=True)).items()]


def flat_sources(folder: Path) -> list[Source]:
    """Return the images of a folder that has their labels beside them."""
    files = find_files(folder, others=True)
    labels = labels_among(files)
    images = [path for path in files if path not in labels and path.suffix.lower() in SUFFIXES]
    if not labels or not images:
        raise DataError(f"{folder}: {EXPECTED}")
    return [Source(image, (path,)) for image, path in pair(images, list(labels)).items()]


def kaggle_source(folder: Path) -> Source:
    """Return the one image of a Kaggle folder with its masks."""
    images = find_files(folder / "images")
    if len(images) != 1:
        raise DataError(f"{folder / 'images'}: {len(images)} images, expected 1")
    if not (folder / "masks").is_dir():
        raise DataError(f"{folder}: has images/, but no masks/")
    return Source(images[0], tuple(find_files(folder / "masks")), masks=True)


def coco_sources(folder: Path, annotations: list[Path]) -> list[Source]:
    """Return the images of COCO's JSON, which lie beside it or in ``images/``."""
    if len(annotations) > 1:
        raise DataError(f"{folder}: has {annotations[0].name} and {annotations[1].name}; keep one")
    sources = []
    for name in sorted(coco(annotations[0])["images"]):
        places = [folder / name, folder / "images" / name]
        image = next((place for place in places if place.exists()), None)
        if image is None:
            raise DataError(f"{annotations[0]}: names {name}, which is neither in {folder} nor in images/")
        sources.append(Source(image, (annotations[0],)))
    return sources
