"""TIFF and what is built on it (OME, ImageJ, LSM, slides), read by tifffile."""

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPageSeries

from embedseg_ops.data.colours import from_inks, from_table, inverted, upright
from embedseg_ops.data.errors import DataError, check_memory
from embedseg_ops.data.stored import Pixels, Stored, native
from embedseg_ops.data.tiff_metadata import channel_names, colour_samples, number_of, pixel_size, scientific

LAZY_BYTES = 2**28  # smaller images are read at once
WINDOWS_BYTES = 2**22  # so are those that are compressed, where windows are wanted
ORIENTATION = 274  # the tag
BECOME_RGB = (COMPRESSION.JPEG, COMPRESSION.APERIO_JP2000_YCBC)  # whose decoders turn YCbCr into RGB
AS_THEY_ARE = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.MASK)


def open_tiff(
    path: Path, series: int | None = None, level: int = 0, as_stored: bool = False, windows: bool = False
) -> Stored:
    """Open one image of a TIFF file; a large one lazily, where nothing has to be done to its numbers.

    Args:
        path: the file.
        series: which of several images.
        level: of a pyramid; 0 is the largest.
        as_stored: numbers as they are, without colour tables and white as zero, for label maps.
        windows: small parts of it will be read, again and again; so leave in the file what can be read in parts.
    """
    with quiet(path), TiffFile(path) as file:
        chosen, notes = choose(path, file, series)
        if not 0 <= level < len(chosen.levels):
            raise DataError(f"{path}: no level {level}; it has {len(chosen.levels)}, from 0")
        page: Any = chosen.keyframe
        axes, sizes, names = chosen.axes, pixel_size(file, chosen, level), channel_names(file, chosen)
        orientation = orientation_of(page)
        as_stored |= page.photometric == PHOTOMETRIC.PALETTE and scientific(file)
        if page.compression == COMPRESSION.OJPEG or (
            page.photometric == PHOTOMETRIC.YCBCR and page.compression not in BECOME_RGB
        ):
            check_memory(path, page.nbytes)
            pixels: Pixels = through_pillow(path, page.index)
            axes = "YXS"
        elif orientation == 1 and is_lazy(chosen.levels[level], windows) and plain(page, as_stored):
            pixels = lazy(path, chosen, level)
        else:
            check_memory(path, chosen.levels[level].nbytes)
            numbers = native(np.asarray(chosen.asarray(level=level)))
            numbers, axes = coloured(path, numbers, axes, page, as_stored)
            pixels = upright(numbers, orientation, axes.index("Y"), axes.index("X"))
    samples = colour_samples(page)
    if samples is None and "C" not in axes:
        axes = axes.replace("S", "C")
    return Stored(path, pixels, axes, sizes, names, samples, notes)


@contextmanager
def quiet(path: Path) -> Iterator[None]:
    """Keep tifffile from writing to the terminal; what it calls an error is one."""
    logger, errors = logging.getLogger("tifffile"), []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR or "zeroed" in record.getMessage():  # files that an OME-TIFF names
            errors.append(record.getMessage())
        return False

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
    if errors:
        raise DataError(f"{path}: damaged: {errors[0]}")


def choose(path: Path, file: TiffFile, number: int | None) -> tuple[TiffPageSeries, tuple[str, ...]]:
    """Return the image to read, and what is said about it; thumbnails and masks are none.

    A slide's first image is the slide. Of several equal ones the caller has to choose.
    """
    images = [one for one in file.series if "Y" in one.axes and not (one.keyframe.is_reduced or one.keyframe.is_mask)]
    images = images or [one for one in file.series if "Y" in one.axes]
    if not images:
        raise DataError(f"{path}: holds no image")
    if number is not None:
        if not 0 <= number < len(images):
            raise DataError(f"{path}: no series {number}; it has {len(images)}, from 0")
        return images[number], ()
    if len(images) == 1:
        return images[0], ()
    if len(images[0].levels) > 1:
        return images[0], (f"the largest of its {len(images)} images is read",)
    listed = ", ".join(f"{number}: {' x '.join(map(str, one.shape))}" for number, one in enumerate(images[:8]))
    raise DataError(f"{path}: holds {len(images)} images; choose one with series (--series): {listed}")


def plain(page: Any, as_stored: bool) -> bool:
    """Return whether numbers are pixels as they are."""
    kind = page.photometric
    if kind == PHOTOMETRIC.YCBCR:
        return page.compression in BECOME_RGB
    return kind in AS_THEY_ARE or (as_stored and kind in (PHOTOMETRIC.PALETTE, PHOTOMETRIC.MINISWHITE))


def coloured(path: Path, pixels: np.ndarray, axes: str, page: Any, as_stored: bool) -> tuple[np.ndarray, str]:
    """Return pixels, and their axes, with colour tables, inks and white as zero made into what they look like."""
    kind = page.photometric
    if plain(page, as_stored):
        return pixels, axes
    if kind == PHOTOMETRIC.MINISWHITE:  # of other numbers than these nobody knows what black is
        return inverted(pixels, page.bitspersample) if pixels.dtype.kind == "u" else pixels, axes
    if kind == PHOTOMETRIC.PALETTE and page.colormap is not None:
        if "S" in axes:  # what comes after the index is alpha
            pixels, axes = pixels.take(0, axes.index("S")), axes.replace("S", "")
        return from_table(pixels, page.colormap), axes + "S"
    if kind == PHOTOMETRIC.SEPARATED and page.samplesperpixel >= 4 and pixels.dtype.kind == "u":
        last = np.moveaxis(pixels, axes.index("S"), -1)
        return from_inks(last), axes.replace("S", "") + "S"
    name = PHOTOMETRIC(kind).name if kind in list(PHOTOMETRIC) else kind
    raise DataError(f"{path}: its colours ({name}, {pixels.dtype}) are not read; save it as RGB or grey")


def orientation_of(page: Any) -> int:
    """Return how an image is turned, 1 to 8."""
    value = page.tags.valueof(ORIENTATION, 1)
    return int(value) if value in range(1, 9) else 1


def is_lazy(chosen: TiffPageSeries, windows: bool) -> bool:
    """Return whether an image is read when it is sliced; one in one compressed piece would be decoded each time."""
    if not windows:
        return chosen.nbytes > LAZY_BYTES
    in_pieces = len(chosen) > 1 or len(chosen.keyframe.dataoffsets) > 1
    return chosen.dataoffset is not None or (chosen.nbytes > WINDOWS_BYTES and in_pieces)


def through_pillow(path: Path, number: int) -> np.ndarray:
    """Return a page as RGB through libtiff, which knows subsampled YCbCr and old-style JPEG."""
    with Image.open(path, formats=("TIFF",)) as picture:
        picture.seek(number)
        return np.asarray(picture.convert("RGB"))


def lazy(path: Path, series: TiffPageSeries, level: int) -> Pixels:
    """Return pixels that are read when they are sliced: mapped into memory, or through Zarr."""
    chosen = series.levels[level]
    if chosen.dataoffset is not None:
        order = chosen.keyframe.parent.byteorder
        return np.memmap(path, chosen.dtype.newbyteorder(order), "r", chosen.dataoffset, chosen.shape)
    try:
        import zarr
    except ImportError:
        return np.asarray(chosen.asarray())
    file = TiffFile(path)
    return ThroughZarr(file, zarr.open_array(file.aszarr(series=number_of(series), level=level), mode="r"))


class ThroughZarr:
    """Pixels of a TIFF that stays open as long as they are there."""

    def __init__(self, file: TiffFile, array: Any):
        self.array, self.shape, self.dtype = array, tuple(array.shape), array.dtype
        weakref.finalize(self, file.close)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return a part, decoded."""
        return np.asarray(self.array[key])
