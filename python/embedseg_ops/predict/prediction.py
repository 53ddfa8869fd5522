"""What a network says of an image, and what is made of it: labels with any options, and how probably each is right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from embedseg_ops.data.samples import normalize
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.ops.ranges import check_word
from embedseg_ops.predict.prepare import Network, Precision, prepare
from embedseg_ops.predict.scale import predict_scaled
from embedseg_ops.predict.scores import calibrated, calibration_of, object_features

NotFinite = Literal["error", "zero"]


@dataclass(frozen=True)
class Prediction:
    """A network's outputs for one image.

    Args:
        embedding: float32 ``[1, D, *spatial]``, on the CPU.
        distance: float32 ``[1, *spatial]``, on the CPU.
        settings: of the network's model.
    """

    embedding: Tensor
    distance: Tensor
    settings: Settings

    def label(self, options: Mapping[str, Any] | None = None) -> Tensor:
        """Return the labels, int32 ``[*spatial]``, that options of the postprocessing give; None: the model's own."""
        chosen = self.settings.postprocess if options is None else options
        return postprocess(self.embedding, self.distance, spatial_dims=self.settings.spatial_dims, **chosen)[0]

    def scores(self, labels: np.ndarray | Tensor) -> np.ndarray:
        """Return how probably each of the labels ``[*spatial]`` is right, float64 ``[N]``, from 0 to 1.

        Raises:
            ValueError: the model has none.
        """
        features = object_features(torch.as_tensor(labels), self.embedding[0], self.distance[0])
        return calibrated(features, calibration_of(self.settings))


def predict_image(
    image: np.ndarray, model: tuple[Network, Settings], *, nan: NotFinite = "error", diameter: float | None = None,
    tile: int | None = None, overlap: int | None = None, precision: Precision = "float32", progress: bool = False,
    spacing: Sequence[float] | None = None,
) -> Prediction:  # fmt: skip
    """Normalise an image and run the network over it.

    Args:
        image: ``[C, *spatial]`` of any real dtype, as stored.
        model: the network, prepared or not, and its settings.
        nan: see `embedseg_ops.segment`, as all that follows.
        diameter: of the objects.
        tile: largest side of a tile.
        overlap: of neighbouring tiles.
        precision: of the convolutions; that of a prepared network is its own.
        progress: show a progress bar.
        spacing: of the pixels.

    Raises:
        ValueError: values that are not finite; see `embedseg_ops.segment` for the others.
    """
    network, settings = model
    normalized = normalize(without_nan(image, nan), settings.percentiles)
    prepared = prepare(network, precision)
    outputs = predict_scaled(normalized, prepared, settings, diameter, tile, overlap, progress, spacing)
    return Prediction(*outputs, settings)


def check_nan(nan: NotFinite) -> None:
    """Raise a ValueError for another word."""
    check_word(nan, "nan", NotFinite)


def without_nan(planes: np.ndarray, nan: NotFinite) -> np.ndarray:
    """Return ``[C, *spatial]`` with 0 for what is not finite, or raise a ValueError that says how many and where."""
    check_nan(nan)
    finite = np.isfinite(planes)
    wrong = finite.size - np.count_nonzero(finite)
    if wrong and nan == "error":
        place = [int(index) for index in np.unravel_index(np.argmin(finite), finite.shape)]
        raise ValueError(
            f"image holds {wrong} values that are not finite (NaN or infinite), the first at {place}, channel first: "
            'give nan="zero" (--nan zero) to take them as 0'
        )
    return np.where(finite, planes, planes.dtype.type(0)) if wrong else planes
