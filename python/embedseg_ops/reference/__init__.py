"""The operators in plain PyTorch and NumPy: the definition made runnable, and the tests' oracle."""

from embedseg_ops.reference.connected_components import connected_components

__all__ = ["connected_components"]
