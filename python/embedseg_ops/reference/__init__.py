"""The operators in plain PyTorch and NumPy: the definition made runnable, and the tests' oracle."""

from embedseg_ops.reference.connected_components import connected_components
from embedseg_ops.reference.direction_sums import direction_sums, fixed_unit
from embedseg_ops.reference.distance_map import distance_map
from embedseg_ops.reference.embedding_loss import embedding_loss
from embedseg_ops.reference.mean_embedding import mean_embedding, unit
from embedseg_ops.reference.neighbor_pairs import neighbor_pairs
from embedseg_ops.reference.postprocess import postprocess
from embedseg_ops.reference.propagate import propagate
from embedseg_ops.reference.remove_small import remove_small
from embedseg_ops.reference.trim import trim

__all__ = [
    "connected_components",
    "direction_sums",
    "distance_map",
    "embedding_loss",
    "fixed_unit",
    "mean_embedding",
    "neighbor_pairs",
    "postprocess",
    "propagate",
    "remove_small",
    "trim",
    "unit",
]
