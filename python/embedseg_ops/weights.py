"""Model files: the weights as safetensors, and in their metadata everything else that prediction needs."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from embedseg_ops.models import EmbeddingModel, build_model

FORMAT = "embedseg-ops 1"

# Chosen for nuclei, on images held out; {} is the paper's.
POSTPROCESS = {
    "seed_threshold": 0.55, "seed_smoothing": 1.0, "min_seed_size": 5, "min_object_size": 10,
    "max_distance": 1.0, "background_threshold": 0.05, "boundary_distance": 0.75,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a model is and how to use it; stored in the model's file.

    Args:
        channels: channels of the image.
        dim: dimension of the embedding.
        filters: filters of the U-Net at full resolution.
        head_filters: filters of the branches; None: `filters`.
        spatial_dims: 2 or 3.
        distance_features: whether the embedding branch sees the distance branch's features.
        batch_norm: whether the convolutions are normalised.
        foreground: whether the distance map is 0 where a classification says background.
        percentiles: what becomes 0 and 1 in a normalised image, in percent of each channel's values.
        postprocess: keyword arguments of `embedseg_ops.postprocess`, where they differ from its defaults, which are
            the paper's: ``{}`` is the paper's postprocessing.
        provenance: data, licence and training of the weights, in words.
        training: the options of the training run.
        scores: what was measured on which data.
    """

    channels: int = 1
    dim: int = 16
    filters: int = 32
    head_filters: int | None = None
    spatial_dims: int = 2
    distance_features: bool = False
    batch_norm: bool = False
    foreground: bool = False
    percentiles: tuple[float, float] = (1.0, 99.8)
    postprocess: dict[str, float] = field(default_factory=POSTPROCESS.copy)
    provenance: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    def build(self) -> EmbeddingModel:
        """Return the network that these settings describe, randomly initialised."""
        return build_model(
            self.channels, self.dim, self.filters, self.head_filters, self.spatial_dims, self.distance_features,
            self.batch_norm, self.foreground,
        )  # fmt: skip

    def to_json(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Return the settings that `to_json` wrote; raise a ValueError naming fields unknown to this version."""
        fields = json.loads(text)
        unknown = sorted(set(fields) - {known.name for known in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown settings {', '.join(unknown)}: written by a newer embedseg-ops?")
        fields["percentiles"] = tuple(fields["percentiles"])
        return cls(**fields)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file such that another process, or this one after a crash, sees all of it or what was there before."""
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    with open(part, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def save_model(
    path: str | os.PathLike[str], model: EmbeddingModel, settings: Settings, dtype: torch.dtype | None = None
) -> None:
    """Write a model and its settings to one safetensors file, atomically.

    Args:
        path: where to.
        model: its weights are stored; its architecture must be `settings.build()`'s.
        settings: what `load_model` and `embedseg_ops.segment` read.
        dtype: store floating-point weights in this type, e.g. ``torch.float16`` for half the size; None: as they are.
    """
    tensors = {
        name: (tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)).contiguous()
        for name, tensor in model.state_dict().items()
    }
    write_atomically(path, save(tensors, {"format": FORMAT, "settings": settings.to_json()}))


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> tuple[EmbeddingModel, Settings]:
    """Read a model that `save_model` wrote.

    Args:
        path: the file.
        device: where the weights go.

    Returns:
        the model, float32 and in evaluation mode, and its settings.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no safetensors file, was not written by `save_model`, or does not fit its settings.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"model file {path} does not exist")
    try:
        with safe_open(path, "pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except SafetensorError as error:
        raise ValueError(f"model file {path} is not a readable safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"model file {path} has format {metadata.get('format')!r}, expected {FORMAT!r}")
    settings = Settings.from_json(metadata["settings"])
    model = settings.build()
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"model file {path} does not fit its settings: {error}") from error
    return model.to(device).eval(), settings


def start_from(model: EmbeddingModel, path: str | os.PathLike[str]) -> None:
    """Give a model the weights of a file; what the file's model lacks, such as a foreground, stays as it is.

    Args:
        model: the same architecture as the file's, or that and more.
        path: of a file that `save_model` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read, or its architecture is another.
    """
    weights, own = load_model(path)[0].state_dict(), model.state_dict()
    for name, value in weights.items():
        there, here = list(value.shape), list(own[name].shape) if name in own else "nothing"
        if there != here:
            raise ValueError(f"model file {path} has another architecture: {name} is {there} there and {here} here")
    model.load_state_dict({**own, **weights})
