"""``python -m benchmarks.formats FOLDER``: how many image files are read as other programs read them.

Every file below FOLDER is read as the package reads it, and by decoders that the package does not use for it: Pillow
(libtiff) for TIFF, OpenCV and imagecodecs for the rest. A file counts as read when one of them has the same pixels.
"""

import argparse
import collections
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageOps

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.images import read

READ = ("read", "read after a choice", "read here alone", "others disagree")
FAILED = ("refused", "refused, but readable", "wrong", "traceback")
ORIENTATION = 274  # the tag
TURNED = {3: lambda pixels: np.rot90(pixels, 2), 6: lambda pixels: np.rot90(pixels, -1), 8: np.rot90}
ROUNDING = 2.0  # levels of 256, from 16 bits and between formulas for inks
DISPUTED = {  # files of which no other decoder reads what they hold
    "flower-separated-contig-16.tif": "Pillow swaps bytes; here equal to flower-separated-contig-08.tif",
    "flower-separated-planar-16.tif": "the same",
    "crash-74d2a78403a5a59db1fb0a2b8735ac068a75f6e3.tif": "a damaged fax; libtiff fills other pixels than imagecodecs",
    "hpredict-1c-12b.tiff": "libtiff leaves the predictor out where nothing is compressed",
}
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".lsm", ".svs", ".mpo")
LOSSY = 3.0  # levels of 256, on average, that decoders of JPEG and WebP may differ by
SCALES = (1, 3, 4, 15, 16, 17, 64, 85, 255, 257)  # between grey levels of different numbers of bits


def main() -> None:
    """Print the table, and the files that differ or fail."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.formats", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="print a line for every file")
    options = parser.parse_args()
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for path in sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        outcome, reason = judge(path)
        counts[path.suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif")][outcome] += 1
        if options.all or outcome in ("others disagree", *FAILED[1:]):
            print(f"{outcome}: {path.relative_to(options.folder)}: {reason}")
    print(table(counts))


def judge(path: Path) -> tuple[str, str]:
    """Return what became of a file, and why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ours, outcome = planes(path)
        except DataError as error:
            return ("refused, but readable" if any(True for _ in others(path)) else "refused"), str(error)
        except Exception as error:
            return "traceback", repr(error)
        agreeing, differing = [], []
        for name, theirs in others(path):
            if theirs.min() == theirs.max() and ours.min() < ours.max():
                continue  # OpenCV's answer where it cannot decode
            if agree(ours, theirs, path):
                agreeing.append(name)
            else:
                differing.append(f"{name} {describe(theirs)} differs by {difference(ours, theirs)}")
    reason = f"{describe(ours)}; {'; '.join(differing)}"
    if set(agreeing) - {own_library(path)}:
        return outcome, reason
    if agreeing or path.name in DISPUTED:
        return ("others disagree" if differing else outcome), reason
    return ("wrong" if differing else "read here alone"), reason


def own_library(path: Path) -> str:
    """Return whose decoders the package uses for a file, so that their agreement says less."""
    return "none" if is_tiff(path) else "pillow"


def is_tiff(path: Path) -> bool:
    """Return whether a file begins like a TIFF."""
    return path.read_bytes()[:2] in (b"II", b"MM")


def planes(path: Path) -> tuple[np.ndarray, str]:
    """Return the first picture of a file as ``[Y, X]`` or ``[Y, X, C]``, after a choice where one is asked for."""
    outcome = "read"
    choice: dict[str, object] = {}
    for _ in range(4):
        try:
            pixels = np.asarray(read(path, **choice).pixels)
            pixels = np.moveaxis(pixels, -3, -1)
            return (pixels[..., 0] if pixels.shape[-1] == 1 else pixels), outcome
        except DataError as error:
            way = next((name for name in ("series", "time", "z") if f"(--{name})" in str(error)), None)
            way = way or ("time" if "some without a name" in str(error) else None)
            if way is None or way in choice:
                raise
            choice[way], outcome = 0, "read after a choice"
    raise AssertionError(path)


def others(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the same picture by other decoders, their alpha still in it."""
    for reader in (with_opencv, with_imagecodecs, with_pillow):
        try:
            yield reader.__name__.removeprefix("with_"), reader(path)
        except Exception:
            continue


def with_pillow(path: Path) -> np.ndarray:
    """Read a picture by Pillow; for TIFF this is libtiff."""
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened)
        if picture.mode in ("P", "PA", "CMYK", "YCbCr", "RGBX"):
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        return np.asarray(picture)


def with_opencv(path: Path) -> np.ndarray:
    """Read a picture by OpenCV."""
    pixels = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if pixels is None:
        raise ValueError(path)
    return pixels[..., 2::-1] if pixels.ndim == 3 else pixels


def with_imagecodecs(path: Path) -> np.ndarray:
    """Read a picture by imagecodecs; for TIFF this is libtiff."""
    if path.suffix.lower() == ".bmp":
        raise ValueError("it crashes on damaged ones")
    if not is_tiff(path):
        return np.asarray(imagecodecs.imread(path))
    pixels = np.asarray(imagecodecs.tiff_decode(path.read_bytes(), index=0))
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        shown = file.is_imagej or file.is_ome  # colours are for the display alone
    if page.photometric == 3 and not shown:
        raise ValueError("indices, not colours")
    if page.photometric == 0 and pixels.dtype.kind == "u":
        pixels = (2**page.bitspersample - 1 - pixels.astype(np.int64)).astype(pixels.dtype)
    pixels = np.moveaxis(pixels, 0, -1) if page.planarconfig == 2 and pixels.ndim == 3 else pixels
    return TURNED.get(page.tags.valueof(ORIENTATION), np.asarray)(pixels)


def agree(ours: np.ndarray, theirs: np.ndarray, path: Path) -> bool:
    """Return whether two pictures are the same, up to bits a level and what lossy decoders are free to do."""
    theirs = theirs[0] if theirs.ndim == 4 else theirs
    if ours.shape == theirs.shape and same(ours, theirs):
        return True
    theirs, opaque = without_alpha(theirs)
    if theirs.ndim == 3 and ours.ndim == 2 and (theirs == theirs[..., :1]).all():
        theirs = theirs[..., 0]
    if theirs.ndim == 2 and ours.ndim == 3:  # they show the first channel or page, or grey where we have equal colours
        ours = ours[..., 0]
    if ours.shape != theirs.shape:
        return False
    one, other = ours[opaque].astype(np.float64), theirs[opaque].astype(np.float64)
    if any(same(one * scale, other) or same(one, other * scale) for scale in SCALES):
        return True
    if (
        theirs.dtype == np.uint8
        and np.abs(one / (257 if ours.dtype == np.uint16 else 1) - other).max(initial=0) <= ROUNDING
    ):
        return True
    lossy = any(mark in path.read_bytes()[:16] for mark in (b"\xff\xd8\xff", b"WEBP"))
    return bool(lossy and np.abs(one - other).mean() <= LOSSY)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays are equal."""
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" and other.dtype.kind == "f")


def without_alpha(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture without its alpha, and where it is not transparent."""
    if pixels.ndim == 3 and pixels.shape[-1] in (2, 4, 5):  # 5: and one more
        colours = 1 if pixels.shape[-1] == 2 else 3
        opaque = pixels[..., colours] != 0
        pixels = pixels[..., :colours]
    else:
        opaque = np.ones(pixels.shape[:2], bool)
    return (pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels), opaque


def difference(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Return by how much two pictures differ."""
    if ours.shape != theirs.shape:
        return "shape"
    return f"{np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).mean():.3g}"


def describe(pixels: np.ndarray) -> str:
    """Return the shape and type of a picture."""
    return f"{pixels.shape} {pixels.dtype}"


def table(counts: dict[str, collections.Counter[str]]) -> str:
    """Return the numbers of files as Markdown."""
    outcomes = [*READ, *FAILED]
    rows = [f"| | {' | '.join(outcomes)} |", f"| --- |{' ---: |' * len(outcomes)}"]
    total: collections.Counter[str] = sum(counts.values(), collections.Counter())
    for name, counted in [*sorted(counts.items()), ("all", total)]:
        rows.append(f"| {name} | {' | '.join(str(counted[outcome]) for outcome in outcomes)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
