"""Which objects are close to each other, in plain NumPy and SciPy."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


def neighbor_pairs(
    labels: Tensor, distance: float = 10.0, background: bool = True, spacing: Sequence[float] | None = None
) -> Tensor:
    """List the neighbours in ``[B, *spatial]``; as :func:`embedseg_ops.neighbor_pairs`."""
    rows = []
    for b, image in enumerate(labels.numpy()):
        for k in np.unique(image[image > 0]):
            distance_to_k = ndimage.distance_transform_edt(image != k, sampling=spacing)
            near = np.unique(image[(distance_to_k < distance) & (image > 0) & (image != k)])
            rows += [(b, k, n) for n in near]
            if background and (image == 0).any():
                rows += [(b, 0, k), (b, k, 0)]
    return torch.tensor(sorted(rows), dtype=torch.int64).reshape(-1, 3)
