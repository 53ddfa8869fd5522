"""What every exporter of a traced network needs: an input, which of its sizes may change, and what goes along."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from embedseg_ops.model.settings import Settings

KEY = "embedseg_ops"  # of the metadata that files carry
NAMES = {2: ("height", "width"), 3: ("depth", "height", "width")}


def example_input(settings: Settings, device: torch.device) -> Tensor:
    """Return an image batch whose sizes are all different, so that none is taken for another or for a constant."""
    sizes = (24, 40, 48)[-settings.spatial_dims :]
    return torch.rand(2, settings.channels, *sizes, generator=torch.Generator().manual_seed(0)).to(device)


def sizes_that_change(settings: Settings) -> dict[int, str]:
    """Return the names of the axes whose sizes are free, by their numbers."""
    return {0: "batch", **dict(enumerate(NAMES[settings.spatial_dims], 2))}


def what_goes_along(settings: Settings) -> str:
    """Return as JSON what a user of the bare network has to know of `settings`."""
    names = ("percentiles", "diameter", "spacing", "postprocess", "about", "licence")
    return json.dumps({name: getattr(settings, name) for name in names})


@contextmanager
def quietly() -> Iterator[None]:
    """Let torch's exporters work without what they say of themselves and of packages that nobody asked for."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
