"""Percentiles of a whole image that does not fit into memory."""

from typing import Any

import numpy as np

from embedseg_ops.predict.blocks.grid import Grid

STEP = 2048  # pixels along an axis that are read at a time
EXACT = 1 << 24  # values of a channel that are looked at, of those that no histogram counts
COUNTED = {np.dtype(name) for name in ("bool", "uint8", "int8", "uint16", "int16")}


def image_percentiles(image: Any, percentiles: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return two percentiles of each channel of ``[C, *spatial]``, as ``[C, 1, …]``.

    Of integers of up to 16 bits they are those of `numpy.percentile`, from a histogram. Of others, too, in an image
    with up to 2²⁴ pixels; in a larger one, those of so many pixels evenly spread.

    Raises:
        ValueError: the image has values that are not finite.
    """
    if np.dtype(image.dtype) in COUNTED:
        found = np.array([from_histogram(counts, percentiles, image.dtype) for counts in histograms(image)]).T
    else:
        found = np.array([np.percentile(values, percentiles) for values in sample(image)]).T
    low, high = (values.reshape(-1, *[1] * (len(image.shape) - 1)) for values in found)
    return low, high


def pieces(image: Any) -> Any:
    """Yield ``[C, *part]``, part after part."""
    grid = Grid(tuple(image.shape[1:]), (STEP,) * 2 if len(image.shape) == 3 else (STEP // 16,) * 3)
    for block in range(len(grid)):
        yield block, np.asarray(image[(slice(None), *grid.box(block))])


def histograms(image: Any) -> np.ndarray:
    """Return how often each value occurs, int64 ``[C, values]``, the smallest of the dtype first."""
    smallest, largest = value_range(image.dtype)
    counts = np.zeros((image.shape[0], largest - smallest + 1), np.int64)
    for _, piece in pieces(image):
        for channel, own in zip(piece, counts, strict=True):
            own += np.bincount(channel.ravel().astype(np.int64) - smallest, minlength=len(own))
    return counts


def value_range(dtype: Any) -> tuple[int, int]:
    """Return the smallest and the largest value of an integer dtype, or of bool."""
    kind = np.dtype(dtype)
    return (0, 1) if kind.kind == "b" else (int(np.iinfo(kind).min), int(np.iinfo(kind).max))


def from_histogram(counts: np.ndarray, percentiles: tuple[float, float], dtype: Any) -> list[float]:
    """Return percentiles as `numpy.percentile` does, by linear interpolation between two values, to the bit."""
    smallest, _ = value_range(dtype)
    ends = np.cumsum(counts)
    found = []
    for percentile in percentiles:
        place = (int(ends[-1]) - 1) * (percentile / 100)
        before = int(place)
        low, high = (
            float(smallest + np.searchsorted(ends, min(index, int(ends[-1]) - 1), side="right"))
            for index in (before, before + 1)
        )
        share = place - before
        found.append(high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share)
    return found


def sample(image: Any) -> np.ndarray:
    """Return values of each channel ``[C, values]``: all, or up to 2²⁴ that are evenly spread."""
    pixels = int(np.prod(image.shape[1:]))
    step = -(-pixels // EXACT)
    found = []
    for _, piece in pieces(image):
        flat = piece.reshape(len(piece), -1)
        if flat.dtype.kind == "f" and not np.isfinite(flat).all():
            raise ValueError(
                f"image has {np.count_nonzero(~np.isfinite(flat))} or more values that are not finite: "
                'give nan="zero" to take them as 0'
            )
        found.append(flat[:, ::step])
    return np.concatenate(found, 1)
