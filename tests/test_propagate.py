import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import FLOAT_DTYPES, INTEGER_DTYPES, LAYOUTS, cells, embedding_for, in_layout, label_maps

from embedseg_ops import propagate, reference

CELLS = torch.stack([cells((37, 51), 12, seed, gap=0.3) for seed in (0, 1)])
VOLUME = cells((9, 14, 19), 8, gap=0.3)[None]


def some_of(labels, share, seed=0):
    """Seeds: a few of the objects' pixels; −1 stays."""
    kept = torch.rand(labels.shape, generator=torch.Generator().manual_seed(seed)) < share
    return torch.where(kept | (labels < 0), labels, 0)


def sure_background(labels, share=0.2):
    return (labels == 0) & (torch.rand(labels.shape, generator=torch.Generator().manual_seed(9)) < share)


def brute_force(embedding, seeds, max_cosine_distance, background=None):
    """The levels of docs/method.md, Postprocessing, pixel by pixel, in float64; the background may compete."""
    result = seeds.numpy().astype(np.int32).copy()
    outside = np.zeros(result.shape, bool) if background is None else background.numpy() & (result == 0)
    for vectors, labels, out in zip(embedding.double().numpy(), result, outside, strict=True):
        known = {int(k) for k in np.unique(labels)} - {0, -1}
        with np.errstate(all="ignore"):
            directions = vectors / np.linalg.norm(vectors, axis=0)
        sums = {k: np.nan_to_num(directions[:, labels == k]).sum(1) for k in known}
        means = {k: s / np.linalg.norm(s) for k, s in sums.items()}
        rival = np.nan_to_num(directions[:, out]).sum(1)
        rival = rival / np.linalg.norm(rival) if out.any() else rival
        while True:
            joins = {}
            for pixel in zip(*np.nonzero(labels == 0), strict=True):
                around = labels[tuple(slice(max(i - 1, 0), i + 2) for i in pixel)]
                near = [(1 - means[k] @ directions[(slice(None), *pixel)], k) for k in set(around[around > 0].tolist())]
                limit = max_cosine_distance if background is None else 1 - rival @ directions[(slice(None), *pixel)]
                near = [candidate for candidate in near if candidate[0] < min(limit, max_cosine_distance)]
                if near:
                    joins[pixel] = min(near)[1]
            if not joins:
                break
            for pixel, k in joins.items():
                labels[pixel] = k
    return torch.from_numpy(result)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
@pytest.mark.parametrize("dim", [2, 4, 7, 16, 32])
@pytest.mark.parametrize("max_cosine_distance", [0.1, 0.3, 1.2])
def test_equals_brute_force(labels, dim, max_cosine_distance):
    embedding, seeds = embedding_for(labels, dim, noise=0.5), some_of(labels, 0.05)
    found = propagate(embedding, seeds, max_cosine_distance, spatial_dims=embedding.ndim - 2)
    assert torch.equal(found, brute_force(embedding, seeds, max_cosine_distance))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
@pytest.mark.parametrize(("dim", "max_cosine_distance"), [(3, 0.3), (16, 0.8)])
def test_a_competing_background_equals_brute_force_and_reference(labels, dim, max_cosine_distance):
    embedding, seeds, background = embedding_for(labels, dim, noise=0.7), some_of(labels, 0.05), sure_background(labels)
    grown = propagate(embedding, seeds, max_cosine_distance, background)
    assert torch.equal(grown, brute_force(embedding, seeds, max_cosine_distance, background))
    assert torch.equal(grown, reference.propagate(embedding, seeds, max_cosine_distance, background))


@pytest.mark.usefixtures("device")
def test_a_pixel_between_object_and_background_goes_to_the_closer():
    angles = torch.tensor([0, 20, 43, 47, 90, 90]).deg2rad()
    embedding = torch.stack([angles.cos(), angles.sin()])[:, None]
    seeds = torch.tensor([[1, 0, 0, 0, 0, 0]])
    background = torch.tensor([[False, False, False, False, True, True]])
    assert propagate(embedding, seeds, 0.2).tolist() == [[1, 1, 0, 0, 0, 0]]
    assert propagate(embedding, seeds, 1.01).tolist() == [[1, 1, 1, 1, 1, 1]]
    assert propagate(embedding, seeds, 1.0, background).tolist() == [[1, 1, 1, 0, 0, 0]]
    assert propagate(embedding, seeds, 0.2, background).tolist() == [[1, 1, 0, 0, 0, 0]]


@pytest.mark.usefixtures("device")
def test_seeds_do_not_count_as_background_and_without_any_it_is_orthogonal_to_all():
    embedding, seeds = embedding_for(CELLS, 8, noise=0.7), some_of(CELLS, 0.05)
    nowhere = torch.zeros(CELLS.shape, dtype=torch.bool)
    assert torch.equal(propagate(embedding, seeds, 2.0, nowhere), propagate(embedding, seeds, 1.0))
    background = sure_background(CELLS)
    both = propagate(embedding, seeds, 2.0, background | (seeds > 0))
    assert torch.equal(both, propagate(embedding, seeds, 2.0, background))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
@pytest.mark.parametrize("dim", [3, 16])
def test_every_layout_and_dtype(layout, dtype, dim):
    embedding = in_layout(embedding_for(CELLS, dim, dtype=dtype, noise=0.5), layout)
    seeds = some_of(CELLS, 0.05)
    assert torch.equal(propagate(embedding, seeds), reference.propagate(embedding, seeds))
    options = (0.9, sure_background(CELLS))
    assert torch.equal(propagate(embedding, seeds, *options), reference.propagate(embedding, seeds, *options))


@pytest.mark.usefixtures("device")
@given(label_maps(), st.integers(1, 6), st.sampled_from([0.05, 0.3, 0.9]))
def test_equals_reference_on_any_seeds(labels, dim, max_cosine_distance):
    embedding, seeds = embedding_for(labels, dim, noise=0.4), some_of(labels, 0.3)
    grown = propagate(embedding, seeds, max_cosine_distance, spatial_dims=labels.ndim - 1)
    assert torch.equal(grown, reference.propagate(embedding, seeds, max_cosine_distance))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", [*INTEGER_DTYPES, torch.uint32, torch.uint64])
def test_every_seed_dtype(dtype):
    embedding, seeds = embedding_for(CELLS, 8, noise=0.5), some_of(CELLS, 0.05)
    grown = propagate(embedding, seeds.to(dtype))
    assert grown.dtype == torch.int32
    assert torch.equal(grown, propagate(embedding, seeds))


@pytest.mark.usefixtures("device")
def test_ties_go_to_the_closer_then_to_the_smaller_label():
    embedding = torch.ones(1, 2, 1, 5)
    assert propagate(embedding, torch.tensor([[[7, 0, 0, 0, 3]]])).tolist() == [[[7, 7, 3, 3, 3]]]
    embedding[0, 1, 0, 2] = 1.05  # leans towards the seed on the right
    embedding[0, 1, 0, 4] = 1.10
    assert propagate(embedding, torch.tensor([[[3, 0, 0, 0, 7]]])).tolist() == [[[3, 3, 7, 7, 7]]]


@pytest.mark.usefixtures("device")
def test_what_is_out_of_bounds_stays_so():
    seeds = torch.tensor([[[1, 0, -1, 0, 0]]])
    assert propagate(torch.ones(1, 3, 1, 5), seeds).tolist() == [[[1, 1, -1, 0, 0]]]


@pytest.mark.usefixtures("device")
def test_a_pixel_that_is_not_finite_joins_nobody_and_one_without_direction_is_orthogonal():
    embedding = torch.ones(1, 2, 1, 5)
    embedding[0, 0, 0, 1], embedding[0, 1, 0, 3] = torch.nan, -torch.inf
    seeds = torch.tensor([[[0, 0, 1, 0, 0]]])
    assert propagate(embedding, seeds, max_cosine_distance=2.1).tolist() == [[[0, 0, 1, 0, 0]]]
    embedding = torch.ones(1, 2, 1, 3)
    embedding[..., 0] = 0
    assert propagate(embedding, torch.tensor([[[0, 1, 0]]]), 1.0).tolist() == [[[0, 1, 1]]]
    assert propagate(embedding, torch.tensor([[[0, 1, 0]]]), 1.01).tolist() == [[[1, 1, 1]]]


@pytest.mark.usefixtures("device")
def test_growth_follows_winding_ways():
    """As many levels as there are pixels on the way."""
    allowed = torch.zeros(40, 41)
    allowed[::4] = 1
    allowed[2::8, -1] = allowed[1::8, -1] = allowed[3::8, -1] = 1
    allowed[6::8, 0] = allowed[5::8, 0] = allowed[7::8, 0] = 1
    embedding = torch.stack([allowed, 1 - allowed])[None]
    seeds = torch.zeros(1, 40, 41, dtype=torch.int32)
    seeds[0, 0, 0] = 5
    assert torch.equal(propagate(embedding, seeds)[0] == 5, allowed.bool())


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("turn", [lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.rot90(1, (-2, -1))])
def test_turns_and_flips_turn_and_flip_the_result(turn):
    embedding, seeds = embedding_for(CELLS, 8, noise=0.5), some_of(CELLS, 0.05)
    assert torch.equal(propagate(turn(embedding), turn(seeds)), turn(propagate(embedding, seeds)))


def test_names_of_seeds_do_not_matter():
    embedding, seeds = embedding_for(CELLS, 8, noise=0.5), some_of(CELLS, 0.05)
    renamed = propagate(embedding, torch.where(seeds > 0, 1000 * seeds + 1, seeds))
    assert torch.equal(torch.where(renamed > 0, renamed // 1000, renamed), propagate(embedding, seeds))


def test_the_number_of_threads_changes_nothing():
    labels = cells((300, 310), 40, gap=0.3)[None]
    embedding, seeds = embedding_for(labels, 16, noise=0.4), some_of(labels, 0.01)
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append(propagate(embedding, seeds))
    torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("shape", [(0, 4, 5, 5), (2, 4, 0, 5), (1, 4, 3, 0), (1, 4, 2, 0, 2)])
def test_empty_images(shape):
    seeds = torch.zeros(shape[:1] + shape[2:], dtype=torch.int32)
    assert torch.equal(propagate(torch.ones(shape), seeds), seeds)


@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
def test_one_image_and_numpy_are_answered_in_kind(labels):
    embedding, seeds = embedding_for(labels, 8, noise=0.5), some_of(labels, 0.05)
    expected = propagate(embedding, seeds)
    assert torch.equal(propagate(embedding[0], seeds[0]), expected[0])
    grown = propagate(embedding.numpy(), seeds.numpy())
    assert isinstance(grown, np.ndarray)
    np.testing.assert_array_equal(grown, expected.numpy())
    np.testing.assert_array_equal(propagate(embedding[0].numpy(), seeds[0].numpy()), expected[0].numpy())
    background = sure_background(labels)
    expected = propagate(embedding, seeds, 0.8, background)
    assert torch.equal(propagate(embedding[0], seeds[0], 0.8, background[0]), expected[0])
    grown = propagate(embedding[0].numpy(), seeds[0].numpy(), 0.8, background[0].numpy())
    np.testing.assert_array_equal(grown, expected[0].numpy())


def bad_inputs():
    embedding, seeds = torch.ones(1, 2, 3, 4), torch.ones(1, 3, 4, dtype=torch.int64)
    yield TypeError, "embedding must be a torch.Tensor or a numpy.ndarray, got list", ([1.0], seeds)
    yield TypeError, "embedding must be float16", (embedding.int(), seeds)
    yield ValueError, r"embedding must be \[B, D, \*spatial\]", (embedding[0, 0], seeds[0, 0])
    yield TypeError, "seeds must have an integer dtype", (embedding, seeds.double())
    yield ValueError, r"seeds must be \[1, 3, 4\]", (embedding, seeds[:, 1:])
    yield ValueError, "seeds must be -1 .* got -2", (embedding, seeds - 3)
    yield ValueError, "relabel_sequential", (embedding, seeds * 2**40)
    yield ValueError, "max_cosine_distance must be finite, got inf", (embedding, seeds, float("inf"))
    yield TypeError, "max_cosine_distance must be a number", (embedding, seeds, None)
    yield TypeError, "background must be bool, got torch.int64", (embedding, seeds, 0.3, seeds)
    yield ValueError, r"background must be like seeds, \[1, 3, 4\]", (embedding, seeds, 0.3, seeds[:, 1:] > 0)


@pytest.mark.parametrize(("error", "message", "arguments"), list(bad_inputs()))
def test_bad_input(error, message, arguments):
    with pytest.raises(error, match=message):
        propagate(*arguments)
