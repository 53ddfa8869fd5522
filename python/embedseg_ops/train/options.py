"""The options of a training run, and which of them tell one run from another."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from embedseg_ops.data.augmentation import Augmentation
from embedseg_ops.model.settings import Settings


@dataclass(frozen=True)
class Options:
    """How to train. The defaults are what works best here; "paper" tells the paper's value where it differs.

    Args:
        steps: optimiser steps.
        batch: crops in a step, of all processes together.
        crop: side of a crop, in pixels.
        learning_rate: the largest, of AdamW's one-cycle schedule: it rises over the first tenth of the steps.
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
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    clip: float = 1.0
    distance: float = 10.0
    embedding_weight: float = 5.0
    weights: Literal["balanced"] | None = None
    target_scale: float = 10.0
    sparsity_weight: float = 0.0
    foreground_weight: float = 10.0
    object_weights: bool = False
    bf16: bool | None = None
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    seed: int = 0
    checkpoint_every: int = 200
    validate_every: int = 1000
    workers: int = 0


def identity(settings: Settings, options: Options) -> dict[str, Any]:
    """Return what a run must have in common with the checkpoint that it continues from."""
    chosen = dataclasses.asdict(options)
    for changeable in ("checkpoint_every", "validate_every", "workers"):
        del chosen[changeable]
    settings = dataclasses.replace(settings, provenance="", scores={}, training={})
    return {"options": chosen, "settings": dataclasses.asdict(settings)}


def differences(begun: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the names of what differs between two identities; what an older run does not name had its default."""
    defaults = identity(Settings(), Options())
    return sorted(
        name
        for part, values in now.items()
        for name, value in values.items()
        if begun[part].get(name, defaults[part][name]) != value
    )
