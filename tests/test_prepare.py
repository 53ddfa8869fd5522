"""The network made ready to predict: the same outputs, whatever was done for speed."""

import copy
import itertools

import pytest
import torch
from torch import nn

from embedseg_ops import segment
from embedseg_ops.model.networks import EmbeddingHead, EmbeddingModel, build_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict import prepare as preparing
from embedseg_ops.predict.network import predict_network
from embedseg_ops.predict.prepare import choose_precision, prepare

NORMS = nn.BatchNorm2d | nn.BatchNorm3d


def learned(**options):
    """A network whose batch norms have seen something, and shift and scale by it."""
    torch.manual_seed(0)
    model = build_model(filters=4, dim=3, **options)
    for layer in model.modules():
        if isinstance(layer, NORMS):
            for value in (layer.weight, layer.bias, layer.running_var, layer.running_mean):
                nn.init.uniform_(value, 0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    "options",
    [{}, {"batch_norm": True}, {"batch_norm": True, "residual": 1, "foreground": True, "distance_features": True}],
)
def test_outputs_stay_and_so_does_the_model(dims, options):
    model = learned(spatial_dims=dims, **options)
    before = copy.deepcopy(model)
    ready = prepare(model)
    image = torch.rand(1, *[21] * dims)
    for one, other in zip(predict_network(image, ready), predict_network(image, before), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))
    assert not any(isinstance(layer, NORMS) for layer in ready.modules())
    for (name, layer), (other_name, other) in zip(model.named_modules(), before.named_modules(), strict=True):
        assert (name, type(layer), layer.training) == (other_name, type(other), other.training)
    for one, other in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()
        assert one.requires_grad


def test_channels_of_a_pixel_lie_side_by_side():
    embedding, _ = predict_network(torch.rand(1, 20, 30), prepare(learned()))
    assert embedding.stride()[1:] == (1, 30 * 3, 3)
    tiled, _ = predict_network(torch.rand(1, 20, 30), prepare(learned()), tile=16, overlap=8)
    assert tiled.stride()[1:] == embedding.stride()[1:]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_outputs_are_float32_and_near(precision):
    model, image = learned(batch_norm=True), torch.rand(1, 40, 40)
    ready = prepare(model, precision)
    dtypes = set()
    for layer in ready.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, output: dtypes.add(output.dtype))
    outputs = predict_network(image, ready, tile=32, overlap=16)
    assert dtypes == {getattr(torch, precision)}
    for one, other in zip(outputs, predict_network(image, model, tile=32, overlap=16), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0, atol=0.05 * float(other.abs().max()))


class Stranger(nn.Module):
    """Somebody else's backbone, whose layers are not those of ours, and which is in a mode of its own."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))

    def forward(self, image):
        return self.layers(image)


def test_a_network_of_others_is_called_as_it_is():
    backbone = Stranger()
    model = EmbeddingModel(backbone, EmbeddingHead(4, 3, batch_norm=True).eval())
    ready = prepare(model)
    assert backbone in list(ready.modules())
    assert backbone.training
    assert sum(isinstance(layer, NORMS) for layer in ready.modules()) == 1

    class Other(EmbeddingModel):
        pass

    other = Other(backbone, EmbeddingHead(4, 3).eval())
    assert other in list(prepare(other).modules())


def test_what_is_in_training_stays():
    model = learned(batch_norm=True).train()
    assert {id(layer) for layer in model.backbone.modules()} <= {id(layer) for layer in prepare(model).modules()}


def test_precision_follows_the_device(monkeypatch):
    for fast, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(preparing, "has_bf16", lambda device, fast=fast: fast)
        assert choose_precision("auto", torch.device("cpu")) == expected
    for precision, device in itertools.product(("float32", "bfloat16"), ("cpu", "cuda")):
        assert choose_precision(precision, torch.device(device)) == precision


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match='precision must be "float32", "bfloat16" or "auto", got'):
        segment(torch.rand(20, 20), (learned(), Settings(filters=4, dim=3)), precision="half")
