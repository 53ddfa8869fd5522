"""A stored image seen as channels and spatial axes; nothing is read before it is sliced."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from embedseg_ops.data.colours import grey
from embedseg_ops.data.stored import Pixels, native

Colours = Literal["as stored", "grey", "repeated"]


@dataclass(frozen=True)
class View:
    """Some of the pixels of an image, with its axes in another order.

    Args:
        pixels: the image.
        chosen: for each of its axes what is seen: one place, or a slice.
        order: for each axis of the view, the axis of `pixels` that it shows; None for channels that are not there.
        channel: which axis of the view the channels are.
        colours: "grey" makes the luminance of three channels, "repeated" makes three equal channels of one.
    """

    pixels: Pixels
    chosen: tuple[int | slice, ...]
    order: tuple[int | None, ...]
    channel: int
    colours: Colours = "as stored"

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        lengths = [1 if axis is None else self.length(axis) for axis in self.order]
        lengths[self.channel] = {"grey": 1, "repeated": 3}.get(self.colours, lengths[self.channel])
        return tuple(lengths)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.order)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a pixel."""
        if self.colours == "grey":
            return np.dtype(np.float32)
        return native(np.empty(0, self.pixels.dtype)).dtype

    def length(self, axis: int) -> int:
        """Return how much of an axis of the image is seen."""
        chosen = self.chosen[axis]
        return len(range(self.pixels.shape[axis])[chosen]) if isinstance(chosen, slice) else 1

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return a part, taken by integers and by slices without a step, as an array."""
        parts, single = spans(key, self.shape)
        wanted = list(self.chosen)
        for axis, part in zip(self.order, parts, strict=True):
            if axis is not None and axis != self.order[self.channel]:
                wanted[axis] = slice(part.start, part.stop)
        read = native(np.asarray(self.pixels[tuple(wanted)]))
        left = [axis for axis, chosen in enumerate(wanted) if isinstance(chosen, slice)]
        read = read.transpose([left.index(axis) for axis in self.order if axis is not None])
        if self.order[self.channel] is None:
            read = np.expand_dims(read, self.channel)
        if self.colours == "grey":
            read = grey(read, self.channel)
        elif self.colours == "repeated":
            read = np.repeat(read, 3, self.channel)
        channels = parts[self.channel]
        read = np.take(read, range(channels.start, channels.stop), self.channel)
        return read.squeeze(tuple(single))


def spans(key: Any, shape: tuple[int, ...]) -> tuple[list[range], list[int]]:
    """Return, for each axis, the span that a key asks for, and the axes that it asks one place of."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        keys[place : place + 1] = [slice(None)] * (len(shape) - len(keys) + 1)
    keys += [slice(None)] * (len(shape) - len(keys))
    single = [axis for axis, one in enumerate(keys) if not isinstance(one, slice)]
    parts = []
    for one, length in zip(keys, shape, strict=True):
        place = range(length)[one]
        parts.append(place if isinstance(place, range) else range(place, place + 1))
    if any(part.step != 1 for part in parts):
        raise IndexError(f"{key}: expected integers and slices without a step")
    return parts, single
