import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import FLOAT_DTYPES, LAYOUTS, cells, embedding_for, in_layout, label_maps

from embedseg_ops import direction_sums, mean_embedding, propagate, reference

CELLS = torch.stack([cells((37, 51), 12, seed, gap=0.3) for seed in (0, 1)])
VOLUME = cells((9, 14, 19), 8, gap=0.3)[None]


def seeds_and_background(labels):
    share = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1))
    return torch.where(share < 0.05, labels, 0), (labels == 0) & (share > 0.8)


def sums_for(embedding, seeds, background=None):
    """Seeds' sums, with the background's in row 0."""
    outside = torch.zeros_like(seeds, dtype=torch.bool) if background is None else background
    return direction_sums(embedding, torch.where((seeds == 0) & ~outside, -1, seeds))[0]


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
def test_equals_the_reference_up_to_the_rounding_of_directions(labels, dtype, layout):
    embedding = in_layout(embedding_for(labels, 5, dtype=dtype), layout)
    sums, counts = direction_sums(embedding, labels)
    expected, expected_counts = reference.direction_sums(embedding, labels)
    assert torch.equal(counts, expected_counts)
    unit = max(1.0, 2.0**-22 / reference.fixed_unit(embedding, labels.numel()) / 2**29)
    assert ((sums - expected).abs() <= unit * 2 * counts[..., None]).all()


@pytest.mark.usefixtures("device")
@given(label_maps(), st.integers(1, 6), st.sampled_from(FLOAT_DTYPES), st.integers(0, 9))
def test_parts_add_up_to_the_whole_bit_for_bit(labels, dim, dtype, cut):
    embedding, pixels = embedding_for(labels, dim, dtype=dtype), labels.numel()
    objects = int(labels.max()) + 1
    whole = direction_sums(embedding, labels, objects, pixels)
    cut = min(cut, labels.shape[-1])
    parts = [
        direction_sums(embedding[..., part], labels[..., part], objects, pixels)
        for part in (slice(cut), slice(cut, None))
    ]
    for one, other, expected in zip(*parts, whole, strict=True):
        assert torch.equal(one + other, expected)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_their_direction_is_the_mean_embedding(dtype):
    embedding = embedding_for(CELLS, 8, dtype=dtype)
    sums, counts = direction_sums(embedding, CELLS)
    means, expected_counts = mean_embedding(embedding, CELLS)
    torch.testing.assert_close(reference.unit(sums.double()).to(means.dtype), means)
    assert torch.equal(counts, expected_counts)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
@pytest.mark.parametrize("competes", [False, True])
@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
def test_levels_in_several_calls_are_those_of_one(labels, competes, dtype):
    embedding = embedding_for(labels, 8, noise=0.5, dtype=dtype)
    seeds, background = seeds_and_background(labels)
    outside = background if competes else None
    sums = sums_for(embedding, seeds, outside)
    rival = sums[:, 0] if competes else None
    expected = propagate(embedding, seeds, 0.8, outside)
    known = {"means": sums, "background_mean": rival}
    assert torch.equal(propagate(embedding, seeds, 0.8, **known), expected)
    levels = propagate(embedding, seeds, 0.8, outside, max_levels=2)
    for one, other in zip(levels, propagate(embedding, seeds, 0.8, **known, max_levels=2), strict=True):
        assert torch.equal(one, other)
    rounds, grown = 0, seeds
    while True:
        before, rounds = grown, rounds + 1
        grown, active = propagate(embedding, grown, 0.8, **known, max_levels=1)
        assert torch.equal(active, grown != before)
        if not active.any():
            break
    assert rounds > 2
    assert torch.equal(grown, expected)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("levels", [1, 2, 3, 50])
@pytest.mark.parametrize("competes", [False, True])
def test_equals_the_reference(levels, competes):
    embedding = embedding_for(CELLS, 8, noise=0.5)
    seeds, background = seeds_and_background(CELLS)
    sums = sums_for(embedding, seeds, background)
    arguments = (embedding, torch.where(CELLS == 3, -1, seeds), 0.9)
    known = {"means": sums, "background_mean": sums[:, 0] if competes else None, "max_levels": levels}
    for found, expected in zip(propagate(*arguments, **known), reference.propagate(*arguments, **known), strict=True):
        assert torch.equal(found, expected)


def test_one_image_and_numpy_are_answered_in_kind():
    embedding = embedding_for(CELLS, 8, noise=0.5)
    seeds, background = seeds_and_background(CELLS)
    sums = sums_for(embedding, seeds, background)
    expected = propagate(embedding, seeds, 0.9, means=sums, background_mean=sums[:, 0], max_levels=2)
    known = {"means": sums[1].numpy(), "background_mean": sums[1, 0].numpy(), "max_levels": 2}
    found = propagate(embedding[1].numpy(), seeds[1].numpy(), 0.9, **known)
    for one, other in zip(found, expected, strict=True):
        assert one.tolist() == other[1].tolist()


def bad_inputs():
    arrays, means = (torch.ones(1, 2, 3, 4), torch.ones(1, 3, 4, dtype=torch.int64)), torch.ones(1, 2, 2)
    background = torch.zeros(1, 3, 4, dtype=torch.bool)
    yield TypeError, "means must be a torch.Tensor", arrays, {"means": [1.0]}
    yield ValueError, r"means must be \[1, K, 2\] for this embedding", arrays, {"means": means[..., :1]}
    yield ValueError, "means must have more than 1 rows, one for each label, got 1", arrays, {"means": means[:, :1]}
    yield ValueError, "max_levels must be at least 1, got 0", arrays, {"means": means, "max_levels": 0}
    yield ValueError, r"background_mean must be \[1, 2\]", arrays, {"means": means, "background_mean": means}
    yield ValueError, "background_mean is given without means", arrays, {"background_mean": means[:, 0]}
    yield ValueError, "background is given with means", arrays, {"means": means, "background": background}


@pytest.mark.parametrize(("error", "message", "arrays", "options"), list(bad_inputs()))
def test_bad_input(error, message, arrays, options):
    with pytest.raises(error, match=message):
        propagate(*arrays, **options)


def test_fewer_pixels_than_are_given():
    with pytest.raises(ValueError, match="pixels must be at least the 3774 given, got 3"):
        direction_sums(embedding_for(CELLS, 2), CELLS, pixels=3)
