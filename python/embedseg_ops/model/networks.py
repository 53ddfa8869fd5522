"""The paper's network: a small U-Net, and the two-branch head that goes on any backbone."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "EmbeddingHead",
    "EmbeddingModel",
    "UNet",
    "build_model",
    "convolutions",
]


class Conv3d(nn.Conv3d):
    """Torch's, but of one or two planes in float32 on the CPU: in bfloat16 these get random gradients (torch 2.13)."""

    def forward(self, volume: Tensor) -> Tensor:
        """Return the convolved volume ``[B, filters, *spatial]`` of ``[B, channels, *spatial]``."""
        if volume.device.type == "cpu" and torch.is_autocast_enabled("cpu") and volume.shape[2] <= 2:
            with torch.autocast("cpu", enabled=False):
                return super().forward(volume.float())
        return super().forward(volume)


CONVOLUTIONS = {2: nn.Conv2d, 3: Conv3d}
NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
#: of weights and images in which CPUs convolve fastest, volumes in bfloat16 five times faster than otherwise
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
POOLS = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def convolutions(channels: list[int], spatial_dims: int, batch_norm: bool = False) -> nn.Sequential:
    """Return 3×3 (3×3×3) convolutions with ReLU from ``channels[0]`` over … to ``channels[-1]``, He-initialised."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        convolution = CONVOLUTIONS[spatial_dims](inputs, outputs, 3, padding=1, bias=not batch_norm)
        if not convolution.weight.is_meta:  # there it would do nothing but import torch's compiler, for a second
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        layers += [convolution, *([NORMS[spatial_dims](outputs)] if batch_norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """Two convolutions whose result is added to their input, which has no negative values; at first they add nothing.

    So a trained network that gets more of these blocks computes what it did before.

    Args:
        channels: of input and output.
        spatial_dims: 2 or 3.
        batch_norm: normalise after every convolution.
    """

    def __init__(self, channels: int, spatial_dims: int, batch_norm: bool = False):
        super().__init__()
        layers = list(convolutions([channels] * 3, spatial_dims, batch_norm))[:-1]
        nn.init.zeros_(next(layers[-1].parameters()))
        self.body = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return the refined features ``[B, channels, *spatial]``."""
        return F.relu(features + self.body(features))


class UNet(nn.Module):
    """Simplified U-Net, as StarDist's: `depth` poolings, as many nearest-neighbour upsamplings, skips concatenated.

    Two convolutions a level; the number of filters doubles with every pooling. Maps ``[B, in_channels, *spatial]``
    to ``[B, filters, *spatial]``, with every spatial size a multiple of `divisor` = 2**depth.

    Args:
        in_channels: channels of the image.
        filters: filters at full resolution, 32 in the paper.
        depth: number of poolings, 3 in the paper.
        spatial_dims: 2 or 3.
        batch_norm: normalise after every convolution; off in the paper.
        residual: number of `Residual` blocks at each level below full resolution, where they cost
            least; 0 in the paper.
    """

    def __init__(
        self, in_channels: int = 1, filters: int = 32, depth: int = 3, spatial_dims: int = 2, batch_norm: bool = False,
        residual: int = 0,
    ):  # fmt: skip
        super().__init__()
        widths = [filters * 2**level for level in range(depth + 1)]
        inputs = [in_channels, *widths]
        self.down = nn.ModuleList(
            convolutions([inputs[level], width, width], spatial_dims, batch_norm) for level, width in enumerate(widths)
        )
        self.up = nn.ModuleList(
            convolutions([widths[level + 1] + widths[level], widths[level], widths[level]], spatial_dims, batch_norm)
            for level in reversed(range(depth))
        )
        for block, width in zip([*self.down[1:], *self.up[:-1]], [*widths[1:], *reversed(widths[1:-1])], strict=True):
            block.extend(Residual(width, spatial_dims, batch_norm) for _ in range(residual))
        self.pool = POOLS[spatial_dims](2)  # a module: the functions cannot be pickled
        self.divisor = 2**depth
        self.out_channels = filters

    def forward(self, image: Tensor) -> Tensor:
        """Return the feature map ``[B, filters, *spatial]`` of ``[B, in_channels, *spatial]``."""
        features: Tensor = self.down[0](image)
        skips = []
        for block in self.down[1:]:
            skips.append(features)
            features = block(self.pool(features))
        for block in self.up:
            upsampled = F.interpolate(features, scale_factor=2.0)
            features = block(torch.cat([upsampled, skips.pop()], 1))
        return features


class EmbeddingHead(nn.Module):
    """Two branches of two convolutions each: a linear embedding, and a distance map behind a ReLU (paper, Section 2).

    Args:
        in_channels: channels of the feature map.
        dim: dimension of the embedding, 16 in the paper.
        filters: filters of the branches' convolutions; None: `in_channels`.
        spatial_dims: 2 or 3.
        distance_features: feed the distance branch's features to the embedding branch too (Wu, Chen, Merhof 2020).
        batch_norm: normalise after every convolution.
        foreground: let the distance branch also tell foreground from background, and the distance map be 0 in the
            background: a classification knows better than a regression where exactly an object ends (not in the paper).
    """

    def __init__(
        self, in_channels: int, dim: int = 16, filters: int | None = None, spatial_dims: int = 2,
        distance_features: bool = False, batch_norm: bool = False, foreground: bool = False,
    ):  # fmt: skip
        super().__init__()
        filters = filters or in_channels
        extra = filters if distance_features else 0
        self.distance_branch = convolutions([in_channels, filters, filters], spatial_dims, batch_norm)
        self.embedding_branch = convolutions([in_channels + extra, filters, filters], spatial_dims, batch_norm)
        self.distance = CONVOLUTIONS[spatial_dims](filters, 1, 1)
        self.embedding = CONVOLUTIONS[spatial_dims](filters, dim, 1)
        self.foreground = CONVOLUTIONS[spatial_dims](filters, 1, 1) if foreground else None
        assert self.distance.bias is not None
        nn.init.constant_(self.distance.bias, 0.1)  # above 0: a ReLU that starts below 0 everywhere never learns
        self.distance_features = distance_features

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the embedding ``[B, dim, *spatial]`` and the distance map ``[B, *spatial]`` of a feature map.

        With `foreground`, in training mode, the distance map is not cut, and the logits of the foreground
        ``[B, *spatial]`` come third.
        """
        distance = self.distance_branch(features)
        shared = torch.cat([features, distance], 1) if self.distance_features else features
        embedding = self.embedding(self.embedding_branch(shared))
        distance_map = F.relu(self.distance(distance)).squeeze(1)
        if self.foreground is None:
            return embedding, distance_map
        logits = self.foreground(distance).squeeze(1)
        if self.training:
            return embedding, distance_map, logits
        return embedding, torch.where(logits > 0, distance_map, 0)


class EmbeddingModel(nn.Module):
    """A backbone and the head on it, for images of any size: padded inside, and cropped again.

    Args:
        backbone: maps ``[B, C, *spatial]`` to a feature map ``[B, F, *spatial]``.
        head: an `EmbeddingHead` for F channels.
        divisor: what the backbone needs every spatial size to be a multiple of.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, divisor: int = 1):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.divisor = divisor

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the embedding ``[B, dim, *spatial]`` and the distance map ``[B, *spatial]`` of ``[B, C, *spatial]``.

        The distance is normalised, from 0 to about 1 (docs/method.md, Distance map and its loss). In training
        mode, a head may have more to say: see `EmbeddingHead.forward`.
        """
        divisor = self.divisor  # the remainder of a negative number is another in compiled code (pytorch #197716)
        padding = [amount for size in reversed(image.shape[2:]) for amount in (0, (divisor - size % divisor) % divisor)]
        outputs = self.head(self.backbone(F.pad(image, padding, mode="replicate")))
        # negative padding crops; slices would tie an exported program to the example's size
        crop = [-amount for amount in padding]
        return tuple(F.pad(output, crop) for output in outputs)


def build_model(
    channels: int = 1, dim: int = 16, filters: int = 32, head_filters: int | None = None, spatial_dims: int = 2,
    distance_features: bool = False, batch_norm: bool = False, foreground: bool = False, residual: int = 0,
) -> EmbeddingModel:  # fmt: skip
    """Return the paper's network: `UNet` with three poolings and `EmbeddingHead`, randomly initialised.

    Args:
        channels: channels of the image.
        dim: dimension of the embedding.
        filters: filters of the U-Net at full resolution.
        head_filters: filters of the branches; None: `filters`.
        spatial_dims: 2 or 3.
        distance_features: feed the distance branch's features to the embedding branch too (Wu, Chen, Merhof 2020).
        batch_norm: normalise after every convolution; off in the paper.
        foreground: see `EmbeddingHead`; off in the paper.
        residual: see `UNet`; 0 in the paper.
    """
    backbone = UNet(channels, filters, 3, spatial_dims, batch_norm, residual)
    head = EmbeddingHead(filters, dim, head_filters, spatial_dims, distance_features, batch_norm, foreground)
    return EmbeddingModel(backbone, head, backbone.divisor)
