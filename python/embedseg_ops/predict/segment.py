"""From an image to labels: the network tile by tile, then one postprocessing of the whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.registry import ModelName
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.images import Array, answer_like
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.checks import as_planes
from embedseg_ops.predict.prediction import NotFinite, Prediction, predict_image
from embedseg_ops.predict.prepare import Precision
from embedseg_ops.predict.scores import calibration_of


def segment(
    image: Array,
    model: ModelName | tuple[EmbeddingModel, Settings] | None = None,
    *,
    device: str | torch.device | None = None,
    diameter: float | None = None,
    nan: NotFinite = "error",
    tile: int | None = None,
    overlap: int | None = None,
    precision: Precision = "float32",
    progress: bool = False,
    spacing: Sequence[float] | None = None,
) -> Array:
    """Segment an image: normalisation, network and postprocessing with the model's own settings.

    Args:
        image: ``[*spatial]``, or ``[C, *spatial]`` with the model's channels; any real dtype, not normalised.
        model: what `embedseg_ops.load_model` takes (a name, a file, an address on the Hub), or what it returned, whose
            device is then the one used; None: the model that comes with the package, for fluorescent nuclei in 2D.
        device: where a file's network runs; None: CUDA where there is one, else the CPU.
        diameter: median diameter of the image's objects, in pixels, for a model whose settings have one: if it is
            smaller, the image is enlarged; if it is more than 2.5 times as large, shrunk; None: estimated from first
            passes of the network.
        nan: what to do with values that are not finite: refuse them, or take them as 0.
        tile: see `predict_network`.
        overlap: see `predict_network`.
        precision: of the network's convolutions: "float32"; "bfloat16", faster where the processor has instructions
            for it, and much slower where it has not; or "auto", which is bfloat16 where it is faster.
        progress: show a progress bar over the tiles.
        spacing: length of the image's pixels along each axis, in any unit; a volume whose planes are further apart than
            those of the model's own volumes, or closer, is resampled to their spacing, as far as the network sees it.
            None: the model's, or unknown.

    Returns:
        labels int32 ``[*spatial]``, 0 background, 1, 2, … objects; NumPy or torch as `image` is.

    Raises:
        OSError: there is no such model.
        TypeError: the image is no array of real numbers.
        ValueError: the image's axes or channels are not the model's, or a CUDA device is asked for and there is none,
            `diameter` is not positive, or the model has none; there is no such precision; `spacing` has not a length
            above 0 for each axis; the image has 2³¹ pixels or more, or values that are not finite.
    """
    found = _predict(
        image, model, device, nan=nan, diameter=diameter, tile=tile, overlap=overlap, precision=precision,
        progress=progress, spacing=spacing,
    )  # fmt: skip
    return answer_like(image, single=False)(found.label())


def segment_with_scores(
    image: Array, model: ModelName | tuple[EmbeddingModel, Settings] | None = None, **options: Any
) -> tuple[Array, np.ndarray]:
    """Segment an image as :func:`segment` does, and say of every object how probably it is right.

    Args:
        image: see :func:`segment`.
        model: see :func:`segment`; its settings need a calibration, as that of the model that comes with the package.
        options: see :func:`segment`.

    Returns:
        the labels, and scores float64 ``[N]``, from 0 to 1: ``scores[k - 1]`` is the probability that object k covers a
        true one with an IoU of 0.5 or more, on images like those that the model was validated on.

    Raises:
        ValueError: the model has no calibration, or see :func:`segment`.
    """
    model = model if isinstance(model, tuple) else load_model(model, choose_device(options.pop("device", None)))
    calibration_of(model[1])
    found = _predict(image, model, **options)
    labels = found.label()
    return answer_like(image, single=False)(labels), found.scores(labels)


def _predict(image: Array, model: Any, device: str | torch.device | None = None, **options: Any) -> Prediction:
    """Check that an image is what the model takes, and run the network over it."""
    network, settings = model if isinstance(model, tuple) else load_model(model, choose_device(device))
    return predict_image(as_planes(image, settings), (network, settings), **options)


class Segmenter(nn.Module):
    """Network and postprocessing in one module, for ``torch.compile`` and ``torch.export``.

    Args:
        model: the network.
        settings: whose postprocessing options are used.
    """

    def __init__(self, model: EmbeddingModel, settings: Settings):
        super().__init__()
        self.model = model
        self.options: dict[str, Any] = {**settings.postprocess, "spatial_dims": settings.spatial_dims}

    def forward(self, image: Tensor) -> Tensor:
        """Return labels int32 ``[B, *spatial]`` of normalised images float ``[B, C, *spatial]``."""
        embedding, distance = self.model(image)
        labels: Tensor = postprocess(embedding, distance, **self.options)
        return labels
