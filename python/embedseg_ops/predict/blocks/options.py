"""The options of :func:`embedseg_ops.postprocess`, complete and checked."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from embedseg_ops.ops.postprocess import postprocess


@dataclass(frozen=True)
class Options:
    """What `postprocess` takes beside its maps; the meaning and the defaults are written there."""

    seed_threshold: float
    max_distance: float
    seed_smoothing: float
    min_seed_size: int
    min_object_size: int
    background_threshold: float | None
    boundary_distance: float
    max_objects: int | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Options":
        """Return the options given, and the defaults of the others; raise what `postprocess` raises."""
        postprocess(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1), spatial_dims=2, **given)
        parameters = inspect.signature(postprocess).parameters
        return cls(**{name: given.get(name, parameters[name].default) for name in cls.__dataclass_fields__})

    @property
    def margin(self) -> int:
        """The reach of the smoothing, in pixels."""
        return int(4 * self.seed_smoothing + 0.5)
