"""The operators in plain PyTorch and NumPy: the definition made runnable, and the tests' oracle."""

from embedseg_ops.reference.connected_components import connected_components
from embedseg_ops.reference.embedding_loss import embedding_loss
from embedseg_ops.reference.mean_embedding import mean_embedding
from embedseg_ops.reference.neighbor_pairs import neighbor_pairs
from embedseg_ops.reference.postprocess import postprocess
from embedseg_ops.reference.propagate import propagate

__all__ = [
    "connected_components",
    "embedding_loss",
    "mean_embedding",
    "neighbor_pairs",
    "postprocess",
    "propagate",
]
