"""What the public functions accept as tensors: embeddings, labels, weights and pairs."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from embedseg_ops.library import build_info
from embedseg_ops.ops.numbers import LARGEST_SIZE, check_size

INTEGER_DTYPES = {
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64,
}  # fmt: skip
FLOAT_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
HAS_CUDA = build_info()["cuda"] is not None
LEAST_CAPABILITY = (8, 0)  # third_party/architectures.cmake has it too
LARGEST_LABEL = 2**30 - 1
LARGEST_TABLE = 2**32  # bytes
RELABEL = "number the objects 1, 2, … with skimage.segmentation.relabel_sequential"


def check_device(tensor: Tensor, name: str) -> None:
    """Raise a RuntimeError for a tensor on a GPU where this build has no kernels for it."""
    if not tensor.is_cuda:
        return
    if not HAS_CUDA:
        raise RuntimeError(
            f"{name} is on {tensor.device}, but this build of embedseg_ops has no CUDA kernels: no nvcc was found when "
            "it was built. Install nvcc 13.0 and build again with -C cmake.define.EMBEDSEG_CUDA=ON, or move the tensor "
            "to the CPU"
        )
    capability = (8, 0) if torch.compiler.is_compiling() else torch.cuda.get_device_capability(tensor.device)
    if capability < LEAST_CAPABILITY:
        raise RuntimeError(
            f"{name} is on {tensor.device}, of compute capability {capability[0]}.{capability[1]}, but the kernels of "
            "embedseg_ops need 8.0 or above: move the tensor to the CPU"
        )


def is_asynchronous(tensor: Tensor) -> bool:
    """Whether a look at values would make the host wait, which no CUDA graph can capture."""
    return tensor.is_cuda


def values_are_known(tensor: Tensor) -> bool:
    """Whether values can be looked at and checked: not while torch.compile traces, nor inside torch.vmap."""
    if torch.compiler.is_compiling():
        return False
    while torch._C._functorch.is_gradtrackingtensor(tensor):  # torch.func.grad only wraps what it follows
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def refuse_forward_mode(embedding: Tensor) -> None:
    """Raise a RuntimeError in forward-mode differentiation, which would else be 0 in silence."""
    if torch.compiler.is_compiling() or forward_ad._current_level < 0:
        return
    level = embedding
    while forward_ad.unpack_dual(level).tangent is None:  # type: ignore[no-untyped-call]
        if not torch._C._functorch.is_functorch_wrapped_tensor(level):
            return
        level = torch._C._functorch.get_unwrapped(level)
    raise RuntimeError(
        "embedseg_ops: mean_embedding and embedding_loss have no forward-mode derivative (jvp, jacfwd): use "
        "torch.func.vjp or jacrev. embedseg_ops.reference has both in plain PyTorch, differentiable in either mode."
    )


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
    if labels.dtype == torch.uint64 and smallest < 0:  # beyond int64, and wrapped around
        smallest, largest = 0, smallest + 2**64
    if smallest < -1:
        raise ValueError(f"{name} must be -1 (ignored), 0 (background) or positive, got {smallest}")
    if largest > LARGEST_LABEL:
        raise ValueError(f"{name} goes up to {largest}, but at most {LARGEST_LABEL} can be counted: {RELABEL}")
    return largest


def check_pixels(shape: Sequence[int], name: str) -> None:
    """Raise a ValueError for an image ``[*spatial]`` of more pixels than int32 counts, before any work is done."""
    pixels = 1
    for size in shape:
        pixels *= size
    if not torch.compiler.is_compiling() and pixels > LARGEST_SIZE:  # a bound is no guard for an exporter
        raise ValueError(f"{name} must have fewer than 2**31 pixels in an image, got {list(shape)}: {pixels} pixels")


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
    if list(other.shape) != [embedding.shape[0], *embedding.shape[2:]]:
        raise shape_error(embedding, 1, other, name)
    check_same_device(embedding, other, name)


def check_same_device(embedding: Tensor, other: Tensor, name: str) -> None:
    """Raise a ValueError unless both are on one device."""
    if other.device != embedding.device:
        raise ValueError(f"{name} must be on the embedding's device, {embedding.device}, got {other.device}")


def shape_error(embedding: Tensor, channel_axis: int, other: Tensor, name: str) -> ValueError:
    """Return the error for an `embedding` and a map of other pixels, which names the one that is probably wrong."""
    shape, got = list(embedding.shape), list(other.shape)
    expected = shape[:channel_axis] + shape[channel_axis + 1 :]
    if got == shape[:-1]:
        start = "embedding.movedim(-1, 1), of one image embedding.movedim(-1, 0)"
        return ValueError(
            f"embedding of shape {shape} has its channels last, for a {name} of shape {got}: give {start}"
        )
    text = f"{name} must be {expected} for an embedding of shape {shape}, got {got}"
    if len(got) == len(shape) and got[channel_axis] == 1 and got[:channel_axis] + got[channel_axis + 1 :] == expected:
        text += f": take its channel axis off, {name}{'[:, 0]' if channel_axis else '[0]'}"
    return ValueError(text)


def count_objects(
    embedding: Tensor, labels: Tensor, num_objects: int | None, whole_table: bool = True
) -> tuple[Tensor, int]:
    """Check an embedding and its labels; return the labels, contiguous, and the number of rows of their table.

    `whole_table`: whether that table is made, and must not be too large.
    """
    check_embedding(embedding)
    refuse_forward_mode(embedding)
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a torch.Tensor, got {type(labels).__name__}")
    check_integer(labels, "labels")
    check_same_images(embedding, labels, "labels")
    if num_objects is not None:
        num_objects = check_size(num_objects, "num_objects", smallest=0)
    if not values_are_known(labels):
        if num_objects is None and not torch.compiler.is_compiling():
            raise ValueError("num_objects must be given inside torch.vmap: it is a size, and the same for every slice")
        if num_objects is None:
            num_objects = int(labels.to(torch.int64).max().item()) + 1
            torch._check(num_objects >= 0)  # type: ignore[no-untyped-call]
        return labels.contiguous(), num_objects
    if num_objects is not None and is_asynchronous(labels):
        check_table_size(embedding, num_objects, "labels")  # and the kernels raise where a label is out of range
        return labels.contiguous(), num_objects
    largest = check_label_range(labels, "labels")
    if num_objects is None:
        num_objects = largest + 1
    elif largest >= num_objects:
        raise ValueError(f"num_objects must be above the largest label, {largest}, got {num_objects}")
    if whole_table:
        check_table_size(embedding, num_objects, "labels")
    return labels.contiguous(), num_objects


def check_table_size(embedding: Tensor, objects: int, name: str, remedy: str = RELABEL) -> None:
    """Raise a ValueError if the sums and means of `objects` objects in each image would take over 4 GiB."""
    table_bytes = table_size(embedding, objects)
    if table_bytes > LARGEST_TABLE:
        raise ValueError(
            f"{name} goes up to {objects - 1}, so that a table of its objects takes {table_bytes} bytes, more than "
            f"{LARGEST_TABLE} (4 GiB): {remedy}"
        )


def table_size(embedding: Tensor, objects: int) -> int:
    """Return the bytes of the sums, and of the means in double and in single precision, of so many objects an image."""
    batch, dim = embedding.shape[:2]
    return batch * objects * (8 * (dim + 1) + 8 * dim + 4 * dim)


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


def check_pairs(pairs: Tensor, embedding: Tensor, counted: bool = False) -> None:
    """Raise unless `pairs` is int64 ``[P, 3]`` on the embedding's device, and names images that are there.

    Where the objects are `counted`, a GPU is not waited for: it leaves out pairs of images that are not there.
    """
    if not isinstance(pairs, Tensor):
        raise TypeError(f"pairs must be a torch.Tensor, got {type(pairs).__name__}")
    if pairs.dtype != torch.int64:
        raise TypeError(f"pairs must be int64, got {pairs.dtype}")
    if pairs.ndim != 2 or pairs.shape[1] != 3:
        raise ValueError(f"pairs must be [P, 3], rows of image, object, neighbour, got shape {list(pairs.shape)}")
    if pairs.device != embedding.device:
        raise ValueError(f"pairs must be on the embedding's device, {embedding.device}, got {pairs.device}")
    if not values_are_known(pairs) or pairs.shape[0] == 0 or (counted and is_asynchronous(pairs)):
        return
    first, last = (int(image) for image in torch.aminmax(pairs[:, 0]))
    if first < 0 or last >= embedding.shape[0]:
        images = embedding.shape[0]
        raise ValueError(f"pairs must name images 0 to {images - 1} in its first column, got {first} to {last}")
