"""Samples that stay in their files: what is known of them is small, and crops read windows."""

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import torch
from torch import Tensor

from embedseg_ops.data.errors import DataError, DataWarning
from embedseg_ops.data.folders import Source, find_sources
from embedseg_ops.data.images import open_image
from embedseg_ops.data.known import Facts, Known, stamp
from embedseg_ops.data.labels import (
    check_size,
    checked_labels,
    ids_of,
    is_label_map,
    numbered,
    open_labels,
    read_source_labels,
    renumbered,
    whole_numbers,
)  # fmt: skip
from embedseg_ops.data.samples import (
    Opened,
    Percentiles,
    Sample,
    digest_of,
    ends,
    gathered,
    noting,
    read_finite,
    stretch,
)
from embedseg_ops.data.scale import diameter_of
from embedseg_ops.data.stored import Pixels
from embedseg_ops.data.views import View


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One image and its labels, in their files; has what a `Sample` has.

    Args:
        source: the files.
        choice: how the image is read, as of `embedseg_ops.data.images.open_image`.
        shape: the size, ``spatial``.
        ends: what becomes 0 and 1 in each channel, two of ``[C, 1, …]``.
        diameter: the median diameter of the objects, in pixels; None without any.
        digest: of pixels and labels.
        ids: of the label map, in their order; None if they are 1, 2, ….
        packed: the labels, compressed, where they are not one label map (masks, outlines).
        stamps: of the files, which must not change meanwhile.
        pixel_size: µm of a pixel along each spatial axis, where the file says all of them.
    """

    source: Source
    choice: dict[str, Any]
    shape: tuple[int, ...]
    ends: tuple[np.ndarray, np.ndarray]
    diameter: float | None
    digest: bytes
    ids: np.ndarray | None
    packed: bytes | None
    stamps: tuple[tuple[int, int], ...]
    pixel_size: tuple[float, ...] | None

    @property
    def name(self) -> str:
        """The image's path."""
        return str(self.source.image)

    @property
    def image(self) -> Tensor:
        """The image, read anew each time: float32 ``[C, *spatial]``, normalised."""
        return self.open().image[...]

    @property
    def labels(self) -> Tensor:
        """The labels, read anew each time: int32 ``[*spatial]``."""
        return self.open().labels[...]

    def open(self) -> Opened:
        """Open the files; windows are read where the format allows it, else all is decoded at once.

        Raises:
            DataError: a file is not what it was when training began.
        """
        if stamps_of(self.source) != self.stamps:
            raise DataError(f"{self.name}: it, or its labels, changed during training")
        dims = len(self.shape)
        image = open_image(self.source.image, dims, windows=True, **self.choice).pixels
        labels = self.unpacked(self.packed) if self.packed else open_labels(self.source.labels[0], dims, windows=True)
        return Opened(Normalized(image, *self.ends), Numbered(self.source.labels[0], labels, self.ids),
                      held(image) + held(labels))  # fmt: skip

    def unpacked(self, packed: bytes) -> np.ndarray:
        """Return labels from their compressed form, ``[1, *spatial]``."""
        return np.frombuffer(imagecodecs.zstd_decode(packed), np.int32).reshape(1, *self.shape)


AnySample = Sample | SampleFile


@dataclass(frozen=True)
class Normalized:
    """An image ``[C, *spatial]`` that is normalised when it is sliced, to float32."""

    pixels: Pixels
    low: np.ndarray
    high: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        return self.pixels.shape

    def __getitem__(self, key: Any) -> Tensor:
        """Return a part."""
        part = np.asarray(self.pixels[key])
        channels = key[0] if isinstance(key, tuple) else ...
        return stretch(part, self.low[channels], self.high[channels]).reshape(part.shape)


@dataclass(frozen=True)
class Numbered:
    """A label map ``[1, *spatial]`` that is renumbered when it is sliced, to int32 without the first axis."""

    path: Path
    pixels: Pixels
    ids: np.ndarray | None

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis but the first."""
        return self.pixels.shape[1:]

    def __getitem__(self, key: Any) -> Tensor:
        """Return a part."""
        key = key if isinstance(key, tuple) else (key,)
        part = whole_numbers(self.path, np.asarray(self.pixels[(0, *key)]))
        return torch.from_numpy(numbered(part, self.ids))


def open_folder(
    folder: str | Path, percentiles: Percentiles = (1.0, 99.8), spatial_dims: int = 2,
    channels: int | None = None, progress: bool = False, known: Known | None = None, **choice: Any,
) -> list[SampleFile]:  # fmt: skip
    """Look at every sample of a folder once, and leave it in its files.

    Arguments, warnings and errors are those of `embedseg_ops.data.samples.load_folder`, and `known`: what is known of
    the samples from earlier, so that they need not be looked at again; None: nothing.
    """
    sources = find_sources(folder)
    stamps = [stamps_of(source) for source in sources]
    known = known or Known()

    def opened(part: slice, channels: int | None, shown: bool) -> list[SampleFile]:
        way = {**choice, "channels": channels}
        how = percentiles, spatial_dims, sorted(way.items())
        found_out = partial(survey, percentiles=percentiles, spatial_dims=spatial_dims, choice=way)
        facts = known.facts(sources[part], how, found_out, name=f"reading {folder}", shown=shown, done=part.start)
        return [SampleFile(source, way, stamps=found, **without_notes(one, known.group.rank == 0))
                for source, found, one in zip(sources[part], stamps[part], facts, strict=True)]  # fmt: skip

    with gathered(folder):
        samples = opened(slice(0, 1), channels, False)
        return samples + opened(slice(1, None), len(samples[0].ends[0]), progress and len(sources) > 1)


def survey(source: Source, percentiles: Percentiles, spatial_dims: int, choice: dict[str, Any]) -> Facts:
    """Read a sample once, check it, and return what training has to know of it, and notes for the user."""
    with noting() as notes:
        image, pixel_size = read_finite(source, spatial_dims, **choice)
        shape, ids, packed = image.shape[1:], None, None
        if is_label_map(source):
            stored = checked_labels(source.labels[0], spatial_dims)
            check_size(source.labels[0], stored, source, shape)
            labels = renumbered(stored)
            ids = ids_of(stored, labels)
        else:
            labels = read_source_labels(source, shape)
            packed = bytes(imagecodecs.zstd_encode(labels.tobytes()))
    bounds = ends(image, percentiles)
    sizes = torch.from_numpy(np.bincount(labels.ravel() + 1)[2:])
    return {
        "shape": shape,
        "ends": bounds,
        "diameter": diameter_of(sizes[sizes > 0], spatial_dims),
        "digest": digest_of(Normalized(image, *bounds), torch.from_numpy(labels)),
        "ids": ids,
        "packed": packed,
        "pixel_size": pixel_size,
        "notes": notes,
    }


def without_notes(facts: Facts, told: bool) -> Facts:
    """Return what a `survey` found out; its notes are `told` to the user."""
    for note in facts.pop("notes"):
        if told:
            warnings.warn(note, DataWarning, stacklevel=2)
    return facts


def stamps_of(source: Source) -> tuple[tuple[int, int], ...]:
    """Return size and time of an image's file and of its first labels'; of a folder of Zarr neither says much."""
    return tuple(stamp(path) for path in (source.image, *source.labels[:1]))


def held(pixels: Pixels) -> int:
    """Return how many bytes of memory an opened image takes: none if it is read when it is sliced."""
    pixels = pixels.pixels if isinstance(pixels, View) else pixels
    while isinstance(pixels, np.ndarray) and not isinstance(pixels, np.memmap) and isinstance(pixels.base, np.ndarray):
        pixels = pixels.base
    return pixels.nbytes if isinstance(pixels, np.ndarray) and not isinstance(pixels, np.memmap) else 0
