import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import LAYOUTS, cells, embedding_for, in_layout
from scipy import ndimage

from embedseg_ops import connected_components, distance_map, postprocess, propagate, reference
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import OLD_NAMES
from embedseg_ops.ops.smoothing import gaussian

CELLS = torch.stack([cells((61, 75), 14, seed, gap=0.3) for seed in (0, 1)])
VOLUME = cells((9, 21, 25), 8, gap=0.3)[None]


def prediction(labels, noise=0.2):
    """What a good network would give: directions by object, and a distance map with noise."""
    rough = torch.rand(labels.shape, generator=torch.Generator().manual_seed(3))
    return embedding_for(labels, 8, noise=noise), distance_map(labels) + noise * (rough - 0.5)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed_threshold": 0.5, "max_cosine_distance": 0.1},
        {"seed_smoothing": 1.0},
        {"min_seed_size": 4, "min_object_size": 30},
        {"max_cosine_distance": 0.8, "background_threshold": 0.1},
        {"min_depth_pixels": 1.2},
        {"max_objects": 5, "min_seed_size": 2, "min_object_size": 9, "min_depth_pixels": 0.5},
        {"max_objects": 900, "background_threshold": 0.1},
    ],
    ids=str,
)
def test_equals_reference(labels, layout, options):
    embedding, distance = prediction(labels)
    embedding = in_layout(embedding, layout)
    assert torch.equal(
        postprocess(embedding, distance, **options), reference.postprocess(embedding, distance, **options)
    )


def test_a_clean_prediction_gives_the_truth():
    embedding, distance = prediction(CELLS, noise=0.0)
    found = postprocess(embedding, distance)
    for labels, result in zip(CELLS, found, strict=True):
        assert len(torch.stack([labels, result]).flatten(1).unique(dim=1).T) == int(result.max()) + 1


@pytest.mark.usefixtures("device")
def test_is_its_steps():
    embedding, distance = prediction(CELLS)
    assert torch.equal(postprocess(embedding, distance), propagate(embedding, connected_components(distance > 0.7)))


@pytest.mark.usefixtures("device")
def test_small_seeds_and_small_objects_go_and_the_rest_is_renumbered():
    distance = torch.zeros(1, 5, 12)
    distance[0, 2, 0] = distance[0, 2, 4:6] = distance[0, 1:4, 9:12] = 1
    embedding = torch.zeros(1, 2, 5, 12)  # no direction: nothing grows
    assert postprocess(embedding, distance).unique().tolist() == [0, 1, 2, 3]
    for options in ({"min_seed_size": 2}, {"min_object_size": 2}):
        result = postprocess(embedding, distance, **options)
        assert result[0, 2].tolist() == [0, 0, 0, 0, 2, 2, 0, 0, 0, 1, 1, 1]


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=3),
    st.sampled_from([0.3, 1.0, 2.5, 7.0]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_smoothing_is_scipys_gaussian(shape, sigma, dtype):
    image = torch.rand(2, *shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    expected = np.stack([ndimage.gaussian_filter(one.double().numpy(), sigma) for one in image])
    np.testing.assert_allclose(gaussian(image, sigma).numpy(), expected, atol=1e-6, rtol=0)


@pytest.mark.usefixtures("device")
def test_nan_in_the_distance_is_no_seed():
    embedding, distance = prediction(CELLS)
    holes = torch.where(torch.arange(75) % 7 == 0, torch.nan, distance)
    expected = postprocess(embedding, distance.masked_fill(holes.isnan(), 0))
    assert torch.equal(postprocess(embedding, holes), expected)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_dtype(dtype):
    embedding, distance = (tensor.to(dtype) for tensor in prediction(CELLS))
    assert torch.equal(postprocess(embedding, distance), reference.postprocess(embedding, distance))


@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
def test_one_image_and_numpy_are_answered_in_kind(labels):
    embedding, distance = prediction(labels)
    expected = postprocess(embedding, distance)
    assert torch.equal(postprocess(embedding[0], distance[0]), expected[0])
    found = postprocess(embedding.numpy(), distance.numpy())
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected.numpy())
    np.testing.assert_array_equal(postprocess(embedding[0].numpy(), distance[0].numpy()), expected[0].numpy())


def test_a_networks_output_need_not_be_detached():
    embedding, distance = prediction(CELLS)
    found = postprocess(embedding.requires_grad_(), distance.requires_grad_())
    assert not found.requires_grad


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("shape", [(0, 4, 5, 5), (2, 4, 0, 5), (1, 4, 3, 0), (1, 4, 2, 0, 2)])
def test_empty_images(shape):
    distance = torch.ones(shape[:1] + shape[2:])
    assert postprocess(torch.ones(shape), distance, seed_smoothing=1.0).shape == distance.shape


@pytest.mark.usefixtures("device")
def test_no_seed_no_object():
    assert not postprocess(torch.ones(1, 4, 8, 8), torch.zeros(1, 8, 8)).any()


BAD_INPUTS = [
    (TypeError, "embedding must be a torch.Tensor or a numpy.ndarray", {"embedding": [0.0]}),
    (TypeError, "distance must be a float, got torch.int32", {"distance": CELLS}),
    (ValueError, r"distance must be \[2, 61, 75\]", {"distance": torch.zeros(2, 61, 74)}),
    (ValueError, "seed_threshold must be finite, got nan", {"seed_threshold": float("nan")}),
    (ValueError, "max_cosine_distance must be finite, got inf", {"max_cosine_distance": float("inf")}),
    (TypeError, "max_cosine_distance must be a number, got list", {"max_cosine_distance": [0.3]}),
    (ValueError, "background_threshold must be finite", {"background_threshold": float("nan")}),
    (ValueError, "max_objects must be at least 1", {"max_objects": 0}),
    (ValueError, "min_depth_pixels must be 0", {"min_depth_pixels": -0.5}),
    (ValueError, "seed_smoothing must be 0", {"seed_smoothing": -1}),
    (ValueError, "min_seed_size must be at least 1, got 0", {"min_seed_size": 0}),
    (TypeError, "min_object_size must be an integer, got float", {"min_object_size": 2.5}),
]


@pytest.mark.parametrize(("error", "message", "arguments"), BAD_INPUTS)
def test_bad_input(error, message, arguments):
    embedding, distance = prediction(CELLS)
    with pytest.raises(error, match=message):
        postprocess(**{"embedding": embedding, "distance": distance} | arguments)


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items())
def test_old_names_of_options_go_on_working(old, new):
    embedding, distance = torch.randn(1, 3, 9, 11), torch.rand(1, 9, 11)
    with pytest.warns(DeprecationWarning, match=f"{old} is called {new} now"):
        known = postprocess(embedding, distance, **{old: 0.6})
    assert torch.equal(known, postprocess(embedding, distance, **{new: 0.6}))
    with pytest.raises(TypeError, match=f"{old} is the old name of {new}: give one of them"):
        postprocess(embedding, distance, **{old: 0.6, new: 0.6})


def test_model_files_hold_options_by_their_old_names():
    text = json.dumps({"percentiles": [1, 99], "postprocess": {"max_distance": 0.5, "min_seed_size": 3}})
    assert Settings.from_json(text).postprocess == {"max_cosine_distance": 0.5, "min_seed_size": 3}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_thresholds_are_not_rounded_to_the_type_of_the_distance(dtype):
    distance = torch.linspace(0, 1, 2001).to(dtype).unique()[None, None]
    embedding = torch.ones(1, 2, 1, distance.shape[-1])
    for threshold in (0.7, 0.3, 0.95):
        options = {"seed_threshold": threshold, "max_cosine_distance": 0.0}
        found = postprocess(embedding, distance, spatial_dims=2, **options)
        assert torch.equal(found, (distance.double() > threshold).int())
        assert torch.equal(found, reference.postprocess(embedding, distance, **options))
