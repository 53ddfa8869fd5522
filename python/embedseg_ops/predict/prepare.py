"""A network made ready to predict: the same function in less time."""

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from embedseg_ops.model.devices import has_bf16
from embedseg_ops.model.networks import CONVOLUTIONS, LAYOUTS, NORMS, EmbeddingHead, EmbeddingModel, UNet
from embedseg_ops.ops.ranges import check_word

Precision = Literal["float32", "bfloat16", "auto"]


class Prepared(nn.Module):
    """A network that computes with a precision of its own.

    Args:
        model: the network.
        in_bfloat16: whether convolutions compute in bfloat16, and the outputs are of that dtype.
    """

    def __init__(self, model: EmbeddingModel, in_bfloat16: bool):
        super().__init__()
        self.model = model
        self.divisor = model.divisor
        self.in_bfloat16 = in_bfloat16

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return the network's own, which tell where it is; it need not be a module."""
        return self.model.parameters()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the network's outputs."""
        context = torch.autocast(image.device.type, torch.bfloat16) if self.in_bfloat16 else nullcontext()
        with context:
            outputs: tuple[Tensor, ...] = self.model(image)
        return outputs


Network = EmbeddingModel | Prepared


def prepare(model: Network, precision: Precision = "float32") -> Prepared:
    """Return a network that predicts what `model` does, faster; `model` stays as it is.

    In `UNet` and `EmbeddingHead`, batch norm becomes part of the convolutions, and the channels of a pixel lie side by
    side. Every other network is called as it is.

    Args:
        model: as for `predict_network`, in evaluation mode; a prepared one is returned as it is.
        precision: see `embedseg_ops.segment`.
    """
    if isinstance(model, Prepared):
        return model
    chosen = choose_precision(precision, next(model.parameters()).device)
    if type(model) is EmbeddingModel:
        model = EmbeddingModel(faster(model.backbone), faster(model.head), model.divisor)
    return Prepared(model, chosen == "bfloat16")


def choose_precision(precision: Precision, device: torch.device) -> Precision:
    """Return "float32" or "bfloat16"; for "auto" that which is faster on the device.

    Raises:
        ValueError: there is no such precision.
    """
    check_word(precision, "precision", Precision)
    if precision != "auto":
        return precision
    return "bfloat16" if has_bf16(device) else "float32"


def faster(part: nn.Module) -> nn.Module:
    """Return a faster copy of a part of a network; one that others wrote, or that is in training, as it is."""
    if type(part) not in (UNet, EmbeddingHead) or part.training:
        return part
    part = copy.deepcopy(part)
    for layers in [layers for layers in part.modules() if isinstance(layers, nn.Sequential)]:
        fuse(layers)
    for layer in part.modules():
        if type(layer) in CONVOLUTIONS.values():
            layer.to(memory_format=LAYOUTS[layer.weight.ndim - 2])  # type: ignore[call-overload, operator, index]
    return part


def fuse(layers: nn.Sequential) -> None:
    """Make each batch norm behind a convolution part of it."""
    for place, (one, following) in enumerate(pairwise(layers)):
        if type(one) in CONVOLUTIONS.values() and type(following) in NORMS.values() and not following.training:
            layers[place] = fuse_conv_bn_eval(one, following)  # type: ignore[arg-type, type-var]
            layers[place + 1] = nn.Identity()
