"""The operators in plain PyTorch and NumPy: the definition made runnable, and the tests' oracle."""

from embedseg_ops.reference.connected_components import connected_components
from embedseg_ops.reference.distance_map import distance_map
from embedseg_ops.reference.remove_small import remove_small

__all__ = ["connected_components", "distance_map", "remove_small"]
