"""Samples in memory: images, normalised, and their labels."""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embedseg_ops.data.errors import DataError, DataWarning
from embedseg_ops.data.folders import Source, find_sources
from embedseg_ops.data.images import read, warn_of_notes
from embedseg_ops.data.labels import read_source_labels
from embedseg_ops.data.progress import steps
from embedseg_ops.data.scale import median_diameter
from embedseg_ops.data.windows import Sliced, bands
from embedseg_ops.ops.numbers import check_percentiles

Percentiles = tuple[float, float]


@dataclass(frozen=True)
class Sample:
    """One image and its labels.

    Args:
        name: the image's path.
        image: float32 ``[C, *spatial]``, normalised.
        labels: int32 ``[*spatial]``.
        pixel_size: µm of a pixel along each spatial axis, where the file says all of them.
    """

    name: str
    image: Tensor
    labels: Tensor
    pixel_size: tuple[float, ...] | None = None

    def __reduce__(self) -> Any:
        """Travel to another process as bytes: a tensor would take an open file each."""
        return from_arrays, (self.name, self.image.numpy(), self.labels.numpy(), self.pixel_size)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size, ``spatial``."""
        return tuple(self.labels.shape)

    @property
    def diameter(self) -> float | None:
        """The median diameter of the objects, in pixels; None without any."""
        return median_diameter(self.labels)

    @property
    def digest(self) -> bytes:
        """A digest of pixels and labels."""
        return digest_of(self.image, self.labels)

    def open(self) -> "Opened":
        """Return what windows are cut out of."""
        return Opened(self.image, self.labels, 0)


@dataclass(frozen=True)
class Opened:
    """A sample that windows are cut out of.

    Args:
        image: float32 ``[C, *spatial]``, normalised.
        labels: int32 ``[*spatial]``.
        held: bytes of memory that it takes while it is open.
    """

    image: Sliced
    labels: Sliced
    held: int


def from_arrays(name: str, image: np.ndarray, labels: np.ndarray, pixel_size: tuple[float, ...] | None) -> Sample:
    """Return a sample of arrays."""
    return Sample(name, torch.from_numpy(image), torch.from_numpy(labels), pixel_size)


def digest_of(image: Sliced, labels: Sliced) -> bytes:
    """Return a digest of pixels and labels, read in parts."""
    found = hashlib.blake2b(digest_size=16)
    feed(found, image, labels)
    return found.digest()


def feed(found: hashlib.blake2b, image: Sliced, labels: Sliced) -> None:
    """Add pixels and labels to a digest."""
    for pixels in (image, labels):
        found.update(repr(list(pixels.shape)).encode())
        for key in bands(tuple(pixels.shape)):
            found.update(pixels[key].contiguous().numpy().data)


def normalize(image: np.ndarray, percentiles: Percentiles = (1.0, 99.8)) -> Tensor:
    """Return ``[C, *spatial]`` as float32 where, channel by channel, `percentiles` (in percent) become 0 and 1.

    A channel whose two percentiles are equal is only shifted. A bool image is 0 and 1.
    """
    image = image.astype(np.uint8) if image.dtype == np.bool_ else image
    return stretch(image, *ends(image, percentiles))


def ends(image: np.ndarray, percentiles: Percentiles) -> tuple[np.ndarray, np.ndarray]:
    """Return what `normalize` makes 0 and 1 in each channel, ``[C, 1, …]``; errors name `percentiles`."""
    low, high = np.percentile(image, check_percentiles(percentiles), axis=tuple(range(1, image.ndim)), keepdims=True)
    return low, high


def stretch(image: np.ndarray, low: np.ndarray, high: np.ndarray) -> Tensor:
    """Return ``[C, *spatial]`` as float32 where `low` and `high` of each channel, ``[C, 1, …]``, become 0 and 1."""
    width = np.where(high > low, high - low, 1)
    return torch.from_numpy(((image - low) / width).astype(np.float32))


def load_sample(
    source: Source, percentiles: Percentiles = (1.0, 99.8), spatial_dims: int = 2,
    channels: int | None = None, **choice: Any,
) -> Sample:  # fmt: skip
    """Read one image and its labels.

    Args:
        source: the files.
        percentiles: see `normalize`.
        spatial_dims: 2 or 3.
        channels: how many the image must have; None: any number.
        choice: which channel, plane or series, as of `embedseg_ops.data.images.read`.

    Raises:
        DataError: naming the file and what is wrong with it.
    """
    image, size = read_finite(source, spatial_dims, channels=channels, **choice)
    labels = read_source_labels(source, image.shape[1:])
    return Sample(str(source.image), normalize(image, percentiles), torch.from_numpy(labels), size)


def read_finite(source: Source, spatial_dims: int, **choice: Any) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """Return the pixels ``[C, *spatial]`` of an image, and a pixel's size; a DataError if some are not finite."""
    file = read(source.image, spatial_dims, **choice)
    warn_of_notes(file)
    image = np.asarray(file.pixels)
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise DataError(f"{source.image}: holds values that are not finite")
    return image, file.size_of("ZYX"[-spatial_dims:])


def load_folder(
    folder: str | Path, percentiles: Percentiles = (1.0, 99.8), spatial_dims: int = 2,
    channels: int | None = None, progress: bool = False, **choice: Any,
) -> list[Sample]:  # fmt: skip
    """Read every sample of a folder in one of the layouts of `embedseg_ops.data.folders.find_sources`.

    All images must have as many channels as the first, save that colours become grey and grey becomes colours;
    `channels` says how many that is, None takes what comes. `choice` is which channel, plane or series, as of
    `embedseg_ops.data.images.read`. Files that look like a mistake are one `DataWarning` for all of them.

    Raises:
        DataError: naming the file and what is wrong with it.
    """
    samples: list[Sample] = []
    with gathered(folder):
        for source in steps(find_sources(folder), f"reading {folder}", "image", progress):
            samples.append(load_sample(source, percentiles, spatial_dims, channels, **choice))
            channels = len(samples[0].image)
    return samples


@contextmanager
def gathered(folder: str | Path) -> Iterator[None]:
    """Say once, with the first file's words, what is suspicious about the files of a folder."""
    with noting() as found:
        yield
    if found:
        more = f" (and {len(found) - 1} more such files in {folder})" if len(found) > 1 else ""
        warnings.warn(found[0] + more, DataWarning, stacklevel=4)


@contextmanager
def noting() -> Iterator[list[str]]:
    """Fill a list with the words of every `DataWarning`, at the end, instead of telling the caller."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield found
    for one in caught:
        if issubclass(one.category, DataWarning):
            found.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
