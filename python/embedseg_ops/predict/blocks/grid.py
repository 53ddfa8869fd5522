"""An image cut into blocks: cores that tile it, and windows that reach into the blocks around."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Grid:
    """Cores of one size, the last on an axis maybe smaller; numbered in raster order.

    Args:
        shape: of the image, in pixels.
        core: of a block.
    """

    shape: tuple[int, ...]
    core: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Blocks along each axis."""
        return tuple(math.ceil(size / side) for size, side in zip(self.shape, self.core, strict=True))

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return math.prod(self.counts)

    def place(self, block: int) -> tuple[int, ...]:
        """Return a block's number along each axis."""
        places = []
        for count in reversed(self.counts):
            block, place = divmod(block, count)
            places.append(place)
        return tuple(reversed(places))

    def number(self, place: Sequence[int]) -> int:
        """Return the number of the block at a place; −1 outside the image."""
        number = 0
        for one, count in zip(place, self.counts, strict=True):
            if not 0 <= one < count:
                return -1
            number = number * count + one
        return number

    def box(self, block: int, margin: int = 0) -> Box:
        """Return a block's core, or its window with a margin, cut off at the image's border."""
        return tuple(
            slice(max(place * side - margin, 0), min((place + 1) * side + margin, size))
            for place, side, size in zip(self.place(block), self.core, self.shape, strict=True)
        )

    def over(self, box: Box) -> list[int]:
        """Return the blocks whose cores a box meets, in order."""
        spans = [
            range(part.start // side, (part.stop - 1) // side + 1) for part, side in zip(box, self.core, strict=True)
        ]
        return [self.number(place) for place in itertools.product(*spans)]


def grow_box(box: Box, margin: int, shape: Sequence[int]) -> Box:
    """Return a box with a margin, cut off at the image's border."""
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size)) for part, size in zip(box, shape, strict=True)
    )


def intersect(one: Box, other: Box) -> Box:
    """Return what two boxes share; empty where they share nothing."""
    shared = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)]
    return tuple(slice(part.start, max(part.start, part.stop)) for part in shared)


def hull(one: Box, other: Box) -> Box:
    """Return the smallest box that holds two."""
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def box_of(mask: np.ndarray, frame: Box) -> Box:
    """Return the smallest box that holds the pixels of a mask over `frame`, at least one, that are true."""
    places = np.nonzero(mask)
    return tuple(
        slice(part.start + int(place.min()), part.start + int(place.max()) + 1)
        for place, part in zip(places, frame, strict=True)
    )


def within(box: Box, frame: Box) -> Box:
    """Return a box in coordinates that start where `frame` does."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, frame, strict=True))


def extent(box: Box) -> tuple[int, ...]:
    """Return a box's sides."""
    return tuple(part.stop - part.start for part in box)
