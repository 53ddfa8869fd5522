"""Images to try the plugin on, which need no download."""

from typing import Any

import numpy as np

from embedseg_ops.data.drawn import cells


def drawn_cells() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a drawn image of crowded cells, as napari takes a layer."""
    return [(cells(seed=3, size=512, count=420)[0], {"name": "cells"}, "image")]


def drawn_stack() -> list[tuple[Any, dict[str, Any], str]]:
    """Return three drawn images as a stack."""
    stack = np.stack([cells(seed, size=256, count=100)[0] for seed in range(3)])
    return [(stack, {"name": "stack of cells"}, "image")]
