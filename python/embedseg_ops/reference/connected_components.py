"""Connected components of a mask, in plain NumPy and SciPy."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


def connected_components(mask: Tensor) -> Tensor:
    """Number the connected components of ``[B, *spatial]``; as :func:`embedseg_ops.connected_components`."""
    everywhere = np.ones((3,) * (mask.ndim - 1), dtype=bool)
    components = [ndimage.label(image.numpy(), structure=everywhere)[0] for image in mask]
    return torch.from_numpy(np.stack(components).astype(np.int32)) if components else mask.to(torch.int32)
