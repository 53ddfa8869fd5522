"""Scenes that were not drawn: what a model predicts on real images."""

from pathlib import Path

import numpy as np
import torch
from skimage.segmentation import relabel_sequential

from benchmarks.scene import Scene, most_crowded
from embedseg_ops.data.images import read_image
from embedseg_ops.data.samples import load_folder, normalize
from embedseg_ops.model.files import load_model
from embedseg_ops.predict.scale import predict_scaled


def predicted(folder: Path, model: str | Path, side: int | None = None) -> Scene:
    """Predict the image of a folder with the most objects, or with a `side` the part of it with the most."""
    network, settings = load_model(model)
    samples = load_folder(folder, settings.percentiles, settings.spatial_dims, settings.channels)
    sample = max(samples, key=lambda sample: len(sample.labels.unique()))
    path, labels = Path(sample.name), sample.labels.clamp(min=0).numpy()  # the rows' peers know nothing to ignore
    part = most_crowded(labels, side or max(labels.shape))
    image = read_image(path, settings.spatial_dims)[(slice(None), *part)].astype(np.float32)
    labels, _, _ = relabel_sequential(labels[part])  # nor gaps
    prediction = predict_scaled(normalize(image, settings.percentiles), network, settings)
    embedding, distance = (output.clone() for output in prediction)  # outside of inference mode, for gradients
    labels, image = torch.from_numpy(labels)[None], torch.from_numpy(image)
    return Scene(embedding, labels, distance, path.name, image, (network, settings))
