"""The images that are kept between two requests: a few, the network's output of each."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from embedseg_ops.command.web.limits import Limits
from embedseg_ops.data.images import ImageFile
from embedseg_ops.predict.prediction import Prediction


@dataclass
class Kept:
    """An image, what the network said of it, and its labels.

    Args:
        image: its pixels are ``[C, *spatial]``; its path is the name that the visitor's file has.
        prediction: the network's outputs.
        options: of the postprocessing, all of them.
        labels: int32 ``[*spatial]``.
        lock: held while the options and labels change.
    """

    image: ImageFile
    prediction: Prediction
    options: Mapping[str, Any]
    labels: np.ndarray
    lock: threading.Lock = field(default_factory=threading.Lock)


class Store:
    """Keeps images by names that nobody can guess, and forgets those not used for longest.

    Args:
        limits: how many images, and how many pixels together.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.images: OrderedDict[str, Kept] = OrderedDict()
        self.lock = threading.Lock()

    def add(self, kept: Kept) -> str:
        """Keep an image; return its name."""
        name = secrets.token_urlsafe(12)
        with self.lock:
            self.images[name] = kept
            while len(self.images) > 1 and self.is_full():
                self.images.popitem(last=False)
        return name

    def is_full(self) -> bool:
        """Return whether something has to be forgotten."""
        pixels = sum(kept.labels.size for kept in self.images.values())
        return len(self.images) > self.limits.max_images or pixels > self.limits.pixels

    def get(self, name: str) -> Kept | None:
        """Return an image; None if it is not kept any more."""
        with self.lock:
            if name in self.images:
                self.images.move_to_end(name)
            return self.images.get(name)
