"""The methods that the paper compares with, on the library's U-Net and trained by its trainer.

A method is a network, its loss for a batch of crops, and the way from an image to labels.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from skimage.segmentation import expand_labels
from torch import Tensor, nn
from torch.nn import functional as F

import embedseg_ops
from embedseg_ops.data.samples import Sample
from embedseg_ops.model.networks import UNet, convolutions
from embedseg_ops.train.trainer import Trainer


class Loss(NamedTuple):
    total: Tensor
    classes: Tensor
    shape: Tensor


class Method(ABC):
    """`choices` are the thresholds to choose among, by the names of their attributes."""

    choices: ClassVar[dict[str, tuple[float, ...]]] = {}

    @abstractmethod
    def build(self, filters: int, channels: int = 1) -> nn.Module:
        """The network."""

    @abstractmethod
    def step(self, network: nn.Module, image: Tensor, labels: Tensor, inside: Tensor) -> Loss:
        """For images [B, C, H, W] with labels [B, H, W]; only pixels inside the image count."""

    @abstractmethod
    def apply(self, network: nn.Module, image: Tensor) -> Any:
        """What the network says of an image [C, H, W], whatever the thresholds."""

    @abstractmethod
    def segment(self, output: Any) -> np.ndarray:
        """Labels [H, W] of what `apply` gave."""


class Dense(Method):
    """A method whose network says something of every pixel, and is trained to say what the labels do."""

    outputs: int  # channels of the network's output

    def build(self, filters: int, channels: int = 1) -> nn.Module:
        """The library's U-Net, one branch of two convolutions, and the outputs."""
        backbone = UNet(channels, filters, batch_norm=True)
        head = convolutions([filters, filters, filters], 2, batch_norm=True)
        return Padded(nn.Sequential(backbone, head, nn.Conv2d(filters, self.outputs, 1)), backbone.divisor)

    @abstractmethod
    def loss(self, output: Tensor, labels: Tensor, inside: Tensor) -> Loss:
        """Of the output [B, outputs, H, W]."""

    def step(self, network: nn.Module, image: Tensor, labels: Tensor, inside: Tensor) -> Loss:
        return self.loss(network(image), labels, inside)

    def apply(self, network: nn.Module, image: Tensor) -> Tensor:
        """The output [outputs, H, W]."""
        return network(image[None])[0].float()


class Padded(nn.Module):
    """A network for images of any size."""

    def __init__(self, network: nn.Module, divisor: int):
        super().__init__()
        self.network, self.divisor = network, divisor

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        padding = (0, -width % self.divisor, 0, -height % self.divisor)
        return self.network(F.pad(image, padding, mode="replicate"))[..., :height, :width]


class ThreeLabels(Dense):
    """Background, object and contour; the contour is the objects' outermost two pixels, given back afterwards."""

    outputs = 3
    contour = 2  # pixels
    smallest = 0  # pixels of an object
    choices: ClassVar[dict[str, tuple[float, ...]]] = {"smallest": (0, 10, 20, 30)}

    def classes(self, labels: Tensor) -> Tensor:
        """0, 1 and 2 for background, object and contour, int64 [B, H, W]."""
        values = F.pad(labels.float()[:, None], (self.contour,) * 4, mode="replicate")
        window = 2 * self.contour + 1
        same = F.max_pool2d(values, window, 1) == -F.max_pool2d(-values, window, 1)
        return torch.where(labels > 0, torch.where(same[:, 0], 1, 2), 0)

    def loss(self, output: Tensor, labels: Tensor, inside: Tensor) -> Loss:
        target = torch.where(inside, self.classes(labels), -1)
        classes = F.cross_entropy(output.float(), target, ignore_index=-1)
        return Loss(classes, classes, torch.zeros_like(classes))

    def segment(self, output: Tensor) -> np.ndarray:
        classes = output.argmax(0)
        cores = embedseg_ops.connected_components(classes == 1)
        labels = np.where(classes > 0, expand_labels(cores.numpy(), self.contour * 2**0.5), 0).astype(np.int32)
        return np.where(np.bincount(labels.ravel())[labels] < self.smallest, 0, labels)


class StarDist(Dense):
    """Object probability, and distances to the boundary along 32 rays; targets and suppression are StarDist's own."""

    rays = 32
    outputs = 1 + rays
    unit = 10.0  # pixels, of the lengths that the network gives: large numbers take it many steps to learn
    shape_weight = 0.2
    prob_thresh, nms_thresh = 0.5, 0.4
    choices: ClassVar = {"prob_thresh": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8), "nms_thresh": (0.1, 0.2, 0.3, 0.4, 0.5)}

    def targets(self, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        """Probabilities [H, W] and ray lengths [rays, H, W]."""
        from stardist.geometry import star_dist
        from stardist.utils import edt_prob

        lengths = star_dist(labels.astype(np.uint16), n_rays=self.rays, mode="cpp")
        return torch.from_numpy(edt_prob(labels)), torch.from_numpy(lengths).movedim(-1, 0)

    def loss(self, output: Tensor, labels: Tensor, inside: Tensor) -> Loss:
        pairs = [self.targets(image) for image in labels.numpy()]
        probability, lengths = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        output, counted = output.float(), inside.float()
        classes = F.binary_cross_entropy_with_logits(output[:, 0], probability, counted)
        weight = probability * counted  # a pixel near the middle of its object matters most
        errors = (self.unit * output[:, 1:] - lengths).abs().mean(1) * weight
        shape = errors.sum() / weight.sum().clamp(min=1)
        return Loss(classes + self.shape_weight * shape, classes, shape)

    def segment(self, output: Tensor) -> np.ndarray:
        from stardist.geometry import polygons_to_label
        from stardist.nms import non_maximum_suppression

        probability = output[0].sigmoid().numpy()
        lengths = np.ascontiguousarray((self.unit * output[1:]).clamp(min=1e-3).movedim(0, -1).numpy())
        points, scores, kept = non_maximum_suppression(
            lengths, probability, nms_thresh=self.nms_thresh, prob_thresh=self.prob_thresh
        )
        return polygons_to_label(kept, points, probability.shape, prob=scores).astype(np.int32)


class MethodTrainer(Trainer):
    """The library's trainer for another method's network; give that as `model`."""

    method: Method

    def loss(self, image: Tensor, labels: Tensor, inside: Tensor) -> Loss:
        with self.autocast():
            return self.method.step(self.network, image, labels, inside)

    @torch.no_grad()
    def segment(self, sample: Sample) -> Tensor:
        with self.autocast():
            return torch.from_numpy(self.method.segment(self.method.apply(self.model, sample.image.to(self.device))))
