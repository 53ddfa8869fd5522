"""Random inputs: shapes, dtypes, layouts and values that real ones have, and more."""

import numpy as np
import torch
from torch import Tensor

INTEGERS = [
    torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64,
]  # fmt: skip
FLOATS = [torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16]
ID_SETS = [[1], [1, 2], [1, 2, 3, 5], [0], [2, 9, 40, 100], [1, 70_000, 2**24, 2**24 + 1], list(range(1, 30))]


class Draw:
    """Draws inputs; the same ones for the same seed."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.torch = torch.Generator().manual_seed(int(self.random.integers(2**62)))
        dims = int(self.random.integers(2, 4))
        longest = 12 if dims == 2 else 6
        self.shape = (int(self.random.choice([1, 1, 2, 3])), *map(int, self.random.integers(1, longest + 1, dims)))
        if self.chance(0.02):
            self.shape = tuple(
                0 if axis == self.random.integers(len(self.shape)) else n for axis, n in enumerate(self.shape)
            )

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.random.random() < probability)

    def one_of(self, things):
        """Return one of them."""
        return things[int(self.random.integers(len(things)))]

    def laid_out(self, tensor: Tensor) -> Tensor:
        """Return the tensor in a random layout."""
        kind = self.random.integers(7)
        if kind == 0 or tensor.numel() == 0:
            return tensor
        if kind == 1:
            axes = list(map(int, self.random.permutation(tensor.ndim)))
            back = [axes.index(axis) for axis in range(tensor.ndim)]
            return tensor.permute(axes).contiguous().permute(back)
        if kind == 2:
            step = int(self.random.integers(2, 4))
            wide = tensor.repeat_interleave(step, -1)
            return wide[..., ::step]
        if kind == 3:
            return torch.nn.functional.pad(tensor.to(torch.float64), (1, 2)).to(tensor.dtype)[..., 1:-2]
        if kind == 4 and all(torch.equal(tensor[:1], tensor[i : i + 1]) for i in range(len(tensor))):
            return tensor[:1].expand(tensor.shape)
        if kind == 5 and tensor.ndim > 2:
            return tensor.movedim(1, -1).contiguous().movedim(-1, 1)
        return tensor.contiguous()

    def labels(self) -> Tensor:
        """Return int64 labels: noise or stripes of a few ids, with background and ignored pixels."""
        ids = np.array([*self.one_of(ID_SETS), *([0] if self.chance(0.7) else [])])
        places = self.random.integers(0, len(ids), self.shape)
        if self.chance(0.6):  # coarse blocks instead of noise
            for axis in range(1, len(self.shape)):
                places = np.take(places, np.arange(self.shape[axis]) // 3, axis)
        labels = ids[places]
        if self.chance(0.3):
            labels[self.random.random(self.shape) < 0.2] = -1
        return torch.from_numpy(labels.astype(np.int64))

    def as_stored(self, labels: Tensor) -> Tensor:
        """Return labels in a random integer dtype that has them, and in a random layout."""
        low, high = (int(labels.min()), int(labels.max())) if labels.numel() else (0, 0)
        able = [kind for kind in INTEGERS if torch.iinfo(kind).min <= low and high <= torch.iinfo(kind).max]
        laid = self.laid_out(labels)
        return self.laid_out(labels.to(self.one_of(able))) if self.chance(0.5) else laid

    def embedding(self, labels: Tensor, special: bool = True) -> Tensor:
        """Return an embedding that leans towards a direction for each label."""
        dim = int(self.one_of([1, 2, 3, 4, 4, 5, 8, 16, 20, 32]))
        axes = torch.randn(16, dim, generator=self.torch)
        noise = float(self.one_of([0.05, 0.3, 1.0]))
        vectors = axes[labels.remainder(16)] + noise * torch.randn(*labels.shape, dim, generator=self.torch)
        kind = self.one_of(FLOATS)
        vectors = vectors.movedim(-1, 1).contiguous()
        if special and self.chance(0.15) and kind in (torch.float32, torch.float64):
            vectors = vectors.double() * 10.0 ** float(self.random.uniform(-25, 25))
        vectors = vectors.to(kind)
        if special and self.chance(0.15) and vectors.numel():
            where = torch.rand(vectors.shape, generator=self.torch) < 0.01
            vectors[where] = self.one_of([torch.nan, torch.inf, -torch.inf, 0.0])
        return self.laid_out(vectors)

    def distance(self, labels: Tensor, special: bool = True) -> Tensor:
        """Return a distance map with noise."""
        smooth = torch.rand(labels.shape, generator=self.torch) * 0.6 + 0.4 * (labels > 0)
        if special and self.chance(0.1):
            smooth[torch.rand(labels.shape, generator=self.torch) < 0.03] = torch.nan
        return self.laid_out(smooth.to(self.one_of(FLOATS)))
