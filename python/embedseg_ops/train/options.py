"""The options of a training run, and which of them tell one run from another."""

import dataclasses
import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from embedseg_ops.data.augmentation import Augmentation
from embedseg_ops.data.sample_files import AnySample
from embedseg_ops.data.samples import feed
from embedseg_ops.model.settings import CARD, Settings
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.ops.ranges import ABOVE_0, check_fields

EACH = "each "  # begins a digest of digests
NEW_RATE, FINE_TUNING_RATE = 2e-3, 2e-5


@dataclass(frozen=True)
class Options:
    """How to train. The defaults are what works best here; "paper" tells the paper's value where it differs.

    Args:
        steps: optimiser steps.
        batch: crops in a step, of all processes together.
        crop: side of a crop, in pixels.
        learning_rate: the largest, of AdamW's one-cycle schedule: it rises over the first tenth of the steps. None:
            2e-3 for new weights, and 2e-5 for those of a model that training starts from, which a larger one ruins.
        weight_decay: AdamW's.
        clip: largest norm of the gradient; longer ones are shortened.
        distance: objects nearer than this are neighbours, in pixels.
        embedding_weight: λ₁, the weight of the embedding loss.
        weights: ``"balanced"`` (paper) or None: the weights w_p of the pixels. The balanced ones push the boundaries of
            objects outwards.
        target_scale: of the distance map in the loss: 1 (paper) leaves it behind the embedding, 10 (authors' code)
            does not.
        sparsity_weight: of the constraint that keeps directions on the axes (paper, outlook), for
            `embedseg_ops.predict.axes`; off in the paper.
        foreground_weight: of the foreground's cross-entropy, for a network that has a foreground (not in the paper).
        object_weights: let small objects count more in the distance loss: each pixel by 1 / √size of its object (not
            in the paper).
        bf16: compute the network in bfloat16 (autocast); None: where the device has instructions for it, since a
            processor without them takes ten times as long.
        augmentation: None: plain crops.
        seed: of the weights, the crops and their order.
        checkpoint_every: steps between checkpoints.
        validate_every: steps between validations.
        workers: processes that prepare crops, for each training process; 0: the training process itself.
    """

    steps: int = 12000
    batch: int = 8
    crop: int = 192
    learning_rate: float | None = field(default=None, metadata=ABOVE_0)
    weight_decay: float = 1e-4
    clip: float = field(default=1.0, metadata=ABOVE_0)
    distance: float = field(default=10.0, metadata=ABOVE_0)
    embedding_weight: float = 5.0
    weights: Literal["balanced"] | None = None
    target_scale: float = field(default=10.0, metadata=ABOVE_0)
    sparsity_weight: float = 0.0
    foreground_weight: float = 10.0
    object_weights: bool = False
    bf16: bool | None = None
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    seed: int = 0
    checkpoint_every: int = 200
    validate_every: int = 1000
    workers: int = 0

    def __post_init__(self) -> None:
        """Raise a TypeError or ValueError that names the option which is not what it may be."""
        check_fields(self)
        if self.weights not in ("balanced", None):
            raise ValueError(f'weights must be "balanced" or None, got {self.weights!r}')

    def for_start(self, init: object) -> "Options":
        """Return the options with the learning rate for new weights, or for those of a model file `init`."""
        if self.learning_rate is not None:
            return self
        return dataclasses.replace(self, learning_rate=NEW_RATE if init is None else FINE_TUNING_RATE)


def check_postprocess(settings: Settings) -> None:
    """Raise a TypeError or ValueError for options of the postprocessing that are not what they may be: try them."""
    known = set(inspect.signature(postprocess).parameters) - {"embedding", "distance", "spatial_dims"}
    unknown = sorted(set(settings.postprocess) - known)
    if unknown:
        raise ValueError(f"postprocess has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    dims = settings.spatial_dims
    postprocess(torch.zeros(1, 1, *[1] * dims), torch.zeros(1, *[1] * dims), spatial_dims=dims, **settings.postprocess)


def identity(
    settings: Settings, options: Options, images: Sequence[AnySample] = (), init: str | Path | None = None
) -> dict[str, Any]:
    """Return what a run must have in common with the checkpoint that it continues from: what weights depend on."""
    chosen = dataclasses.asdict(options)
    for changeable in ("checkpoint_every", "validate_every", "workers"):
        del chosen[changeable]
    kept = dataclasses.asdict(settings)
    for changeable in (*CARD, "postprocess"):
        del kept[changeable]
    start = {"images": digest_of_images(images), "init": None if init is None else digest(Path(init).read_bytes())}
    return {"options": chosen, "settings": kept, "start": start}


def digest_of_images(samples: Sequence[AnySample]) -> str:
    """Return a digest of the samples' pixels and labels, in their order, wherever the files lie."""
    return EACH + digest(b"".join(sample.digest for sample in samples))


def old_digest_of_images(samples: Sequence[AnySample]) -> str:
    """Return the digest of all pixels in one, which older checkpoints hold; everything is read for it."""
    found = hashlib.blake2b(digest_size=16)
    for sample in samples:
        feed(found, sample.image, sample.labels)
    return found.hexdigest()


def digest(content: bytes) -> str:
    """Return a digest of a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def completed(value: Any, default: Any) -> Any:
    """Return a value; of a group of options, such as the augmentation, with the defaults of those it does not name."""
    return {**default, **value} if isinstance(value, dict) and isinstance(default, dict) else value


def differences(begun: dict[str, Any], now: dict[str, Any], images: Sequence[AnySample] = ()) -> list[str]:
    """Return the names of what differs between two identities, but for steps that grew.

    What an older run does not name had its default; images and the model that it started from may be any. For a run
    with an `old_digest_of_images`, that of the `images` is computed.
    """
    defaults = identity(Settings(), Options())
    found = [
        name
        for part in ("options", "settings")
        for name, value in now[part].items()
        if completed(begun[part].get(name, defaults[part][name]), defaults[part][name]) != value
    ]
    if begun["options"].get("steps", 0) <= now["options"]["steps"]:
        found = [name for name in found if name != "steps"]
    expected = now["start"]
    start = begun.get("start", expected)
    if not start["images"].startswith(EACH):
        expected = {**expected, "images": old_digest_of_images(images)}
    return sorted(found + [name for name, value in expected.items() if start[name] != value])
