"""One image or a batch, NumPy or torch: brought to the batches that the operators take, and the answer back."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from embedseg_ops.ops.arguments import (
    check_device,
    check_embedding,
    check_integer,
    check_label_range,
    check_pixels,
    check_same_device,
    shape_error,
    values_are_known,
)
from embedseg_ops.ops.numbers import check_spatial_dims

Array = TypeVar("Array", Tensor, np.ndarray)
FORMS = {
    None: "[H, W], [B, H, W] or [B, D, H, W]",
    2: "[H, W] or [B, H, W] with spatial_dims=2",
    3: "[D, H, W] or [B, D, H, W] with spatial_dims=3",
}


def as_tensor(value: Array, name: str) -> Tensor:
    """Return `value` as a tensor that shares its memory where it can; dask, xarray and Zarr arrays are read whole."""
    if isinstance(value, Tensor):
        check_device(value, name)
        return value
    array = np.asarray(value) if hasattr(value, "__array__") else value
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a torch.Tensor or a numpy.ndarray, got {type(value).__name__}")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    writable = native if native.flags.writeable and min(native.strides, default=0) >= 0 else native.copy()
    try:
        return torch.from_numpy(writable)
    except TypeError as error:
        raise TypeError(f"{name} has dtype {value.dtype}, which torch does not know") from error


def answer_like(value: Array, single: bool) -> Callable[[Tensor], Array]:
    """Return the function that gives a batched result the form of `value`: NumPy or torch, one image or a batch."""

    def answer(result: Tensor) -> Array:
        result = result.squeeze(0) if single else result
        return result if isinstance(value, Tensor) else result.numpy()

    return answer


def map_batch(
    value: Array, tensor: Tensor, name: str, spatial_dims: int | None
) -> tuple[Tensor, Callable[[Tensor], Array]]:
    """Return a map of pixels as a contiguous batch ``[B, *spatial]``, with the way back to the form of `value`.

    Without `spatial_dims`, two axes are one image, three a batch of images, four a batch of volumes.
    """
    check_spatial_dims(spatial_dims)
    dims = spatial_dims or (3 if tensor.ndim == 4 else 2)
    if tensor.ndim not in (dims, dims + 1):
        raise ValueError(f"{name} must be {FORMS[spatial_dims]}, got shape {list(tensor.shape)}")
    single = tensor.ndim == dims
    batch = tensor.unsqueeze(0) if single else tensor
    check_pixels(batch.shape[1:], name)
    return batch.contiguous(), answer_like(value, single)


def label_batch(
    labels: Array, name: str = "labels", spacing: Sequence[float] | None = None, spatial_dims: int | None = None
) -> tuple[Tensor, Callable[[Tensor], Array]]:
    """Check a label map and return it as contiguous int32 ``[B, *spatial]``, with the way back to the caller's form.

    As :func:`map_batch`; a `spacing` of three lengths says that the images are volumes.
    """
    tensor = as_tensor(labels, name)
    check_integer(tensor, name)
    if spatial_dims is None and spacing is not None and hasattr(spacing, "__len__") and len(spacing) == 3:
        spatial_dims = 3 if tensor.ndim in (3, 4) else None
    batch, answer = map_batch(labels, tensor, name, spatial_dims)
    if values_are_known(batch):
        check_label_range(batch, name)
    return batch.to(torch.int32), answer


def as_image_batch(
    embedding: Array, other: Array, name: str, spatial_dims: int | None = None
) -> tuple[Tensor, Tensor, Callable[[Tensor], Array]]:
    """Check an embedding and a map of the same pixels, with or without the batch axis; return both with it.

    The map comes back contiguous, the embedding as it lies in memory; the third is the way back to the form of the
    map. Where the arrays may be a batch of images as well as one volume, `spatial_dims` must say which.
    """
    vectors: Tensor = as_tensor(embedding, "embedding")
    tensor: Tensor = as_tensor(other, name)
    shape, map_shape = list(vectors.shape), list(tensor.shape)  # a shape takes longer to ask for than to compare
    single = _is_single(shape, map_shape, name, spatial_dims)
    channel_axis = 0 if single else 1
    if map_shape != shape[:channel_axis] + shape[channel_axis + 1 :]:
        raise shape_error(vectors, channel_axis, tensor, name)
    if single:
        vectors, tensor = vectors.unsqueeze(0), tensor.unsqueeze(0)
    check_embedding(vectors)
    check_same_device(vectors, tensor, name)
    check_pixels(map_shape[channel_axis:], name)
    return vectors, tensor.contiguous(), answer_like(other, single)


def _is_single(shape: list[int], map_shape: list[int], name: str, spatial_dims: int | None) -> bool:
    """Return whether an embedding and a map of these shapes are one image without a batch axis."""
    check_spatial_dims(spatial_dims)
    if spatial_dims is not None:
        if len(shape) not in (spatial_dims + 1, spatial_dims + 2):
            axes = "H, W" if spatial_dims == 2 else "depth, H, W"
            raise ValueError(
                f"embedding must be [B, D, {axes}] or [D, {axes}] with spatial_dims={spatial_dims}, got shape {shape}"
            )
        return len(shape) == spatial_dims + 1
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"embedding must be [B, D, *spatial] or [D, *spatial], 2D or 3D, got shape {shape}")
    if len(shape) != 4 or map_shape != shape[1:]:
        return len(shape) == 3
    if shape[0] == shape[1]:
        raise ValueError(
            f"embedding of shape {shape} with {name} of shape {map_shape} is a batch of images as well as one "
            "volume: say spatial_dims=2 (images) or spatial_dims=3 (volume)"
        )
    return True
