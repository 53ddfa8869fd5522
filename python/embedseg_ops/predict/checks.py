"""What `segment` takes: for an image, an array of real numbers with the model's axes; options that are in range."""

import inspect
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.arguments import check_pixels
from embedseg_ops.ops.postprocess import postprocess

COLOURS = (3, 4)


def as_planes(image: np.ndarray | Tensor, settings: Settings) -> np.ndarray:
    """Return an image as a NumPy array ``[C, *spatial]``.

    Raises:
        TypeError: it holds no real numbers, or is the name of a file.
        ValueError: its axes or channels are not the model's, or it has no pixel, or too many.
    """
    array = as_numpy(image)
    check_axes(array.shape, settings)
    planes = array[None] if array.ndim == settings.spatial_dims else array
    check_pixels(planes.shape[1:], "image")
    return planes


def as_numpy(image: np.ndarray | Tensor) -> np.ndarray:
    """Return an image as a NumPy array; bfloat16, which NumPy has not, as float32."""
    if isinstance(image, Tensor):
        return (image.float() if image.dtype == torch.bfloat16 else image).numpy(force=True)
    if isinstance(image, str | os.PathLike):
        raise TypeError(f"image must be an array, got a file's name: embedseg_ops.data.images.read_image reads {image}")
    array = np.asarray(image)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"image must hold real numbers, got {type(image).__name__} of dtype {array.dtype}")
    return array


def check_axes(shape: Sequence[int], settings: Settings) -> None:
    """Raise a ValueError unless an array has the model's axes and channels, and a pixel."""
    dims, channels = settings.spatial_dims, settings.channels
    fits = (len(shape) == dims + 1 and shape[0] == channels) or (len(shape) == dims and channels == 1)
    if not fits:
        axes = ["H", "W"] if dims == 2 else ["D", "H", "W"]
        expected = f"[{channels}, {', '.join(axes)}] for this model"
        raise ValueError(f"image must be {expected}, got shape {list(shape)}{advice(shape, settings)}")
    if 0 in shape:
        raise ValueError(f"image must have a pixel, got shape {list(shape)}")


def advice(shape: Sequence[int], settings: Settings) -> str:
    """Say what to do with channels that are the last axis, as most libraries have them, and with colours."""
    if len(shape) != settings.spatial_dims + 1:
        return ""
    if shape[-1] == settings.channels:
        return ": move its channels to the front, numpy.moveaxis(image, -1, 0)"
    if settings.channels == 1 and shape[-1] in COLOURS:
        return ": make its colours grey, image[..., :3].mean(-1)"
    return ": make its colours grey, image[:3].mean(0)" if settings.channels == 1 and shape[0] in COLOURS else ""


def check_postprocess(settings: Settings) -> None:
    """Raise a TypeError or ValueError for options of the postprocessing that are not what they may be: try them."""
    known = set(inspect.signature(postprocess).parameters) - {"embedding", "distance", "spatial_dims"}
    unknown = sorted(set(settings.postprocess) - known)
    if unknown:
        raise ValueError(f"postprocess has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    dims = settings.spatial_dims
    postprocess(torch.zeros(1, 1, *[1] * dims), torch.zeros(1, *[1] * dims), spatial_dims=dims, **settings.postprocess)
