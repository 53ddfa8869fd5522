"""Random crops of an image and its labels: geometry in one sampling, then intensity, all from one seed."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from embedseg_ops.data.windows import Sliced, nearest_places, sample_linear, sample_nearest, window_around
from embedseg_ops.ops.ranges import check_fields


@dataclass(frozen=True)
class Augmentation:
    """How much a training crop may differ from its image; 0 or False switches a part off.

    Args:
        flip: mirror each axis with probability ½.
        turn: turn by a random multiple of 90° in the plane of the last two axes, if their pixels are equally long.
        rotate: rotate by any angle in that plane, likewise.
        scale: largest factor of zooming in or out, as a logarithm: 0.3 is a factor between 0.74 and 1.35.
        elastic: standard deviation of the elastic displacement, in pixels (of the finest axis, as all lengths here).
        elastic_grid: distance between its control points, in pixels.
        probability: of scaling, of the elastic displacement and of blurring, each on its own.
        contrast: standard deviation of the logarithms of the gain and of the gamma.
        noise: largest standard deviation of the Gaussian noise, in units of the normalised image.
        blur: largest σ of a Gaussian blur, in pixels.
    """

    flip: bool = True
    turn: bool = True
    rotate: bool = False
    scale: float = 0.3
    elastic: float = 1.5
    elastic_grid: int = 32
    probability: float = 0.5
    contrast: float = 0.25
    noise: float = 0.05
    blur: float = 1.0

    def __post_init__(self) -> None:
        """Raise a TypeError or ValueError that names the number which is not what it may be."""
        check_fields(self)


class Random:
    """Random numbers that are a function of a few integers, whatever ran before and on whichever machine."""

    def __init__(self, *key: int):
        self.state = np.random.default_rng(np.random.SeedSequence(key))

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.state.random() < probability)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal float32 numbers."""
        return torch.from_numpy(self.state.standard_normal(shape, dtype=np.float32))


def random_crop(
    image: Sliced, labels: Sliced, crop: tuple[int, ...], random: Random, augmentation: Augmentation | None,
    zoom: float = 1.0, spacing: tuple[float, ...] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Cut one random crop out of an image and its labels; only the window that it shows is read.

    Args:
        image: float32 ``[C, *spatial]``, normalised.
        labels: integer ``[*spatial]``.
        crop: size of the crop, one number an axis.
        random: where the randomness comes from.
        augmentation: None: an untouched crop.
        zoom: the image is enlarged by this factor first.
        spacing: length of a pixel along each axis, the shortest 1; None: 1 everywhere.

    Returns:
        image float32 ``[C, *crop]`` (interpolated linearly), labels int32 ``[*crop]`` (nearest), and a bool mask
        ``[*crop]`` of what lies inside the image: beyond its border the crop shows its mirror image.
    """
    spacing = spacing or (1.0,) * len(crop)
    points = sampling_points(labels.shape, crop, random, augmentation, zoom, spacing)  # [*crop, S], in pixels
    sizes = torch.tensor(labels.shape, dtype=torch.float32)
    grid = ((2 * points + 1) / sizes - 1).flip(-1)[None]  # in the units and the order of grid_sample
    places = nearest_places(grid, tuple(labels.shape))
    window = window_around(places, tuple(labels.shape))
    sampled = sample_linear(image, window, grid)
    nearest = sample_nearest(labels, window, places)
    inside = ((points > -0.5) & (points < sizes - 0.5)).all(-1)
    if augmentation is not None:
        sampled = change_intensity(sampled, random, augmentation, spacing)
    return sampled, nearest, inside


def sampling_points(
    shape: tuple[int, ...], crop: tuple[int, ...], random: Random, augmentation: Augmentation | None, zoom: float,
    spacing: tuple[float, ...],
) -> Tensor:  # fmt: skip
    """Return where in the image each pixel of the crop lies: float32 ``[*crop, S]``, in pixels."""
    axes = [torch.arange(size, dtype=torch.float32) - (size - 1) / 2 for size in crop]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    matrix = np.eye(len(crop))
    if augmentation is not None:
        if augmentation.elastic and random.chance(augmentation.probability):
            points = points + elastic_displacement(crop, random, augmentation, spacing)
        matrix = random_matrix(spacing, random, augmentation)
    matrix = matrix / zoom
    reach = np.abs(matrix) @ np.array(crop)  # how far the crop goes in the image
    slack = np.array(shape) - reach
    corner = np.round(np.where(slack > 0, random.state.uniform(size=len(crop)), 0.5) * slack)
    centre = corner + (reach - 1) / 2  # a whole corner: a crop that is not zoomed keeps the pixels as they are
    return points @ torch.tensor(matrix.T, dtype=torch.float32) + torch.tensor(centre, dtype=torch.float32)


def random_matrix(spacing: tuple[float, ...], random: Random, augmentation: Augmentation) -> np.ndarray:
    """Return the matrix ``[S, S]`` of a random flip, 90° turn and zoom."""
    matrix = np.eye(len(spacing))
    if augmentation.flip:
        matrix *= random.state.choice([-1.0, 1.0], len(spacing))
    if augmentation.turn and spacing[-2] == spacing[-1] and random.chance(0.5):
        matrix[[-2, -1]] = matrix[[-1, -2]]
    if augmentation.rotate and spacing[-2] == spacing[-1]:
        angle = random.state.uniform(0, 2 * np.pi)
        cosine, sine = np.cos(angle), np.sin(angle)
        matrix[-2:] = [[cosine, -sine], [sine, cosine]] @ matrix[-2:]
    if augmentation.scale and random.chance(augmentation.probability):
        matrix *= np.exp(random.state.uniform(-augmentation.scale, augmentation.scale))
    return matrix


def elastic_displacement(
    crop: tuple[int, ...], random: Random, augmentation: Augmentation, spacing: tuple[float, ...]
) -> Tensor:
    """Return smooth random displacements ``[*crop, S]``, in pixels of each axis."""
    lengths = [size * step for size, step in zip(crop, spacing, strict=True)]
    coarse = [max(2, round(length / augmentation.elastic_grid) + 1) for length in lengths]
    control = random.normal(1, len(crop), *coarse) * augmentation.elastic
    mode = "bicubic" if len(crop) == 2 else "trilinear"
    displacement = F.interpolate(control, crop, mode=mode, align_corners=True)[0].movedim(0, -1)
    return displacement / torch.tensor(spacing, dtype=torch.float32)


def change_intensity(image: Tensor, random: Random, augmentation: Augmentation, spacing: tuple[float, ...]) -> Tensor:
    """Return the normalised image ``[C, *spatial]`` with another contrast and gamma, blurred, and with noise on it."""
    if augmentation.contrast:
        gain, gamma = torch.exp(random.normal(2, *image.shape[:1]) * augmentation.contrast)
        columns = (-1, *[1] * (image.ndim - 1))
        image = gain.view(columns) * image.clamp(min=0) ** gamma.view(columns) + image.clamp(max=0)
    if augmentation.blur and random.chance(augmentation.probability / 2):
        image = gaussian_blur(image, random.state.uniform(0.1, augmentation.blur), spacing)
    if augmentation.noise:
        image = image + random.normal(*image.shape) * random.state.uniform(0, augmentation.noise)
    return image


def gaussian_blur(image: Tensor, sigma: float, spacing: tuple[float, ...]) -> Tensor:
    """Return the image ``[C, *spatial]`` convolved with a Gaussian whose σ has the unit of `spacing`."""
    for axis, step in enumerate(spacing, 1):
        radius = max(1, round(3 * sigma / step))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        kernel = torch.softmax(-0.5 * (offsets * step / sigma) ** 2, 0)
        lines = image.movedim(axis, -1)
        padded = F.pad(lines.reshape(-1, 1, lines.shape[-1]), (radius, radius), mode="replicate")
        image = F.conv1d(padded, kernel.view(1, 1, -1)).view(lines.shape).movedim(-1, axis)
    return image
