"""Apple's GPU: the network runs there, the operators on the CPU. No such device is at hand: a stand-in plays it."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.predict import segment as segmentation

MPS = torch.device("mps")


class Away(Tensor):
    """A tensor that plays to be on Apple's GPU: what is computed from it is there, until cpu() fetches it."""

    def cpu(self):
        return self.as_subclass(Tensor)


class Elsewhere:
    """A network whose parameters are there."""

    def __init__(self, network):
        self.network, self.divisor, self.reach = network, network.divisor, getattr(network, "reach", None)

    def parameters(self):
        return iter([SimpleNamespace(device=MPS)])

    def __call__(self, image):
        assert type(image) is Away, "the network needs its input on its own device"
        return self.network(image)


def test_the_operators_run_on_the_cpu(monkeypatch):
    network, settings = load_model()
    image = torch.rand(1, 48, 64, generator=torch.Generator().manual_seed(0))
    expected = segmentation.segment(image, (network, settings))
    move, postprocess = Tensor.to, segmentation.postprocess

    def to(tensor, *args, **kwargs):
        return tensor.as_subclass(Away) if args == (MPS,) else move(tensor, *args, **kwargs)

    def on_the_cpu(*tensors, **options):
        assert all(type(tensor) is Tensor for tensor in tensors)
        return postprocess(*tensors, **options)

    monkeypatch.setattr(Tensor, "to", to)
    monkeypatch.setattr(segmentation, "postprocess", on_the_cpu)
    assert torch.equal(segmentation.segment(image, (Elsewhere(network), settings)), expected)


def test_a_device_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="finds no device mps here"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == MPS
