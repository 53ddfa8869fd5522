"""What stored numbers look like: colour tables, inks, white as zero, the way a camera was held."""

import numpy as np

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, Pillow's and OpenCV's weights of red, green and blue


def grey(colours: np.ndarray, axis: int) -> np.ndarray:
    """Return the luminance of red, green and blue as float32, with an axis of length 1."""
    weights = np.array(LUMA, np.float32).reshape([-1 if number == axis else 1 for number in range(colours.ndim)])
    return np.asarray((colours * weights).sum(axis, dtype=np.float32, keepdims=True))


def from_inks(inks: np.ndarray) -> np.ndarray:
    """Return red, green and blue of cyan, magenta, yellow and black in the last axis; unsigned integers."""
    most = int(np.iinfo(inks.dtype).max)
    light = most - inks.astype(np.uint64)
    return np.asarray((light[..., :3] * light[..., 3:4] + most // 2) // most, inks.dtype)


def from_table(indices: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return 8-bit colours of indices into a TIFF's table ``[3, N]`` of 16-bit colours; some writers store 8 bits."""
    if table.max() > 255:
        table = table >> 8
    return np.asarray(np.moveaxis(table.astype(np.uint8), 0, -1)[indices])


def inverted(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Return unsigned integers of `bits` bits, in which white is zero, with black as zero."""
    return np.asarray(2**bits - 1 - pixels.astype(np.uint64), pixels.dtype)


def upright(pixels: np.ndarray, orientation: int, rows: int = 0, columns: int = 1) -> np.ndarray:
    """Return an image as it is looked at, from an EXIF or TIFF orientation, 1–8; `rows` and `columns` are axes."""
    if orientation in (2, 3, 6, 7):  # 6 and 7 are turned: what is flipped here are rows of the result
        pixels = np.flip(pixels, columns if orientation < 5 else rows)
    if orientation in (3, 4, 7, 8):
        pixels = np.flip(pixels, rows if orientation < 5 else columns)
    return pixels.swapaxes(rows, columns) if orientation >= 5 else pixels
