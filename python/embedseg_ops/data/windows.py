"""Points of an image looked up in a window of it, with the very bits that the whole image would give."""

import itertools
import math
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Sliced(Protocol):
    """What gives tensors when it is sliced: a tensor, or an image that is read window by window."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        ...

    def __getitem__(self, key: Any) -> Tensor:
        """Return a window."""
        ...


def nearest_places(grid: Tensor, shape: tuple[int, ...]) -> list[Tensor]:
    """Return the pixel nearest to each point, mirrored at the border: int64 ``[*crop]`` for each axis.

    Args:
        grid: the points ``[1, *crop, S]``, in the units and the order of `torch.nn.functional.grid_sample`.
        shape: of the image.
    """
    places = []
    for axis, size in enumerate(shape):
        line = torch.arange(size, dtype=torch.float32).view([-1 if other == axis else 1 for other in range(len(shape))])
        numbers = line.expand(shape)[None, None]  # no memory: the strides of the other axes are 0
        found = F.grid_sample(numbers, grid, "nearest", "reflection", align_corners=False)[0, 0]
        places.append(found.round().long())
    return places


def window_around(places: list[Tensor], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the window with the pixels at `places` and their neighbours, which linear interpolation reads."""
    ends = [(int(place.min()), int(place.max())) for place in places]
    return tuple(slice(max(low - 1, 0), min(high + 2, size)) for (low, high), size in zip(ends, shape, strict=True))


def sample_linear(image: Sliced, window: tuple[slice, ...], grid: Tensor) -> Tensor:
    """Return the image ``[C, *spatial]`` at the points of `grid`, linearly; only the window is read."""
    whole = in_place(image[(slice(None), *window)], window, tuple(image.shape[1:]))
    return F.grid_sample(whole[None], grid, "bilinear", "reflection", align_corners=False)[0]


def sample_nearest(labels: Sliced, window: tuple[slice, ...], places: list[Tensor]) -> Tensor:
    """Return the labels at `places`, which lie in the window, as int32 ``[*crop]``."""
    inside = tuple(place - part.start for place, part in zip(places, window, strict=True))
    return labels[window].to(torch.int32)[inside]


def in_place(pixels: Tensor, window: tuple[slice, ...], shape: tuple[int, ...]) -> Tensor:
    """Return a tensor of the shape of the whole image ``[C, *shape]`` in which only the window is defined.

    The rest shares its memory, so that the image takes little more than the window. It must not be read.
    """
    strides = [math.prod(pixels.shape[axis + 1 :]) for axis in range(pixels.ndim)]
    lengths = (len(pixels), *shape)
    before = sum(part.start * stride for part, stride in zip(window, strides[1:], strict=True))
    last = sum((length - 1) * stride for length, stride in zip(lengths, strides, strict=True))
    memory = torch.empty(max(last + 1, before + pixels.numel()))  # what is not written, the system does not provide
    memory[before : before + pixels.numel()] = pixels.reshape(-1)
    return memory.as_strided(lengths, strides)


def bands(shape: tuple[int, ...], pixels: int = 2**20) -> Iterator[tuple[int | slice, ...]]:
    """Yield the keys of parts of an image of about as many pixels, in the order in which these lie in memory."""
    rows = max(1, pixels // max(1, shape[-1]))
    for first in itertools.product(*map(range, shape[:-2])):
        for start in range(0, shape[-2], rows):
            yield (*first, slice(start, start + rows))
