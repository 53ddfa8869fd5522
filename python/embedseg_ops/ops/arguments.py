"""What the public functions accept: their arguments checked, and brought to the batches that the operators take."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from embedseg_ops.library import build_info

Array = TypeVar("Array", Tensor, np.ndarray)

INTEGER_DTYPES = {
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64,
}  # fmt: skip
FLOAT_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
HAS_CUDA = build_info()["cuda"] is not None
LARGEST_LABEL = 2**30 - 1
LARGEST_TABLE = 2**32  # bytes


def as_tensor(value: Array, name: str) -> Tensor:
    """Return `value` as a tensor that shares its memory where it can."""
    if isinstance(value, Tensor):
        check_device(value, name)
        return value
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a torch.Tensor or a numpy.ndarray, got {type(value).__name__}")
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    writable = native if native.flags.writeable and min(native.strides, default=0) >= 0 else native.copy()
    try:
        return torch.from_numpy(writable)
    except TypeError as error:
        raise TypeError(f"{name} has dtype {value.dtype}, which torch does not know") from error


def check_device(tensor: Tensor, name: str) -> None:
    """Raise a RuntimeError for a tensor on a GPU where this build has no kernels for it."""
    if tensor.device.type == "cuda" and not HAS_CUDA:
        raise RuntimeError(
            f"{name} is on {tensor.device}, but this build of embedseg_ops has no CUDA kernels: no nvcc was found when "
            "it was built. Install nvcc 13.0 and build again with -C cmake.define.EMBEDSEG_CUDA=ON, or move the tensor "
            "to the CPU"
        )


def answer_like(value: Array, single: bool) -> Callable[[Tensor], Array]:
    """Return the function that gives a batched result the form of `value`: NumPy or torch, one image or a batch."""

    def answer(result: Tensor) -> Array:
        result = result.squeeze(0) if single else result
        return result.numpy() if isinstance(value, np.ndarray) else result

    return answer


def label_batch(
    labels: Array, name: str = "labels", spacing: Sequence[float] | None = None
) -> tuple[Tensor, Callable[[Tensor], Array]]:
    """Check a label map and return it as contiguous int32 ``[B, *spatial]``, with the way back to the caller's form.

    Two axes are one image, four a batch of volumes. Three are a batch of images, or one volume where `spacing` has
    three lengths.
    """
    tensor = as_tensor(labels, name)
    check_integer(tensor, name)
    if spacing is not None and not hasattr(spacing, "__len__"):
        raise TypeError(f"spacing must be one length for each spatial axis, got {type(spacing).__name__}")
    single = tensor.ndim == 2 or (tensor.ndim == 3 and spacing is not None and len(spacing) == 3)
    if tensor.ndim not in (2, 3, 4):
        raise ValueError(f"{name} must be [H, W], [B, H, W] or [B, D, H, W], got shape {list(tensor.shape)}")
    if values_are_known(tensor):
        check_label_range(tensor, name)
    batch = tensor.unsqueeze(0) if single else tensor
    return batch.to(torch.int32).contiguous(), answer_like(labels, single)


def values_are_known(tensor: Tensor) -> bool:
    """Whether values can be looked at and checked: not while torch.compile traces, nor inside torch.vmap."""
    return not torch.compiler.is_compiling() and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def check_integer(tensor: Tensor, name: str) -> None:
    """Raise a TypeError unless `tensor` has an integer dtype."""
    if tensor.dtype not in INTEGER_DTYPES:
        raise TypeError(f"{name} must have an integer dtype, got {tensor.dtype}")


def check_label_range(labels: Tensor, name: str) -> int:
    """Raise a ValueError for a label below −1 or too large to count up to; return the largest label, −1 if empty."""
    if labels.numel() == 0:
        return -1
    # torch has no aminmax for the wider unsigned types
    wide = labels.to(torch.int64) if labels.dtype in (torch.uint16, torch.uint32, torch.uint64) else labels
    smallest, largest = (int(value) for value in torch.aminmax(wide))
    if smallest < -1:
        raise ValueError(f"{name} must be -1 (ignored), 0 (background) or positive, got {smallest}")
    if largest > LARGEST_LABEL:
        raise ValueError(
            f"{name} goes up to {largest}, but at most {LARGEST_LABEL} can be counted: number the objects 1, 2, … "
            "with skimage.segmentation.relabel_sequential"
        )
    return largest


def check_positive(value: float, name: str) -> float:
    """Raise unless `value` is a finite number above 0; return it as a float."""
    number = check_finite(value, name)
    if number <= 0:
        raise ValueError(f"{name} must be above 0, got {value}")
    return number


def check_finite(value: float, name: str) -> float:
    """Raise unless `value` is a finite real number; return it as a float."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a number, got {type(value).__name__}") from error
    if not -math.inf < number < math.inf:  # also false for NaN, and torch.compile can follow it
        raise ValueError(f"{name} must be finite, got {value}")
    return number


def check_spacing(spacing: Sequence[float] | None, spatial_dims: int) -> list[float]:
    """Return `spacing` as one positive length per spatial axis; None is 1 everywhere."""
    if spacing is None:
        return [1.0] * spatial_dims
    lengths = [check_positive(length, "spacing") for length in spacing]
    if len(lengths) != spatial_dims:
        raise ValueError(f"spacing must have one length for each of the {spatial_dims} spatial axes, got {spacing}")
    return lengths


def check_size(value: int, name: str) -> int:
    """Raise unless `value` is a whole number of at least 1; return it."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)


def check_not_negative(value: float, name: str) -> float:
    """Raise unless `value` is a finite number, 0 or above; return it as a float."""
    number = check_finite(value, name)
    if number < 0:
        raise ValueError(f"{name} must be 0 (off) or above, got {value}")
    return number


def check_embedding(embedding: Tensor, name: str = "embedding") -> None:
    """Raise unless `embedding` is a float tensor ``[B, D, H, W]`` or ``[B, D, depth, H, W]`` with D ≥ 1."""
    if not isinstance(embedding, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(embedding).__name__}")
    check_device(embedding, name)
    if embedding.dtype not in FLOAT_DTYPES:
        raise TypeError(f"{name} must be float16, bfloat16, float32 or float64, got {embedding.dtype}")
    if embedding.ndim not in (4, 5):
        raise ValueError(f"{name} must be [B, D, H, W] or [B, D, depth, H, W], got shape {list(embedding.shape)}")
    if embedding.shape[1] < 1:
        raise ValueError(f"{name} must have at least one channel, got shape {list(embedding.shape)}")


def check_same_images(embedding: Tensor, other: Tensor, name: str) -> None:
    """Raise unless `other` is ``[B, *spatial]`` for an `embedding` ``[B, D, *spatial]``, on the same device."""
    expected = [embedding.shape[0], *embedding.shape[2:]]
    if list(other.shape) != expected:
        raise ValueError(
            f"{name} must be {expected} for an embedding of shape {list(embedding.shape)}, got {list(other.shape)}"
        )
    if other.device != embedding.device:
        raise ValueError(f"{name} must be on the embedding's device, {embedding.device}, got {other.device}")


def count_objects(embedding: Tensor, labels: Tensor, num_objects: int | None) -> tuple[Tensor, int]:
    """Check an embedding and its labels; return the labels, contiguous, and the number of rows of their table."""
    check_embedding(embedding)
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a torch.Tensor, got {type(labels).__name__}")
    check_integer(labels, "labels")
    check_same_images(embedding, labels, "labels")
    if num_objects is not None and num_objects < 0:
        raise ValueError(f"num_objects must be 0 or more, got {num_objects}")
    if not values_are_known(labels):
        if num_objects is None:
            num_objects = labels.to(torch.int64).max().item() + 1
            torch._check(num_objects >= 0)
        return labels.contiguous(), num_objects
    largest = check_label_range(labels, "labels")
    if num_objects is None:
        num_objects = largest + 1
    elif largest >= num_objects:
        raise ValueError(f"num_objects must be above the largest label, {largest}, got {num_objects}")
    check_table_size(embedding, num_objects, "labels")
    return labels.contiguous(), num_objects


def check_table_size(embedding: Tensor, objects: int, name: str) -> None:
    """Raise a ValueError if a row of sums for every label would not fit in memory."""
    table_bytes = 8 * embedding.shape[0] * objects * (embedding.shape[1] + 1)
    if table_bytes > LARGEST_TABLE:
        raise ValueError(
            f"{name} goes up to {objects - 1}, so that a table of its objects takes {table_bytes / 2**30:.1f} GiB: "
            "number the objects 1, 2, … with skimage.segmentation.relabel_sequential"
        )


def check_weights(weights: str | Tensor | None, embedding: Tensor, labels: Tensor) -> Tensor | None:
    """Return the caller's own weights in the dtype to compute in; None for ``"balanced"`` and for None."""
    if weights is None or (isinstance(weights, str) and weights == "balanced"):
        return None
    if isinstance(weights, str):
        raise ValueError(f'weights must be "balanced", None or one number a pixel, got "{weights}"')
    if not isinstance(weights, Tensor):
        raise TypeError(f'weights must be "balanced", None or a torch.Tensor, got {type(weights).__name__}')
    check_same_images(embedding, weights, "weights")
    if weights.requires_grad:
        raise ValueError("weights must not require a gradient: the loss is not differentiated in them; detach() them")
    return weights.to(torch.float64 if embedding.dtype == torch.float64 else torch.float32).contiguous()


def check_pairs(pairs: Tensor, embedding: Tensor) -> None:
    """Raise unless `pairs` is int64 ``[P, 3]`` on the embedding's device, and names images that are there."""
    if not isinstance(pairs, Tensor):
        raise TypeError(f"pairs must be a torch.Tensor, got {type(pairs).__name__}")
    if pairs.dtype != torch.int64:
        raise TypeError(f"pairs must be int64, got {pairs.dtype}")
    if pairs.ndim != 2 or pairs.shape[1] != 3:
        raise ValueError(f"pairs must be [P, 3], rows of image, object, neighbour, got shape {list(pairs.shape)}")
    if pairs.device != embedding.device:
        raise ValueError(f"pairs must be on the embedding's device, {embedding.device}, got {pairs.device}")
    if not values_are_known(pairs) or pairs.shape[0] == 0:
        return
    first, last = (int(image) for image in torch.aminmax(pairs[:, 0]))
    if first < 0 or last >= embedding.shape[0]:
        images = embedding.shape[0]
        raise ValueError(f"pairs must name images 0 to {images - 1} in its first column, got {first} to {last}")


def as_image_batch(embedding: Array, other: Array, name: str) -> tuple[Tensor, Tensor, Callable[[Tensor], Array]]:
    """Check an embedding and a map of the same pixels, with or without the batch axis; return both with it.

    The third is the way back to the form of the map. Where both readings fit (as many images as channels), the arrays
    are batches.
    """
    vectors, tensor = as_tensor(embedding, "embedding"), as_tensor(other, name)
    batched = vectors.ndim >= 4 and list(tensor.shape) == [vectors.shape[0], *vectors.shape[2:]]
    single = not batched and vectors.ndim in (3, 4) and tensor.shape == vectors.shape[1:]
    if single:
        vectors, tensor = vectors.unsqueeze(0), tensor.unsqueeze(0)
    if vectors.ndim not in (4, 5):
        shape = list(vectors.shape)
        raise ValueError(f"embedding must be [B, D, *spatial] or [D, *spatial], 2D or 3D, got shape {shape}")
    check_embedding(vectors)
    check_same_images(vectors, tensor, name)
    return vectors, tensor, answer_like(other, single)
