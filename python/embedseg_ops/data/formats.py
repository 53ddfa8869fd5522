"""Which reader a file belongs to: its first bytes decide, and its name where they cannot."""

import warnings
from pathlib import Path

from embedseg_ops.data.arrays import BEGINNING, open_array
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.microscopes import READERS, open_microscope
from embedseg_ops.data.ome_zarr import is_zarr, open_zarr
from embedseg_ops.data.pictures import open_picture
from embedseg_ops.data.stored import Stored
from embedseg_ops.data.tiff import open_tiff

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
TIFFS = (".tif", ".tiff", ".lsm", ".stk", ".svs", ".ndpi")
ZARRS = (".zarr",)
SUFFIXES = {*PICTURES, *TIFFS, *ZARRS, *READERS}
TIFF_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_stored(
    path: Path, series: int | None = None, level: int = 0, as_stored: bool = False, windows: bool = False
) -> Stored:
    """Open an image of a file; see `open_tiff` for the arguments.

    Raises:
        DataError: not an image, or without the series or level.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoders' own, of odd files; what is damaged is an error
        return opened(path, series, level, as_stored, windows)


def opened(path: Path, series: int | None, level: int, as_stored: bool, windows: bool) -> Stored:
    """Open an image of a file by the reader that it belongs to."""
    if path.is_dir() and not is_zarr(path):
        raise DataError(f"{path}: a folder without Zarr's metadata, expected an image")
    if path.is_dir():
        return open_zarr(path, series, level)
    if path.suffix.lower() in READERS:
        return open_microscope(path, series, level)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise DataError(f"{path}: a pipe, a socket or a device, expected a file")
    with path.open("rb") as file:
        beginning = file.read(4)
    if not beginning:
        raise DataError(f"{path}: empty, 0 bytes")
    if beginning in TIFF_BEGINNINGS:
        return open_tiff(path, series, level, as_stored, windows)
    if series or level:
        raise DataError(f"{path}: holds one image; series and level are for TIFF, Zarr and microscopes' files")
    if beginning == BEGINNING:
        return open_array(path)
    return open_picture(path, as_stored)
