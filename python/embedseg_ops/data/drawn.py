"""Drawn microscope images with their true labels: samples that need no download."""

import numpy as np
from scipy import ndimage
from skimage.draw import ellipse


def cells(seed: int, size: int = 128, count: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Draw bright, crowded ellipses on a dark, noisy background.

    Args:
        seed: another seed, another image.
        size: height and width, in pixels.
        count: ellipses that are tried; those that would hide another one are left out.

    Returns:
        image uint8 ``[size, size]``, labels int32 ``[size, size]``.
    """
    random = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    for _ in range(count):
        (y, x), (high, wide) = random.uniform(0, size, 2), random.uniform(7, 12, 2)
        inside = ellipse(y, x, high, wide, shape=labels.shape, rotation=random.uniform(0, np.pi))
        if (labels[inside] > 0).mean() < 0.15 and len(inside[0]) > 50:
            labels[inside] = np.where(labels[inside] > 0, labels[inside], labels.max() + 1)
    brightness = np.concatenate([[0.1], random.uniform(0.5, 0.9, labels.max())])
    image = ndimage.gaussian_filter(brightness[labels], 1.0) + random.normal(0, 0.05, labels.shape)
    return (image.clip(0, 1) * 255).astype(np.uint8), labels


def moving_cells(seed: int, frames: int = 8, size: int = 128, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Draw a time series of such cells, each of which keeps its shape, brightness and number, and moves on its way.

    Args:
        seed: another seed, another series.
        frames: time points.
        size: height and width, in pixels.
        count: cells that are tried; those that would hide another one at the start are left out.

    Returns:
        images uint8 ``[frames, size, size]``, labels int32 ``[frames, size, size]``: a cell has one id in all of them.
    """
    random = np.random.default_rng(seed)
    centres, radii = random.uniform(0, size, (count, 2)), random.uniform(7, 11, (count, 2))
    turns, speeds = random.uniform(0, np.pi, count), random.normal(0, 1.5, (count, 2))
    kept = [k for k in range(count) if all(np.hypot(*(centres[k] - centres[j])) > 16 for j in range(k))]
    brightness = np.concatenate([[0.1], random.uniform(0.5, 0.9, count)])
    labels = np.zeros((frames, size, size), np.int32)
    for frame in labels:
        for k in kept:
            (y, x), (high, wide) = centres[k], radii[k]
            inside = ellipse(y, x, high, wide, shape=frame.shape, rotation=turns[k])
            frame[inside] = np.where(frame[inside] > 0, frame[inside], k + 1)
        speeds = speeds + random.normal(0, 0.5, speeds.shape)
        centres = centres + speeds
    images = ndimage.gaussian_filter(brightness[labels], (0, 1, 1)) + random.normal(0, 0.05, labels.shape)
    return (images.clip(0, 1) * 255).astype(np.uint8), labels
