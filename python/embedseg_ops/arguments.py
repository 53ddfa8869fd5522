"""What the public functions accept: their arguments checked, and brought to the batches that the operators take."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Array = TypeVar("Array", Tensor, np.ndarray)
Answer = Callable[[Tensor], Tensor]

INTEGER_DTYPES = {
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64,
}  # fmt: skip
LARGEST_LABEL = 2**30 - 1


def as_tensor(value: Array, name: str) -> Tensor:
    """Return `value` as a tensor that shares its memory where it can."""
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a torch.Tensor or a numpy.ndarray, got {type(value).__name__}")
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    writable = native if native.flags.writeable and min(native.strides, default=0) >= 0 else native.copy()
    try:
        return torch.from_numpy(writable)
    except TypeError as error:
        raise TypeError(f"{name} has dtype {value.dtype}, which torch does not know") from error


def answer_like(value: Array, single: bool) -> Answer:
    """Return the function that gives a batched result the form of `value`: NumPy or torch, one image or a batch."""

    def answer(result: Tensor) -> Tensor:
        result = result.squeeze(0) if single else result
        return result.numpy() if isinstance(value, np.ndarray) else result

    return answer


def label_batch(labels: Array, name: str = "labels", spacing: Sequence[float] | None = None) -> tuple[Tensor, Answer]:
    """Check a label map and return it as contiguous int32 ``[B, *spatial]``, with the way back to the caller's form.

    Two axes are one image, four a batch of volumes. Three are a batch of images, or one volume where `spacing` has
    three lengths.
    """
    tensor = as_tensor(labels, name)
    check_integer(tensor, name)
    single = tensor.ndim == 2 or (tensor.ndim == 3 and spacing is not None and len(spacing) == 3)
    if tensor.ndim not in (2, 3, 4):
        raise ValueError(f"{name} must be [H, W], [B, H, W] or [B, D, H, W], got shape {list(tensor.shape)}")
    check_label_range(tensor, name)
    batch = tensor.unsqueeze(0) if single else tensor
    return batch.to(torch.int32).contiguous(), answer_like(labels, single)


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
        raise ValueError(f"{name} must be −1 (ignored), 0 (background) or positive, got {smallest}")
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
    if not math.isfinite(number):
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
