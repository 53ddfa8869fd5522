"""Model files: the weights as safetensors, and in their metadata everything else that prediction needs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from embedseg_ops.data.writing import write_atomically
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.registry import ModelName, find_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.version import __version__

FORMAT = "embedseg-ops 1"


def save_model(
    path: str | os.PathLike[str], model: EmbeddingModel, settings: Settings, dtype: torch.dtype | None = None
) -> None:
    """Write a model and its settings to one safetensors file, atomically.

    Args:
        path: where to.
        model: its weights are stored; its architecture must be `settings.build()`'s.
        settings: what `load_model` and `embedseg_ops.segment` read.
        dtype: store floating-point weights in this type, e.g. ``torch.float16`` for half the size; None: as they are.

    Raises:
        ValueError: a weight is not finite, perhaps only in `dtype`.
    """
    tensors = {
        name: (tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)).contiguous()
        for name, tensor in model.state_dict().items()
    }
    check_weights(path, tensors)
    write_atomically(path, save(tensors, {"format": FORMAT, "version": __version__, "settings": settings.to_json()}))


def check_weights(path: str | os.PathLike[str], tensors: dict[str, Tensor]) -> None:
    """Raise a ValueError for weights that are not finite, as a training that diverged leaves them."""
    for name, tensor in tensors.items():
        wrong = int((~tensor.isfinite()).sum())
        if wrong:
            raise ValueError(f"model file {path}: {wrong} of the {tensor.numel()} weights {name} are not finite")


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Settings]]:
    """Open a file that `save_model` wrote: yield it, and its settings; raise a ValueError if it is none."""
    try:
        with safe_open(path, "pt", device="cpu") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(f"model file {path} has format {metadata.get('format')!r}, expected {FORMAT!r}")
            try:
                settings = Settings.from_json(metadata["settings"])
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(f"model file {path} has wrong settings: {error!r}") from error
            yield file, settings
    except SafetensorError as error:
        raise ValueError(f"model file {path} is not a readable safetensors file: {error}") from error


def load_model(model: ModelName | None = None, device: str | torch.device = "cpu") -> tuple[EmbeddingModel, Settings]:
    """Read a model that `save_model` wrote.

    Args:
        model: its name or its file, or where on the Hugging Face Hub it is; see
            :func:`embedseg_ops.model.registry.find_model`. None: the one for nuclei that comes with the package.
        device: where the weights go.

    Returns:
        the model, float32 and in evaluation mode, and its settings.

    Raises:
        FileNotFoundError: there is no such model.
        ModuleNotFoundError: a model on the Hub needs huggingface_hub: ``pip install "embedseg-ops[hub]"``.
        OSError: it cannot be downloaded.
        ValueError: the file is no safetensors file, was not written by `save_model`, does not fit its settings,
            holds a weight that is not finite, or has another SHA-256 than it should.
    """
    path = find_model(model)
    with opened(path) as (file, settings):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    check_weights(path, tensors)
    try:
        with torch.device("meta"):  # whatever size the settings ask for, nothing is allocated
            network = settings.build()
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, AssertionError) as error:
        raise ValueError(f"model file {path} has wrong settings: {error!r}") from error
    try:
        network.load_state_dict(
            {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()},
            assign=True,
        )
    except RuntimeError as error:
        raise ValueError(f"model file {path} does not fit its settings: {error}") from error
    return network.to(device).eval(), settings


def start_from(model: EmbeddingModel, path: ModelName) -> None:
    """Give a model the weights of a file; what the file's model lacks, such as a foreground, stays as it is.

    Args:
        model: the same architecture as the file's, or that and more.
        path: of the file, or another way to say which; see `load_model`.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the file cannot be read, or its architecture is another.
    """
    weights, own = load_model(path)[0].state_dict(), model.state_dict()
    for name, value in weights.items():
        there, here = list(value.shape), list(own[name].shape) if name in own else "nothing"
        if there != here:
            raise ValueError(f"model file {path} has another architecture: {name} is {there} there and {here} here")
    model.load_state_dict({**own, **weights})
