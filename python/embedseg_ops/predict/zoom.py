"""Another size of an image by linear interpolation, whole or window by window: the bits are the same."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Zoom:
    """From one size to another; corners of images lie on each other, as with `align_corners=False` in torch.

    Torch's own interpolation is off by a bit or two where it is given a window alone.

    Args:
        shape: what there is, in pixels.
        size: what is wanted.
    """

    shape: tuple[int, ...]
    size: tuple[int, ...]

    @classmethod
    def by(cls, factor: float | Sequence[float], shape: Sequence[int]) -> "Zoom":
        """Return the zoom that gives `factor` times as many pixels along every axis, or each of many along its own."""
        factors = [factor] * len(shape) if isinstance(factor, float | int) else factor
        return cls(tuple(shape), tuple(max(1, round(one * each)) for one, each in zip(shape, factors, strict=True)))

    def back(self) -> "Zoom":
        """Return the zoom the other way."""
        return Zoom(self.size, self.shape)

    def source(self, box: Box) -> Box:
        """Return the pixels of `shape` that a box of `size` is made of."""
        ends = [self._places(axis, part) for axis, part in enumerate(box)]
        return tuple(slice(int(low[0]), int(high[-1]) + 1) for low, high, _ in ends)

    def __call__(self, values: Tensor, box: Box | None = None) -> Tensor:
        """Return a box of the image in the new size.

        Args:
            values: float ``[C, *source(box)]``; without a box ``[C, *shape]``.
            box: of `size`; None: all of it.
        """
        if box is None:
            box = tuple(slice(0, size) for size in self.size)
            values = values[(slice(None), *self.source(box))]
        values = values.movedim(0, -1)  # where networks' outputs have their channels: a row is then copied at once
        for axis, part in enumerate(box):
            low, high, share = self._places(axis, part)
            share = share.to(values.dtype).view(-1, *[1] * (values.ndim - axis - 1))
            following = values.index_select(axis, high - low[0]).mul_(share)
            values = values.index_select(axis, low - low[0]).mul_(1 - share).add_(following)
        return values.movedim(-1, 0)

    def _places(self, axis: int, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return, for pixels along an axis, the two between which each lies, and the share of the second."""
        last = self.shape[axis] - 1
        pixels = torch.arange(part.start, part.stop, dtype=torch.float64, device="cpu")
        places = ((pixels + 0.5) * (self.shape[axis] / self.size[axis]) - 0.5).clamp(0, last)
        low = places.floor().long()
        return low, (low + 1).clamp(max=last), places - low
