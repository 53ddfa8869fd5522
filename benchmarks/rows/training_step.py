from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import default_collate

from benchmarks import checks, limits
from benchmarks.goals import Share
from benchmarks.harness import ONE_AND_ALL, Contender, Effort, Row
from benchmarks.peers.definition import reference_operators
from benchmarks.rows.network import SMALL
from benchmarks.scene import Scene
from embedseg_ops.data.samples import Sample, normalize
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.losses import TrainingLoss, training_loss
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

PART = "ours, targets + loss"


def rows(scene: Scene, effort: Effort) -> list[Row]:
    crop, batch = (64, 2) if effort is Effort.QUICK else (Options.crop, Options.batch)
    step = Step(scene, crop, batch)
    with reference_operators(), loss_in_float64():
        whole, part = step.whole(), step.targets_and_loss()
    contenders = [
        Contender(limits.NETWORK, step.network),
        # 1e-3: the gradient has come through float32 convolutions
        Contender("ours", step.whole, ONE_AND_ALL, checks.close(whole, 1e-3)),
        Contender(PART, step.targets_and_loss, check=checks.close(part, 1e-4)),
        Contender("reference", step.with_reference, check=checks.close(whole, checks.ROUGHLY)),
    ]
    name = f"training step, {batch} crops of {crop}², {SMALL['filters']} filters"
    return [Row(name, contenders, [Share(PART, 10)], amount=batch, unit="images")]


@contextmanager
def loss_in_float64() -> Iterator[None]:
    def exact(embedding: Tensor, *rest: object, **options: object) -> TrainingLoss:
        return training_loss(embedding.double(), *rest, **options)

    with patch("embedseg_ops.train.trainer.training_loss", exact):
        yield


class Step:
    """The trainer's own step, and parts of it, on crops of a scene.

    The learning rate is 0: all the work is done, and the weights stay, so that every step has to give the same. (A tiny
    one is not enough: a bias of 1e-30 instead of 0 changes which ReLUs let a gradient through.)
    """

    def __init__(self, scene: Scene, crop: int, batch: int) -> None:
        sample = Sample("scene", normalize(scene.picture.numpy()), scene.labels[0])
        settings = Settings(len(sample.image), spatial_dims=sample.labels.ndim, **SMALL)
        options = Options(batch=batch, crop=crop, bf16=False, augmentation=None)
        with TemporaryDirectory() as folder:  # the step writes nothing there
            self.trainer = Trainer(folder, settings, [sample], [], options, device="cpu")
        self.trainer.schedule = LambdaLR(self.trainer.optimizer, lambda _: 0.0)
        self.crops = default_collate([self.trainer.crops[index] for index in range(batch)])
        with torch.no_grad():
            self.outputs = self.trainer.model(self.crops[0])

    def whole(self) -> tuple[Tensor, Tensor]:
        """Return the loss and the gradient of the last weights before the embedding."""
        loss = self.trainer.train_step(*self.crops)
        return loss.total.detach(), self.trainer.model.head.embedding.weight.grad.clone()

    def targets_and_loss(self) -> tuple[Tensor, ...]:
        """Return the loss and the gradients of the network's outputs."""
        leaves = [output.clone().requires_grad_() for output in self.outputs]
        with patch.object(self.trainer, "network", lambda _: leaves):
            loss = self.trainer.loss(*self.crops)
        return loss.total.detach(), *torch.autograd.grad(loss.total, leaves)

    def network(self) -> None:
        """Make a step towards nothing: what no operator can make faster."""
        with patch.object(self.trainer, "loss", self._sum):
            self.trainer.train_step(*self.crops)

    def _sum(self, image: Tensor, *_: Tensor) -> TrainingLoss:
        total = sum(output.sum() for output in self.trainer.network(image))
        return TrainingLoss(*[total] * len(TrainingLoss._fields))

    def with_reference(self) -> tuple[Tensor, Tensor]:
        with reference_operators():
            return self.whole()
