"""Shapes that say two things are asked about, and a wrong one is named; sizes and ids are what they may be."""

import functools

import numpy as np
import pytest
import torch
from samples import INTEGER_DTYPES, cells, embedding_for

import embedseg_ops
from embedseg_ops.ops import images
from embedseg_ops.ops.remove_small import remove_small

VOLUME = cells((6, 13, 14), 5, gap=0.3)


def prediction(volume, dim):
    return embedding_for(volume[None], dim, noise=0.2)[0], embedseg_ops.distance_map(volume[None])[0]


def seeds_of(distance):
    return (distance > 0.7).astype(np.int32) if isinstance(distance, np.ndarray) else (distance > 0.7).int()


FUNCTIONS = {
    "postprocess": lambda e, d, **options: embedseg_ops.postprocess(e, d, min_depth_pixels=0.5, **options),
    "propagate": lambda e, d, **options: embedseg_ops.propagate(e, seeds_of(d), **options),
}


@pytest.mark.parametrize("name", ["postprocess", "propagate"])
@pytest.mark.parametrize("array", [torch.Tensor, np.asarray])
def test_a_volume_of_as_many_planes_as_channels_is_asked_about(name, array):
    function = FUNCTIONS[name]
    for dim in (5, 6, 7):
        embedding, distance = prediction(VOLUME, dim)
        expected = function(embedding[None], distance[None])[0]
        given = (embedding.numpy(), distance.numpy()) if array is np.asarray else (embedding, distance)
        if dim == len(VOLUME):
            with pytest.raises(ValueError, match=r"a batch of images as well as one volume: say spatial_dims"):
                function(*given)
        else:
            np.testing.assert_array_equal(function(*given), expected)
        np.testing.assert_array_equal(function(*given, spatial_dims=3), expected)
    planes = embedding[:6].movedim(1, 0)
    one_by_one = torch.stack([function(e, d) for e, d in zip(planes, distance, strict=True)])
    np.testing.assert_array_equal(function(planes, distance, spatial_dims=2), one_by_one)


def test_label_maps_of_three_axes_are_what_spatial_dims_says():
    labels = VOLUME
    small_ones_off = functools.partial(remove_small, min_size=9)
    for function in (embedseg_ops.distance_map, embedseg_ops.connected_components, small_ones_off):
        assert torch.equal(function(labels, spatial_dims=3), function(labels[None])[0])
        assert torch.equal(function(labels, spatial_dims=2), function(labels))
        with pytest.raises(ValueError, match=r"must be \[D, H, W\] or \[B, D, H, W\] with spatial_dims=3"):
            function(labels[0], spatial_dims=3)
        with pytest.raises(ValueError, match=r"spatial_dims must be 2 \(images\), 3 \(volumes\) or None, got 4"):
            function(labels, spatial_dims=4)
    assert torch.equal(embedseg_ops.neighbor_pairs(labels, spatial_dims=3), embedseg_ops.neighbor_pairs(labels[None]))


IMAGE, DEPTH = torch.rand(2, 4, 7, 8), torch.rand(2, 7, 8)
WRONG = [
    (IMAGE, DEPTH[:, :, :7], r"distance must be \[2, 7, 8\] for an embedding of shape \[2, 4, 7, 8\], got \[2, 7, 7\]"),
    (IMAGE[0], DEPTH[0, :6], r"distance must be \[7, 8\] for an embedding of shape \[4, 7, 8\], got \[6, 8\]"),
    (IMAGE, DEPTH[:, None], r"take its channel axis off, distance\[:, 0\]"),
    (IMAGE[0], DEPTH[:1], r"take its channel axis off, distance\[0\]"),
    (IMAGE[0].movedim(0, -1), DEPTH[0], r"embedding of shape \[7, 8, 4\] has its channels last.*movedim\(-1, 0\)"),
    (IMAGE.movedim(1, -1), DEPTH, r"embedding of shape \[2, 7, 8, 4\] has its channels last.*movedim\(-1, 1\)"),
    (IMAGE[0, 0], DEPTH[0], r"embedding must be \[B, D, \*spatial\] or \[D, \*spatial\]"),
]


@pytest.mark.parametrize(("embedding", "distance", "message"), WRONG)
def test_the_argument_that_is_wrong_is_named(embedding, distance, message):
    with pytest.raises(ValueError, match=message):
        embedseg_ops.postprocess(embedding, distance)


def test_labels_of_a_loss_may_not_have_a_channel_axis():
    with pytest.raises(ValueError, match=r"take its channel axis off, labels\[:, 0\]"):
        embedseg_ops.embedding_loss(IMAGE, DEPTH[:, None].int())
    with pytest.raises(ValueError, match="has its channels last"):
        embedseg_ops.mean_embedding(IMAGE.movedim(1, -1), DEPTH.int())


def test_too_many_pixels_are_refused_before_any_work():
    huge = torch.zeros(1, dtype=torch.int32).expand(1, 65536, 32768)
    for call in (
        lambda: embedseg_ops.connected_components(huge),
        lambda: embedseg_ops.distance_map(huge),
        lambda: embedseg_ops.postprocess(torch.zeros(1).expand(1, 3, 65536, 32768), torch.zeros(1).expand(huge.shape)),
    ):
        with pytest.raises(ValueError, match=r"fewer than 2\*\*31 pixels in an image, got \[65536, 32768\]"):
            call()
    assert images.check_pixels((46340, 46340), "image") is None


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "max_objects must be at most 2147483647, got 2147483648", {"max_objects": 2**31}),
        (ValueError, "min_seed_size must be at most", {"min_seed_size": 10**30}),
        (ValueError, "seed_smoothing must be at most 1000 pixels", {"seed_smoothing": 1e9}),
        (ValueError, "max_cosine_distance must be finite", {"max_cosine_distance": 10**400}),
        (TypeError, "max_objects must be an integer, got float", {"max_objects": 4.0}),
    ],
)
def test_sizes_are_checked(error, message, options):
    with pytest.raises(error, match=message):
        embedseg_ops.postprocess(IMAGE, DEPTH, **options)


def test_the_number_of_objects_is_checked():
    for function in (embedseg_ops.mean_embedding, lambda e, n, k: embedseg_ops.embedding_loss(e, n, num_objects=k)):
        with pytest.raises(TypeError, match="num_objects must be an integer, got float"):
            function(IMAGE, DEPTH.int(), 4.0)
        with pytest.raises(ValueError, match="num_objects must be 0 or more, got -1"):
            function(IMAGE, DEPTH.int(), -1)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", [*INTEGER_DTYPES, torch.uint32, torch.uint64])
def test_labels_of_any_dtype_give_the_same(dtype):
    labels = VOLUME[None].clone()
    if dtype.is_signed:
        labels[0, 0] = -1
    embedding = embedding_for(labels, 4)
    seeds = torch.where(labels <= 2, labels, 0)
    for function in (
        lambda n: embedseg_ops.mean_embedding(embedding, n)[0],
        lambda n: embedseg_ops.embedding_loss(embedding, n).total,
        embedseg_ops.distance_map,
        embedseg_ops.neighbor_pairs,
        lambda n: embedseg_ops.connected_components(n > 1) if dtype.is_signed else n.int(),
        lambda n: remove_small(n, 9),
    ):
        assert torch.equal(function(labels.to(dtype)), function(labels))
    assert torch.equal(embedseg_ops.propagate(embedding, seeds.to(dtype)), embedseg_ops.propagate(embedding, seeds))


def test_the_largest_uint64_is_no_ignored_pixel():
    labels = torch.tensor(np.array([[[0, 2**64 - 1]]], np.uint64))
    for function in (embedseg_ops.distance_map, lambda n: embedseg_ops.mean_embedding(torch.rand(1, 3, 1, 2), n)):
        with pytest.raises(ValueError, match="labels goes up to 18446744073709551615"):
            function(labels)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("depth", [0.2, 1.0, 2.0])
@pytest.mark.parametrize("options", [{}, {"min_object_size": 4}, {"min_seed_size": 3}, {"max_objects": 6}], ids=str)
def test_ids_have_no_gaps_whatever_the_options(depth, options):
    labels = torch.stack([cells((30, 31), 15, seed, gap=0.4) for seed in range(3)])
    distance = embedseg_ops.distance_map(labels) * torch.rand(3, 1, 31, generator=torch.Generator().manual_seed(1))
    embedding = embedding_for(labels, 5, noise=0.3)
    found = embedseg_ops.postprocess(embedding, distance, seed_threshold=0.5, min_depth_pixels=depth, **options)
    for image in found:
        assert image.unique().tolist() == list(range(int(image.max()) + 1))
    options = options | {"seed_threshold": 0.5, "min_depth_pixels": depth}
    assert torch.equal(found, embedseg_ops.reference.postprocess(embedding, distance, **options))


def test_tables_follow_neither_max_objects_nor_the_seeds_without_bound(monkeypatch):
    distance = torch.zeros(1, 40, 40)
    distance[:, ::2, ::2] = 1
    embedding = torch.rand(1, 3, 40, 40)
    expected = embedseg_ops.postprocess(embedding, distance)
    assert torch.equal(embedseg_ops.postprocess(embedding, distance, max_objects=2**31 - 1), expected)
    monkeypatch.setattr("embedseg_ops.ops.arguments.LARGEST_TABLE", 10_000)
    monkeypatch.setattr("embedseg_ops.ops.postprocess.LARGEST_TABLE", 10_000)
    with pytest.raises(ValueError, match=r"the number of seeds goes up to 401, .* takes 27336 bytes.*max_objects"):
        embedseg_ops.postprocess(embedding, distance)
    assert embedseg_ops.postprocess(embedding, distance, max_objects=100).max() == 100
