"""Prediction: tiles without a seam, any size, and one call from image to labels."""

import numpy as np
import pytest
import torch
from samples import UNTRAINED

import embedseg_ops
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import save_model
from embedseg_ops.model.networks import build_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.network import predict_network
from embedseg_ops.predict.segment import Segmenter
from embedseg_ops.predict.tiles import split_axis


def network(**options):
    torch.manual_seed(0)
    return build_model(filters=2, dim=3, **options).eval()


@pytest.mark.parametrize("size", [1, 7, 64, 65, 100, 333])
@pytest.mark.parametrize(("tile", "overlap"), [(64, 0), (64, 16), (64, 56), (65, 30)])
def test_weights_sum_to_one_everywhere(size, tile, overlap):
    total = torch.zeros(size)
    for stretch in split_axis(size, tile, overlap):
        assert stretch.start % 8 == 0
        assert stretch.stop - stretch.start <= tile
        assert (stretch.weights >= 0).all()
        total[stretch.start : stretch.stop] += stretch.weights
    torch.testing.assert_close(total, torch.ones(size))


def test_tiles_give_what_the_whole_image_gives():
    image = torch.randn(1, 301, 415, generator=torch.Generator().manual_seed(1))
    model = network()
    whole = predict_network(image, model, tile=512)
    tiled = predict_network(image, model, tile=200, overlap=144)
    for one, other in zip(whole, tiled, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_small_overlap_leaves_no_seam():
    image = torch.randn(1, 40, 300, generator=torch.Generator().manual_seed(1))
    model = network()
    steps = [
        predict_network(image, model, tile, 48)[0].diff(dim=-1).square().mean((0, 1, 2)).sqrt() for tile in (512, 160)
    ]
    assert (steps[1] < 1.3 * steps[0].amax()).all()


def test_tiles_in_3d():
    image = torch.randn(1, 20, 40, 24, generator=torch.Generator().manual_seed(1))
    embedding, distance = predict_network(image, network(spatial_dims=3), tile=24, overlap=16)
    assert embedding.shape == (1, 3, 20, 40, 24)
    assert distance.shape == (1, 20, 40, 24)
    assert embedding.isfinite().all()


def test_tiles_that_do_not_get_ahead_are_refused():
    with pytest.raises(ValueError, match="tile must be 68 or more, for tiles that overlap by 60 pixels, got 64"):
        predict_network(torch.zeros(1, 9, 9), network(), tile=64, overlap=60)


def test_a_missing_device_is_an_error():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ValueError, match="finds no device cuda here"):
        choose_device("cuda")
    assert choose_device() == torch.device("cpu")


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_segment_answers_in_kind(tmp_path, make):
    settings = Settings(filters=2, dim=3, **UNTRAINED, postprocess={"seed_threshold": 0.01})
    path = tmp_path / "model.safetensors"
    save_model(path, network(), settings)
    labels = embedseg_ops.segment(make(np.random.default_rng(0).random((30, 43))), path)
    assert isinstance(labels, type(make(np.zeros(1))))
    assert labels.shape == (30, 43)
    assert str(labels.dtype).endswith("int32")
    with pytest.raises(ValueError, match=r"image must be \[1, H, W\] for this model, got shape \[2, 30, 43\]"):
        embedseg_ops.segment(make(np.zeros((2, 30, 43))), path)


IMAGE = np.zeros((16, 20))


@pytest.mark.parametrize(
    ("image", "options", "error", "said"),
    [
        ("scan.tif", {}, TypeError, r"got a file's name: embedseg_ops\.data\.images\.read_image reads scan\.tif"),
        (None, {}, TypeError, "image must hold real numbers, got NoneType of dtype object"),
        (IMAGE.astype(complex), {}, TypeError, "image must hold real numbers, got ndarray of dtype complex128"),
        (IMAGE[:0], {}, ValueError, r"image must have a pixel, got shape \[0, 20\]"),
        (np.zeros((9, 9, 3)), {}, ValueError, r"got shape \[9, 9, 3\]: make its colours grey, image\[\.\.\., :3\]"),
        (IMAGE, {"device": "gpu"}, ValueError, "device must be cpu, cuda, cuda:N or mps, got 'gpu'"),
        (IMAGE, {"device": "cuda:99"}, ValueError, "finds no device cuda:99 here"),
        (IMAGE, {"tile": 0}, ValueError, "tile must be at least 1, got 0"),
        (IMAGE, {"tile": 512.0}, TypeError, "tile must be an integer, got float"),
        (IMAGE, {"tile": 64}, ValueError, "tile must be 152 or more, for tiles that overlap by 144 pixels, got 64"),
        (IMAGE, {"overlap": -1}, ValueError, "overlap must be 0 or more, got -1"),
        (IMAGE, {"spacing": (0, 1)}, ValueError, "spacing must be above 0, got 0"),
        (IMAGE, {"spacing": (1,)}, ValueError, "one length for each of the 2 spatial axes"),
        (IMAGE, {"diameter": "ten", "model": Settings(diameter=9.0)}, TypeError, "diameter must be a number, got str"),
        (IMAGE, {"diameter": -1, "model": Settings(diameter=9.0)}, ValueError, "diameter must be above 0, got -1"),
        (np.zeros((9, 9, 3)), {"model": Settings(channels=3)}, ValueError, r"front, numpy\.moveaxis\(image, -1, 0\)"),
        (IMAGE[..., None], {}, ValueError, r"front, numpy\.moveaxis\(image, -1, 0\)"),
        (np.zeros((3, 9, 9)), {}, ValueError, r"make its colours grey, image\[:3\]\.mean\(0\)"),
    ],
)  # fmt: skip
def test_what_segment_does_not_take_is_said(image, options, error, said):
    settings = options.pop("model", Settings())
    with pytest.raises(error, match=said):
        embedseg_ops.segment(image, (network(), settings) if "device" not in options else None, **options)


SEGMENTER = Settings(
    filters=2, dim=3, **UNTRAINED, postprocess={"seed_threshold": 0.01, "seed_smoothing": 1.0, "min_object_size": 3}
)


def test_the_whole_model_compiles():
    segmenter = Segmenter(network(), SEGMENTER)
    image = torch.rand(2, 1, 24, 20)
    labels = torch.compile(segmenter, fullgraph=True, backend="aot_eager")(image)
    assert torch.equal(labels, segmenter(image))
    assert labels.any()


def test_the_whole_model_exports():
    segmenter = Segmenter(network(), SEGMENTER).eval()
    dynamic = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    exported = torch.export.export(segmenter, (torch.rand(2, 1, 21, 18),), dynamic_shapes=(dynamic,)).module()
    image = torch.rand(3, 1, 40, 33)
    assert torch.equal(exported(image), segmenter(image))
