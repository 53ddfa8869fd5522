"""Instance segmentation with pixel embeddings: fast operators for PyTorch and NumPy.

Importing the package loads the operators; everything else is loaded when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING

from embedseg_ops.library import build_info, cmake_prefix_path
from embedseg_ops.ops.connected_components import connected_components
from embedseg_ops.ops.direction_sums import direction_sums
from embedseg_ops.ops.distance_map import distance_map
from embedseg_ops.ops.embedding_loss import EmbeddingLoss, embedding_loss
from embedseg_ops.ops.mean_embedding import mean_embedding
from embedseg_ops.ops.neighbor_pairs import neighbor_pairs
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.ops.propagate import propagate
from embedseg_ops.version import __version__ as __version__

if TYPE_CHECKING:
    from embedseg_ops import export, figures, interchange, losses, metrics, models, reference
    from embedseg_ops.model.files import load_model, save_model
    from embedseg_ops.ops import options
    from embedseg_ops.predict.blocks.postprocess_blocks import postprocess_blocks
    from embedseg_ops.predict.blocks.segment_blocks import segment_blocks
    from embedseg_ops.predict.scores import object_features
    from embedseg_ops.predict.segment import segment, segment_with_scores

_LAZY = {
    "export": "embedseg_ops.export",
    "figures": "embedseg_ops.figures",
    "interchange": "embedseg_ops.interchange",
    "load_model": "embedseg_ops.model.files:load_model",
    "losses": "embedseg_ops.losses",
    "metrics": "embedseg_ops.metrics",
    "models": "embedseg_ops.models",
    "object_features": "embedseg_ops.predict.scores:object_features",
    "options": "embedseg_ops.ops.options",
    "postprocess_blocks": "embedseg_ops.predict.blocks.postprocess_blocks:postprocess_blocks",
    "reference": "embedseg_ops.reference",
    "save_model": "embedseg_ops.model.files:save_model",
    "segment_blocks": "embedseg_ops.predict.blocks.segment_blocks:segment_blocks",
    "segment": "embedseg_ops.predict.segment:segment",
    "segment_with_scores": "embedseg_ops.predict.segment:segment_with_scores",
}

__all__ = [
    "EmbeddingLoss",
    "build_info",
    "cmake_prefix_path",
    "connected_components",
    "direction_sums",
    "distance_map",
    "embedding_loss",
    "export",
    "figures",
    "interchange",
    "load_model",
    "losses",
    "mean_embedding",
    "metrics",
    "models",
    "neighbor_pairs",
    "object_features",
    "options",
    "postprocess",
    "postprocess_blocks",
    "propagate",
    "reference",
    "save_model",
    "segment",
    "segment_blocks",
    "segment_with_scores",
]


def __getattr__(name: str) -> object:
    """Load a public name that is not an operator."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, member = _LAZY[name].partition(":")
    loaded = importlib.import_module(module)
    value = getattr(loaded, member) if member else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*__all__, "__version__"])
