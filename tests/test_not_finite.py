"""NaN and infinity: seen where they count, and nowhere else."""

import numpy as np
import pytest
import torch
from samples import UNTRAINED, cells, embedding_for

import embedseg_ops
from embedseg_ops import embedding_loss, reference
from embedseg_ops.model.files import load_model, save_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.losses import foreground_loss, regression_loss, sparsity_loss

LABELS = torch.stack([cells((19, 21), 5, seed, gap=0.3) for seed in (0, 1)])
LABELS[0, 0, :3] = -1


def losses_and_gradient(function, embedding, **options):
    embedding = embedding.detach().clone().requires_grad_()
    losses = function(embedding, LABELS, **options)
    losses.total.backward()
    return [loss.item() for loss in losses], embedding.grad


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dim", [3, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_counted_pixel_makes_its_image_nan(value, dim, dtype):
    embedding = embedding_for(LABELS, dim, dtype=dtype)
    embedding[1, 1, 7, 9] = value
    weights = torch.rand(LABELS.shape, dtype=torch.float64) + 0.5
    for own in ("balanced", None, weights):
        found, gradient = losses_and_gradient(embedding_loss, embedding, weights=own)
        assert np.isnan(found).all()
        assert gradient[0].isfinite().all()
        assert gradient[1].isnan().all()
        own = own if dtype == torch.float64 or not isinstance(own, torch.Tensor) else own.to(dtype)
        expected, other = losses_and_gradient(reference.embedding_loss, embedding, weights=own)
        assert np.isnan(expected).all()
        assert torch.equal(gradient.isnan(), other.isnan())


@pytest.mark.usefixtures("device")
def test_what_does_not_count_changes_nothing():
    embedding, weights = embedding_for(LABELS, 4), torch.rand(LABELS.shape) + 0.5
    weights[1, 7, 9] = 0
    broken = embedding.clone()
    broken[0, :, 0, :3] = torch.nan  # ignored
    for own in ("balanced", weights):
        given = losses_and_gradient(embedding_loss, broken, weights=own)
        expected = losses_and_gradient(embedding_loss, embedding, weights=own)
        assert given[0] == expected[0]
        assert torch.equal(given[1], expected[1])
    broken[1, 0, 7, 9] = torch.inf  # of weight 0
    for function in (embedding_loss, reference.embedding_loss):
        found, gradient = losses_and_gradient(function, broken, weights=weights)
        assert np.isfinite(found).all()
        assert gradient.isfinite().all()


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_weight_is_seen_where_it_counts(value):
    embedding, weights = embedding_for(LABELS, 4), torch.rand(LABELS.shape) + 0.5
    expected = losses_and_gradient(embedding_loss, embedding, weights=weights)
    weights[0, 0, 1] = value
    assert losses_and_gradient(embedding_loss, embedding, weights=weights)[0] == expected[0]
    weights[0, 5, 5] = value
    found, gradient = losses_and_gradient(embedding_loss, embedding, weights=weights)
    assert np.isnan(found).all()
    assert gradient[1].isfinite().all()
    assert gradient[0, :, LABELS[0] >= 0].isnan().all()
    expected, other = losses_and_gradient(reference.embedding_loss, embedding, weights=weights)
    assert np.isnan(expected).all()
    assert torch.equal(gradient.isnan(), other.isnan())
    found, gradient = losses_and_gradient(embedding_loss, embedding, weights=weights, background=False)
    expected, other = losses_and_gradient(reference.embedding_loss, embedding, weights=weights, background=False)
    assert torch.equal(gradient.isnan(), other.isnan())
    assert gradient[0, :, LABELS[0] == 0].isfinite().all()


@pytest.mark.usefixtures("device")
def test_an_embedding_of_nan_has_no_loss_of_1():
    embedding = torch.full((2, 4, *LABELS.shape[1:]), torch.nan)
    assert np.isnan(losses_and_gradient(embedding_loss, embedding)[0]).all()
    means, counts = embedseg_ops.mean_embedding(embedding, LABELS)
    assert not means.any()
    assert counts.sum() == (LABELS >= 0).sum()


def test_the_other_losses_are_nan_where_a_pixel_counts_and_not_where_it_does_not():
    distance, logits = torch.rand(LABELS.shape), torch.randn(LABELS.shape)
    embedding, target = embedding_for(LABELS, 4), torch.rand(LABELS.shape)
    calls = [
        (lambda d: regression_loss(d, target, LABELS), distance, (0, 0, 1), (1, 3, 3)),
        (lambda x: foreground_loss(x, LABELS), logits, (0, 0, 1), (1, 3, 3)),
        (lambda e: sparsity_loss(e, LABELS), embedding, (0, slice(None), 0, 1), (1, 0, 3, 3)),
    ]
    for function, values, ignored, counted in calls:
        broken = values.clone()
        broken[ignored] = torch.nan
        broken.requires_grad_()
        loss = function(broken)
        loss.backward()
        torch.testing.assert_close(loss, function(values))
        assert broken.grad.isfinite().all()
        values[counted] = torch.nan
        assert function(values).isnan()


@pytest.fixture
def model():
    settings = Settings(filters=2, dim=3, **UNTRAINED, postprocess={"seed_threshold": 0.01})
    return settings.build().eval(), settings


def test_an_image_with_nan_says_how_many_and_where_or_takes_them_as_0(model):
    image = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    clean = image.copy()
    for place, value in [((3, 4), np.nan), ((9, 9), np.inf)]:
        image[place], clean[place] = value, 0
    with pytest.raises(ValueError, match=r"image holds 2 values that are not finite .* first at \[0, 3, 4\].*nan="):
        embedseg_ops.segment(image, model)
    np.testing.assert_array_equal(embedseg_ops.segment(image, model, nan="zero"), embedseg_ops.segment(clean, model))
    with pytest.raises(ValueError, match='nan must be "error" or "zero"'):
        embedseg_ops.segment(image, model, nan="mean")


def test_models_that_are_not_finite_are_neither_written_nor_read(tmp_path, model, monkeypatch):
    network, settings = model
    path = tmp_path / "model.safetensors"
    with torch.no_grad():
        network.head.embedding.weight[0] = 1e30
    with pytest.raises(ValueError, match=r"weights head\.embedding\.weight are not finite"):
        save_model(path, network, settings, torch.float16)
    with torch.no_grad():
        network.head.embedding.weight[0] = torch.nan
    with pytest.raises(ValueError, match=r"2 of the 6 weights head\.embedding\.weight are not finite"):
        save_model(path, network, settings)
    assert not path.exists()
    monkeypatch.setattr("embedseg_ops.model.files.check_weights", lambda path, tensors: None)
    save_model(path, network, settings)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"model\.safetensors: 2 of the 6 weights"):
        load_model(path)
