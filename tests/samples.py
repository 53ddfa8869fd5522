"""Inputs that the tests share: label maps with everything that real ones have, and more."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

INTEGER_DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16]
FLOAT_DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
#: of `Settings`: such a network finds objects with random weights
UNTRAINED = {"batch_norm": False, "foreground": False}


def cells(shape: tuple[int, ...], objects: int, seed: int = 0, gap: float = 0.0) -> Tensor:
    """Crowded convex objects: a Voronoi partition of `objects` random centres, of which a share `gap` is background."""
    random = np.random.default_rng(seed)
    centres = random.uniform(0, shape, (objects, len(shape)))
    pixels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(float)
    distances = np.linalg.norm(pixels[..., None, :] - centres, axis=-1)
    labels = distances.argmin(-1) + 1
    labels[distances.min(-1) > np.quantile(distances.min(-1), 1 - gap)] = 0
    return torch.from_numpy(labels.astype(np.int32))


class Bright(torch.nn.Module):
    """Finds objects by their brightness; remembers the shapes of the images that it saw."""

    divisor = 1

    def __init__(self):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))
        self.shapes = []

    @property
    def seen(self):
        return [shape[-1] for shape in self.shapes]

    def forward(self, image):
        self.shapes.append(tuple(image.shape[2:]))
        return self.answer(image)

    def answer(self, image):
        return torch.cat([image, 1 - image], 1), image[:, 0]


@st.composite
def label_maps(draw: st.DrawFn, largest_side: int = 9, ignored: bool = True) -> Tensor:
    """Small int32 label maps ``[B, *spatial]``: 2D and 3D, noise and cells, gaps in the ids, −1, no background."""
    shape = tuple(draw(st.lists(st.integers(1, largest_side), min_size=2, max_size=3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = np.array([0, 1, 2, 3, 5, 9][draw(st.integers(0, 1)) : draw(st.integers(1, 6))] or [1])
    images = []
    for _ in range(draw(st.integers(1, 2))):
        objects = ids[random.integers(0, len(ids), shape)]
        if draw(st.booleans()):
            objects = ids[cells(shape, len(ids), int(random.integers(1 << 30)))[...].numpy() - 1]
        if ignored and draw(st.booleans()):
            objects[random.random(shape) < 0.2] = -1
        images.append(objects)
    return torch.from_numpy(np.stack(images).astype(np.int32))


def embedding_for(
    labels: Tensor, dim: int, seed: int = 0, dtype: torch.dtype = torch.float32, noise: float = 1.0
) -> Tensor:
    """Random vectors ``[B, dim, *spatial]`` that lean towards one random axis for each label."""
    random = torch.Generator().manual_seed(seed)
    axes = torch.randn(32, dim, generator=random)
    vectors = axes[labels.long() % 32] + noise * torch.randn(*labels.shape, dim, generator=random)
    return vectors.movedim(-1, 1).contiguous().to(dtype)


def in_layout(embedding: Tensor, layout: str) -> Tensor:
    """The same embedding, laid out as ``contiguous``, ``channels_last``, ``sliced`` or ``transposed``."""
    if layout == "channels_last":
        return embedding.movedim(1, -1).contiguous().movedim(-1, 1)
    if layout == "sliced":
        wide = torch.full((*embedding.shape[:-1], 2 * embedding.shape[-1] + 3), torch.nan, dtype=embedding.dtype)
        wide[..., 1:-2:2] = embedding
        return wide[..., 1:-2:2]
    if layout == "transposed":
        return embedding.transpose(-1, -2).contiguous().transpose(-1, -2)
    return embedding.contiguous()


LAYOUTS = ["contiguous", "channels_last", "sliced", "transposed"]
