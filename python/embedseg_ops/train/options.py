"""The options of a training run."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from embedseg_ops.data.augmentation import Augmentation
from embedseg_ops.ops.ranges import ABOVE_0, check_fields
from embedseg_ops.train.optimizer import Name

NEW_RATE, FINE_TUNING_RATE = 2e-3, 2e-5


@dataclass(frozen=True)
class Options:
    """How to train. The defaults are what works best here; "paper" tells the paper's value where it differs.

    Args:
        steps: optimiser steps.
        batch: crops in a step, of all processes together.
        crop: side of a crop, in pixels.
        optimizer: ``"muon"``: Muon for the convolutions and AdamW for the rest, which needs fewer steps; or
            ``"adamw"``. See `embedseg_ops.train.optimizer`.
        learning_rate: AdamW's largest, of a one-cycle schedule: it rises over the first tenth of the steps. None:
            2e-3 for new weights, and 2e-5 for those of a model that training starts from, which a larger one ruins.
        weight_decay: the optimiser's.
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
    optimizer: Name = "muon"
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

    def for_start(self, init: object) -> "Options":
        """Return the options with the learning rate for new weights, or for those of a model file `init`."""
        if self.learning_rate is not None:
            return self
        return dataclasses.replace(self, learning_rate=NEW_RATE if init is None else FINE_TUNING_RATE)
