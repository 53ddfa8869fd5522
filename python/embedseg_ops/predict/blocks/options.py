"""The options of :func:`embedseg_ops.postprocess`, complete and checked."""

import inspect
from collections.abc import Mapping
from typing import Any, cast

import torch

from embedseg_ops.ops.options import PostprocessOptions, current_names
from embedseg_ops.ops.postprocess import postprocess


def complete(given: Mapping[str, Any]) -> PostprocessOptions:
    """Return the options given, and the defaults of the others; raise what `postprocess` raises."""
    postprocess(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1), spatial_dims=2, **given)
    known = current_names(given)
    parameters = inspect.signature(postprocess).parameters
    names = PostprocessOptions.__annotations__
    return cast("PostprocessOptions", {name: known.get(name, parameters[name].default) for name in names})


def margin(options: PostprocessOptions) -> int:
    """Return the reach of the smoothing, in pixels."""
    return int(4 * options["seed_smoothing"] + 0.5)
