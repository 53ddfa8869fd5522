"""The network over one tile of an image that stays where it is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from torch import Tensor

from embedseg_ops.data.images import ImageFile, open_image
from embedseg_ops.data.samples import stretch
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.predict.blocks.engine import Writing
from embedseg_ops.predict.blocks.grid import Box
from embedseg_ops.predict.blocks.maps import TileMaps
from embedseg_ops.predict.network import predict_tile
from embedseg_ops.predict.prediction import NotFinite, without_nan
from embedseg_ops.predict.prepare import Precision, Prepared, prepare
from embedseg_ops.predict.zoom import Zoom


@dataclass(frozen=True)
class Opened:
    """An image file, of any format, that is opened where it is read; a process opens it once.

    Args:
        path: of the file.
        spatial_dims: 2 or 3.
        channels: how many are wanted.
        choice: the other arguments of `embedseg_ops.data.images.open_image`.
    """

    path: str
    spatial_dims: int
    channels: int
    choice: tuple[tuple[str, Any], ...] = ()

    def __call__(self) -> Any:
        """Return the pixels ``[C, *spatial]``, to be sliced."""
        return image_file(self).pixels

    @property
    def pixel_size(self) -> tuple[float, ...] | None:
        """µm of a pixel along each spatial axis, where the file says it."""
        return image_file(self).size_of("ZYX"[-self.spatial_dims :])


@lru_cache(maxsize=2)
def image_file(image: Opened) -> ImageFile:
    """Return a file, open."""
    return open_image(image.path, image.spatial_dims, channels=image.channels, **dict(image.choice))


@dataclass(frozen=True)
class Planes:
    """An image with a channel axis, whether or not it is stored with one.

    Args:
        opens: returns the array ``[*spatial]`` or ``[C, *spatial]``.
        spatial_dims: 2 or 3.
        nan: "zero" reads values that are not finite as 0.
    """

    opens: Callable[[], Any]
    spatial_dims: int
    nan: NotFinite = "error"

    @property
    def shape(self) -> tuple[int, ...]:
        """``[C, *spatial]``."""
        shape = tuple(self.opens().shape)
        return (1, *shape) if len(shape) == self.spatial_dims else shape

    @property
    def dtype(self) -> Any:
        """The array's."""
        return self.opens().dtype

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
        """Read a box of ``[C, *spatial]``."""
        array = self.opens()
        flat = len(array.shape) == self.spatial_dims
        planes = np.asarray(array[box[1:]])[None] if flat else np.asarray(array[box])
        return without_nan(planes, self.nan) if self.nan == "zero" else planes  # else whoever measures it all says so


@dataclass(frozen=True)
class Source:
    """An image, and the network that sees it.

    Args:
        image: the image.
        low: becomes 0, for each channel.
        high: becomes 1.
        model: the file of the network.
        device: where it runs; None: CUDA where the task finds one, else the CPU.
        precision: of its convolutions.
    """

    image: Planes
    low: np.ndarray
    high: np.ndarray
    model: str
    device: str | None
    precision: Precision

    def read(self, box: Box) -> Tensor:
        """Return a box of the image, ``[C, *box]``, normalised."""
        return stretch(self.image[(slice(None), *box)], self.low, self.high)

    def network(self) -> Prepared:
        """Return the network."""
        return network(self.model, self.device, self.precision)


@dataclass(frozen=True)
class Tiler:
    """What the tasks of the network share.

    Args:
        source: the image and the network.
        maps: where its outputs go.
        zoom: to the pixels that the network sees; None: it sees those of the image.
    """

    source: Source
    maps: TileMaps
    zoom: Zoom | None = None

    def read(self, number: int) -> Tensor:
        """Return a tile, normalised, as the network sees it."""
        box = tuple(slice(part.start, part.stop) for part in self.maps.grid.tile(number))
        return self.zoom(self.source.read(self.zoom.source(box)), box) if self.zoom else self.source.read(box)

    def predict(self, number: int, image: Tensor) -> Writing:
        """Run the network over a tile; return what writes its output."""
        return partial(self.maps.write, number, *predict_tile(image, self.source.network()))

    def __call__(self, number: int) -> Writing:
        """Read a tile, and run the network over it; return what writes its output."""
        return self.predict(number, self.read(number))


@lru_cache(maxsize=1)
def network(path: str, device: str | None, precision: Precision) -> Prepared:
    """Return the network of a file, ready to predict; a worker reads it once."""
    return prepare(load_model(path, choose_device(device))[0], precision)
