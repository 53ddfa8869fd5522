"""The network: shapes, any size, other backbones, compile and export."""

from dataclasses import replace

import pytest
import torch

from embedseg_ops.model.files import save_model, start_from
from embedseg_ops.model.networks import EmbeddingHead, EmbeddingModel, build_model
from embedseg_ops.model.settings import Settings


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 8), (33, 40)])
def test_any_size_in_2d(size):
    model = build_model(channels=3, dim=5, filters=4)
    embedding, distance = model(torch.randn(2, 3, *size))
    assert embedding.shape == (2, 5, *size)
    assert distance.shape == (2, *size)
    assert (distance >= 0).all()


def test_3d():
    embedding, distance = build_model(dim=4, filters=2, spatial_dims=3)(torch.randn(1, 1, 5, 9, 8))
    assert embedding.shape == (1, 4, 5, 9, 8)
    assert distance.shape == (1, 5, 9, 8)


def test_padding_leaves_sizes_that_fit_alone():
    model = build_model(filters=4).eval()
    image = torch.randn(1, 1, 24, 16)
    torch.testing.assert_close(model(image), model.head(model.backbone(image)))


@pytest.mark.parametrize(
    "options",
    [{"distance_features": True}, {"batch_norm": True}, {"head_filters": 7}, {"foreground": True}, {"residual": 2}],
)
def test_every_parameter_gets_a_gradient(options):
    model = build_model(filters=4, **options)
    sum((output - 1).square().mean() for output in model(torch.randn(2, 1, 16, 16))).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_residual_blocks_change_nothing_until_they_learn(tmp_path, spatial_dims, batch_norm):
    settings = Settings(filters=2, dim=3, spatial_dims=spatial_dims, batch_norm=batch_norm)
    plain = settings.build().eval()
    save_model(tmp_path / "plain", plain, settings)
    more = replace(settings, residual=2).build().eval()
    assert sum("body" in name for name in more.state_dict()) > 0
    start_from(more, tmp_path / "plain")
    image = torch.randn(1, 1, *[16] * spatial_dims)
    torch.testing.assert_close(more(image), plain(image))


def test_only_the_option_lets_distance_features_reach_the_embedding():
    for option in (False, True):
        model = build_model(filters=4, distance_features=option)
        model(torch.randn(1, 1, 16, 16))[0].sum().backward()
        assert (model.head.distance_branch[0].weight.grad is not None) == option


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_distance_map_ends_with_the_foreground(spatial_dims):
    torch.manual_seed(0)
    model = build_model(filters=4, spatial_dims=spatial_dims, foreground=True)
    image = torch.randn(2, 1, *(9, 13, 10)[:spatial_dims])
    embedding, distance, logits = model(image)
    assert logits.shape == distance.shape == image.squeeze(1).shape
    assert 0 < (logits > 0).sum() < logits.numel()
    expected = distance.where(logits > 0, torch.zeros(()))
    assert not torch.equal(expected, distance)
    torch.testing.assert_close(model.eval()(image), (embedding, expected))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_head_on_a_monai_network(spatial_dims):
    nets = pytest.importorskip("monai.networks.nets", exc_type=ImportError)
    backbone = nets.UNet(spatial_dims, 1, 6, channels=(4, 8, 8), strides=(2, 2))
    model = EmbeddingModel(backbone, EmbeddingHead(6, dim=4, spatial_dims=spatial_dims), divisor=4)
    embedding, distance = model(torch.randn(1, 1, *(9, 10, 11)[:spatial_dims]))
    assert embedding.shape == (1, 4, *(9, 10, 11)[:spatial_dims])
    assert distance.shape == (1, *(9, 10, 11)[:spatial_dims])


@pytest.mark.parametrize("foreground", [False, True])
def test_export_with_any_size(foreground):
    model = build_model(filters=2, dim=3, foreground=foreground).eval()
    dynamic = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    exported = torch.export.export(model, (torch.randn(2, 1, 21, 18),), dynamic_shapes=(dynamic,)).module()
    for shape in [(2, 1, 21, 18), (3, 1, 40, 33)]:
        image = torch.randn(shape)
        torch.testing.assert_close(exported(image), model(image))


@pytest.mark.parametrize("foreground", [False, True])
def test_compile_captures_the_whole_network(foreground):
    model = build_model(filters=2, dim=3, foreground=foreground).eval()
    image = torch.randn(1, 1, 13, 16)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image), model(image))
