"""Samples in memory: images, normalised, and their labels."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from embedseg_ops.data.errors import DataError, DataWarning
from embedseg_ops.data.folders import Source, find_sources
from embedseg_ops.data.images import read, warn_of_notes
from embedseg_ops.data.labels import read_source_labels


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


def normalize(image: np.ndarray, percentiles: tuple[float, float] = (1.0, 99.8)) -> Tensor:
    """Return ``[C, *spatial]`` as float32 where, channel by channel, `percentiles` (in percent) become 0 and 1.

    A channel whose two percentiles are equal is only shifted. A bool image is 0 and 1.
    """
    image = image.astype(np.uint8) if image.dtype == np.bool_ else image
    low, high = np.percentile(image, percentiles, axis=tuple(range(1, image.ndim)), keepdims=True)
    return stretch(image, low, high)


def stretch(image: np.ndarray, low: np.ndarray, high: np.ndarray) -> Tensor:
    """Return ``[C, *spatial]`` as float32 where `low` and `high` of each channel, ``[C, 1, …]``, become 0 and 1."""
    width = np.where(high > low, high - low, 1)
    return torch.from_numpy(((image - low) / width).astype(np.float32))


def load_sample(
    source: Source, percentiles: tuple[float, float] = (1.0, 99.8), spatial_dims: int = 2,
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
    file = read(source.image, spatial_dims, channels=channels, **choice)
    warn_of_notes(file)
    image = np.asarray(file.pixels)
    if not np.isfinite(image).all():
        raise DataError(f"{source.image}: holds values that are not finite")
    labels = read_source_labels(source, image.shape[1:])
    size = file.size_of("ZYX"[-spatial_dims:])
    return Sample(str(source.image), normalize(image, percentiles), torch.from_numpy(labels), size)


def load_folder(
    folder: str | Path, percentiles: tuple[float, float] = (1.0, 99.8), spatial_dims: int = 2,
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
        for source in tqdm(find_sources(folder), desc=f"reading {folder}", unit="image", disable=not progress):
            samples.append(load_sample(source, percentiles, spatial_dims, channels, **choice))
            channels = len(samples[0].image)
    return samples


@contextmanager
def gathered(folder: str | Path) -> Iterator[None]:
    """Say once, with the first file's words, what is suspicious about the files of a folder."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield
    found = [str(one.message) for one in caught if issubclass(one.category, DataWarning)]
    for one in caught:
        if not issubclass(one.category, DataWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if found:
        more = f" (and {len(found) - 1} more such files in {folder})" if len(found) > 1 else ""
        warnings.warn(found[0] + more, DataWarning, stacklevel=4)
