"""A model as a package of bioimage.io, as the model zoo, deepImageJ, QuPath, ilastik and others take it."""

import importlib.resources
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image

from embedseg_ops.data.samples import normalize
from embedseg_ops.data.writing import atomic_path
from embedseg_ops.evaluate import figures
from embedseg_ops.interchange.onnx import OPSET, write_onnx
from embedseg_ops.interchange.rdf import PAPER, SMALLEST, STEP, describe, description
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.network import predict_tile

LARGEST = {2: 192, 3: 64}  # side of the test tensors, by the number of spatial axes: small files


@dataclass(frozen=True)
class Publication:
    """What people have to know of a model that they are given, beside what its settings say.

    Args:
        name: of the model: letters, digits, spaces, ``_``, ``+``, ``-`` and parentheses, at least five.
        authors: their names.
        licence: of the weights, an SPDX identifier such as ``CC0-1.0`` or ``CC-BY-4.0``; None: that of the settings.
    """

    name: str
    authors: tuple[str, ...]
    licence: str | None = None


def write_bioimageio(
    path: str | os.PathLike[str], model: EmbeddingModel, settings: Settings, image: ArrayLike, about: Publication
) -> None:
    """Write a package of the network's weights as PyTorch's and as ONNX, and all that bioimage.io wants beside them.

    The package holds test tensors and a cover, made from the middle of `image`, and a page that says how labels come of
    the network's outputs. `bioimageio.spec` writes it, and validates it without asking the internet.

    Args:
        path: the ZIP file.
        model: the network, in evaluation mode.
        settings: its settings.
        image: ``[C, *spatial]``, of a kind that the model knows, at least 64 pixels a side.
        about: name, authors and licence.

    Raises:
        ModuleNotFoundError: a package is missing: ``pip install "embedseg-ops[bioimageio]"``.
        ValueError: the image is too small or has other axes, or the description is not valid, such as an unknown
            licence.
    """
    try:
        from bioimageio.spec import ValidationContext, load_description, save_bioimageio_package
        from bioimageio.spec.model.v0_5 import ModelDescr
    except ImportError as error:
        message = 'a bioimage.io package needs bioimageio.spec: pip install "embedseg-ops[bioimageio]"'
        raise ModuleNotFoundError(message) from error
    pixels = middle(np.asarray(image), settings)
    with tempfile.TemporaryDirectory() as place, atomic_path(path) as part:
        folder = Path(place)
        write_files(folder, model, settings, pixels, about)
        # its own check of links would need the internet
        with ValidationContext(root=folder, perform_io_checks=False, log_warnings=False):
            described = load_description(folder / "rdf.yaml", format_version="latest")
            if not isinstance(described, ModelDescr):
                raise ValueError(f"not a valid description: {described.validation_summary.format()}")
            save_bioimageio_package(described, output_path=part)


def middle(image: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the middle of an image ``[C, *spatial]``, with sides that every program can give the network."""
    if image.ndim != settings.spatial_dims + 1 or len(image) != settings.channels or min(image.shape[1:]) < SMALLEST:
        expected = f"{settings.channels} channels and {settings.spatial_dims} axes of {SMALLEST} pixels or more"
        raise ValueError(f"image must have {expected}, got shape {list(image.shape)}")
    sides = [min(side // STEP * STEP, LARGEST[settings.spatial_dims]) for side in image.shape[1:]]
    starts = [(whole - side) // 2 for whole, side in zip(image.shape[1:], sides, strict=True)]
    return image[(slice(None), *(slice(start, start + side) for start, side in zip(starts, sides, strict=True)))]


def write_files(folder: Path, model: EmbeddingModel, settings: Settings, image: np.ndarray, about: Publication) -> None:
    """Write everything that goes into the package."""
    licence = about.licence or settings.licence
    if not licence:
        raise ValueError("the model's file says no licence: give one (--licence)")
    embedding, distance = predict_tile(normalize(image.astype(np.float32), settings.percentiles), model)
    labels = postprocess(embedding, distance, spatial_dims=settings.spatial_dims, **settings.postprocess)
    np.save(folder / "test_image.npy", image.astype(np.float32)[None])
    np.save(folder / "test_embedding.npy", embedding[None].numpy())
    np.save(folder / "test_distance.npy", distance[None].numpy())
    outlined = figures.overlay(figures.drawable(image), figures.middle_plane(labels.numpy()), scale=2)
    Image.fromarray(outlined).save(folder / "cover.png")
    torch.save({name: value.cpu() for name, value in model.state_dict().items()}, folder / "weights.pt")
    write_onnx(folder / "weights.onnx", model, settings)
    (folder / "README.md").write_text(page(settings, about), encoding="utf-8")
    told = describe(settings, about.name, about.authors, licence, OPSET, torch.__version__)
    (folder / "rdf.yaml").write_text(json.dumps(told), encoding="utf-8")  # JSON is YAML


def page(settings: Settings, about: Publication) -> str:
    """Return what the model is and how it is used, as Markdown."""
    template = importlib.resources.files(__package__).joinpath("card.md.j2").read_text(encoding="utf-8")
    filled: str = jinja2.Template(template, undefined=jinja2.StrictUndefined, keep_trailing_newline=True).render(
        name=about.name, description=description(settings), paper=PAPER, settings=settings,
        options=dict(settings.postprocess), space=", ".join("zyx"[-settings.spatial_dims :]),
    )  # fmt: skip
    return filled
