"""The description of a model in bioimage.io's format 0.5: what `rdf.yaml` says."""

from collections.abc import Sequence
from typing import Any

from embedseg_ops.model.settings import Settings

FORMAT = "0.5.3"  # the oldest that has all of this; the library that writes it brings it up to date
SMALLEST, STEP = 64, 8  # sizes of images, in pixels, that every program can give the network
PAPER = {
    "text": "Chen, Strauch, Merhof: Instance Segmentation of Biomedical Images with an Object-aware Embedding Learned "
    "with Local Constraints. MICCAI 2019",
    "url": "https://arxiv.org/abs/2004.09821",
}


def describe(
    settings: Settings, name: str, authors: Sequence[str], licence: str, opset: int, torch_version: str
) -> dict[str, Any]:
    """Return the description of a package whose files have the names that stand here.

    Args:
        settings: of the model.
        name: of the model, for people.
        authors: their names.
        licence: of the weights, an SPDX identifier.
        opset: version of the ONNX operators in use.
        torch_version: of the torch that wrote the weights.
    """
    return {
        "type": "model", "format_version": FORMAT, "name": name, "description": description(settings),
        "authors": [{"name": author} for author in authors], "license": licence, "cite": [PAPER],
        "documentation": "README.md", "covers": ["cover.png"],
        "tags": ["instance-segmentation", "embedding", "unet", "pytorch", f"{settings.spatial_dims}d"],
        "inputs": [image_tensor(settings)],
        "outputs": [
            output_tensor("embedding", settings, [f"embedding{number}" for number in range(settings.dim)]),
            output_tensor("distance", settings, None),
        ],
        "weights": weights(settings, opset, torch_version),
        "config": {"embedseg_ops": {
            "percentiles": list(settings.percentiles), "diameter": settings.diameter,
            "postprocess": dict(settings.postprocess), "scores": settings.scores,
        }},
    }  # fmt: skip


def description(settings: Settings) -> str:
    """Say in a sentence what the network makes of what."""
    kind = "a volume" if settings.spatial_dims == 3 else "an image"
    text = f"Pixel embedding and distance map of {kind}, from which postprocessing makes an instance segmentation."
    return f"{settings.about}. {text}" if settings.about else text


def weights(settings: Settings, opset: int, torch_version: str) -> dict[str, Any]:
    """Return both forms of the weights: PyTorch's, whose architecture this package builds, and ONNX, made from them."""
    architecture = {
        "callable": "build_model", "import_from": "embedseg_ops.models", "kwargs": settings.architecture(),
    }  # fmt: skip
    return {
        "pytorch_state_dict": {
            "source": "weights.pt", "architecture": architecture, "pytorch_version": torch_version.partition("+")[0],
        },
        "onnx": {"source": "weights.onnx", "opset_version": opset, "parent": "pytorch_state_dict"},
    }  # fmt: skip


def image_tensor(settings: Settings) -> dict[str, Any]:
    """Return the description of the input, which is normalised as this package does it."""
    low, high = settings.percentiles
    letters = "zyx"[-settings.spatial_dims :]
    space = [{"type": "space", "id": axis, "size": {"min": SMALLEST, "step": STEP}} for axis in letters]
    names = [f"channel{number}" for number in range(settings.channels)]
    scale = {"axes": list(letters), "min_percentile": low, "max_percentile": high}
    return {
        "id": "image", "axes": [{"type": "batch"}, {"type": "channel", "channel_names": names}, *space],
        "test_tensor": {"source": "test_image.npy"}, "data": {"type": "float32"},
        "preprocessing": [
            {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
            {"id": "scale_range", "kwargs": scale},
        ],
    }  # fmt: skip


def output_tensor(name: str, settings: Settings, channels: list[str] | None) -> dict[str, Any]:
    """Return the description of an output, as large as the input."""
    space = [
        {"type": "space", "id": axis, "size": {"tensor_id": "image", "axis_id": axis}}
        for axis in "zyx"[-settings.spatial_dims :]
    ]
    names = [] if channels is None else [{"type": "channel", "channel_names": channels}]
    return {
        "id": name, "axes": [{"type": "batch"}, *names, *space], "data": {"type": "float32"},
        "test_tensor": {"source": f"test_{name}.npy"},
    }  # fmt: skip
