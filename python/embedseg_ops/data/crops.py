"""The random crops that training sees: functions of seed and number alone."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from embedseg_ops.data.augmentation import Augmentation, Random, random_crop
from embedseg_ops.data.recent import Recent
from embedseg_ops.data.sample_files import AnySample
from embedseg_ops.data.scale import enlargement


def crop_shape(side: int, spatial_dims: int, spacing: tuple[float, ...] | None, divisor: int = 8) -> tuple[int, ...]:
    """Return the size of a crop as long along every axis: `side` pixels along the finest.

    Along coarser axes that is the multiple of `divisor`, of which the network makes any size, that comes closest.
    """
    steps = spacing or (1.0,) * spatial_dims
    return tuple(side if step == 1 else max(1, round(side / step / divisor)) * divisor for step in steps)


class CropDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Item t is the t-th training crop: image ``[C, *crop]``, labels ``[*crop]`` and what lies inside the image.

    An item depends on `seed` and t alone, so that any process can compute any part of the sequence and an interrupted
    run goes on where it stopped. An epoch shows every image at least once, larger ones more often (the root of their
    area over the crop's: between once an image and once a pixel), in a random order.

    Args:
        samples: what to crop.
        crop: size of the crops, one number an axis, in pixels.
        seed: of order, places and augmentation.
        augmentation: None: plain crops.
        length: number of items.
        diameter: images whose objects have a smaller median diameter, in pixels, are enlarged to it; None: as they are.
        spacing: length of a pixel along each axis, the shortest 1; None: 1 everywhere.
    """

    def __init__(
        self, samples: Sequence[AnySample], crop: tuple[int, ...], seed: int = 0,
        augmentation: Augmentation | None = None, length: int = 1 << 31,
        diameter: float | None = None, spacing: tuple[float, ...] | None = None,
    ):  # fmt: skip
        self.samples = samples
        self.crop = crop
        self.seed = seed
        self.augmentation = augmentation
        self.length = length
        self.spacing = spacing
        self.recent = Recent()
        self.zooms = [1.0 if diameter is None else enlargement(sample.diameter, diameter) for sample in samples]
        sizes = [zoom ** len(crop) * math.prod(sample.shape) for zoom, sample in zip(self.zooms, samples, strict=True)]
        times = [max(1, round(math.sqrt(size / math.prod(crop)))) for size in sizes]
        self.epoch = np.repeat(np.arange(len(samples)), times)
        self.order = (-1, self.epoch)

    def __len__(self) -> int:
        """Return the number of items."""
        return self.length

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return image float32, labels int32 and the bool mask; see `embedseg_ops.data.augmentation.random_crop`."""
        epoch, place = divmod(item, len(self.epoch))
        if self.order[0] != epoch:
            self.order = epoch, Random(self.seed, 0, epoch).state.permutation(self.epoch)
        number = self.order[1][place]
        sample, random = self.recent.get(number, self.samples[number].open), Random(self.seed, 1, item)
        return random_crop(
            sample.image, sample.labels, self.crop, random, self.augmentation, self.zooms[number], self.spacing
        )
