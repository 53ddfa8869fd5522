"""Instance segmentation with pixel embeddings: fast operators for PyTorch and NumPy."""

import torch  # noqa: F401, I001  # loads libtorch, which _C needs

from embedseg_ops import _C  # registers the operators; an error here must reach the user
from embedseg_ops import metrics, reference
from embedseg_ops.inference import segment
from embedseg_ops.ops.connected_components import connected_components
from embedseg_ops.ops.distance_map import distance_map
from embedseg_ops.ops.embedding_loss import EmbeddingLoss, embedding_loss
from embedseg_ops.ops.mean_embedding import mean_embedding
from embedseg_ops.ops.neighbor_pairs import neighbor_pairs
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.ops.propagate import propagate

__all__ = [
    "EmbeddingLoss",
    "build_info",
    "connected_components",
    "distance_map",
    "embedding_loss",
    "mean_embedding",
    "metrics",
    "neighbor_pairs",
    "postprocess",
    "propagate",
    "reference",
    "segment",
]
__version__ = "0.1.0"


def build_info() -> dict[str, object]:
    """Tell what this installation was built with and which instruction set it uses.

    Returns:
        ``torch``: the torch version whose headers it was built with; ``cuda``: the version of nvcc, None for a
        CPU-only build; ``cuda_runtime``: the version of the CUDA runtime inside, 0 without; ``cuda_stream``: whether
        the installed torch can run CUDA; ``simd``: ``"avx512"``, ``"avx2"`` or ``"plain"``.
    """
    return _C.build_info()
