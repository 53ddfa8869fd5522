import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import INTEGER_DTYPES, cells, label_maps

import embedseg_ops
from embedseg_ops import neighbor_pairs, reference

operator = torch.ops.embedseg_ops.neighbor_pairs
UNSIGNED_DTYPES = [torch.uint16, torch.uint32, torch.uint64]


def by_definition(labels, distance, background=True, spacing=None):
    """All distances between all pixels of two objects, in float64."""
    rows = []
    for b, image in enumerate(np.asarray(labels)):
        pixels = {k: np.argwhere(image == k) for k in np.unique(image) if k > 0}
        for k in pixels:
            if background and (image == 0).any():
                rows += [(b, 0, k), (b, k, 0)]
            for n in pixels:
                offsets = (pixels[k][:, None] - pixels[n][None]) * np.asarray(spacing or [1.0] * image.ndim)
                if k != n and np.sqrt((offsets**2).sum(-1)).min() < distance:
                    rows.append((b, k, n))
    return torch.tensor(sorted(rows), dtype=torch.int64).reshape(-1, 3)


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def image(*rows):
    return torch.tensor([list(map(int, row.split())) for row in rows])


@pytest.mark.usefixtures("device")
@given(
    label_maps(),
    st.sampled_from([0.5, 1.0, 1.001, math.sqrt(2), 1.5, 2.0, math.sqrt(5), 3.0, 5.0, 100.0, 1e300]),
    st.booleans(),
    st.sampled_from([None, 0.5, 0.3, 2.0]),
)
def test_matches_definition_and_reference(labels, distance, background, depth_spacing):
    spacing = None if depth_spacing is None else [depth_spacing, 1.0, 0.7][: labels.ndim - 1]
    lengths = spacing or [1.0] * (labels.ndim - 1)
    expected = by_definition(labels, distance, background, spacing)
    assert_same(operator(labels, distance, background, lengths), expected)
    assert_same(reference.neighbor_pairs(labels, distance, background, spacing), expected)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("distance", [1.0, 2.0, 7.5, 10.0, 30.0, 55.5, 100.0, 1000.0])
@pytest.mark.parametrize(
    ("shape", "objects", "gap"), [((150, 130), 60, 0.3), ((97, 203), 25, 0.0), ((22, 40, 50), 40, 0.5)]
)
def test_matches_reference_on_cells(shape, objects, gap, distance):
    labels = cells(shape, objects, seed=objects, gap=gap)[None]
    spacing = [2.5, 1.0, 1.5][: len(shape)]
    assert_same(operator(labels, distance, True, [1.0] * len(shape)), reference.neighbor_pairs(labels, distance))
    assert_same(operator(labels, distance, False, spacing), reference.neighbor_pairs(labels, distance, False, spacing))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("distance", [2.0, 9.0, 40.0])
def test_matches_reference_on_noise_and_networks(distance):
    random = np.random.default_rng(1)
    noise = random.integers(-1, 40, (48, 70))
    noise[:, 35:] += 40 * (noise[:, 35:] > 0)
    lattice = np.zeros((64, 96), dtype=np.int64)
    lattice[::8], lattice[:, ::12] = 7, 7
    lattice[random.random(lattice.shape) < 0.02] = 9
    lattice[4::16, 6::24] = np.arange(11, 27).reshape(4, 4)
    for labels in (noise, lattice):
        batch = torch.from_numpy(labels.astype(np.int32))[None]
        assert_same(operator(batch, distance, True, [1.0, 1.0]), reference.neighbor_pairs(batch, distance))


@pytest.mark.usefixtures("device")
def test_rows_are_sorted_and_symmetric():
    pairs = neighbor_pairs(torch.stack([cells((60, 60), 30, seed) for seed in range(3)]), 5.0)
    rows = pairs.tolist()
    assert rows == sorted(rows)
    assert {(b, k, n) for b, k, n in rows} == {(b, n, k) for b, k, n in rows}
    assert len({tuple(row) for row in rows}) == len(rows)
    assert set(pairs[:, 0].tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("offset", "spacing"),
    [
        ((0, 10), None),
        ((6, 8), None),
        ((10, 0), None),
        ((4, 3), (1.5, 2 + 2 / 3)),
        ((2, 4), (3.0, 2.0)),
        ((1, 1), None),
    ],
)
def test_exactly_the_distance_is_no_neighbor(offset, spacing):
    labels = torch.zeros(20, 20, dtype=torch.int32)
    labels[5, 4], labels[5 + offset[0], 4 + offset[1]] = 3, 8
    exact = math.sqrt(sum((o * s) ** 2 for o, s in zip(offset, spacing or (1.0, 1.0), strict=True)))
    assert neighbor_pairs(labels, exact, False, spacing).shape == (0, 3)
    above = math.nextafter(exact, math.inf)
    assert neighbor_pairs(labels, above, False, spacing).tolist() == [[0, 3, 8], [0, 8, 3]]


def test_touching_objects_are_one_apart():
    labels = image("1 1 2", "3 3 2")
    assert neighbor_pairs(labels, 1.0).shape == (0, 3)
    assert neighbor_pairs(labels, 1.1)[:, 1:].tolist() == [[1, 2], [1, 3], [2, 1], [2, 3], [3, 1], [3, 2]]


def test_neighbors_through_another_object_and_through_ignored_pixels():
    assert [0, 1, 3] in neighbor_pairs(image("1 1 2 2 3 3"), 4.0).tolist()
    assert [0, 1, 3] in neighbor_pairs(image("1 1 -1 -1 3 3"), 4.0).tolist()
    assert neighbor_pairs(image("1 1 -1 -1 3 3"), 3.0).tolist() == []


def test_background_is_a_neighbor_of_every_object_where_it_occurs():
    labels = torch.stack([image("1 -1 -1 -1 0"), image("1 -1 -1 -1 5"), image("0 0 0 0 0"), image("-1 2 0 2 -1")])
    expected = [[0, 0, 1], [0, 1, 0], [3, 0, 2], [3, 2, 0]]
    assert neighbor_pairs(labels, 0.1).tolist() == expected
    assert neighbor_pairs(labels, 0.1, background=False).tolist() == []
    assert neighbor_pairs(labels, 9.0).tolist() == sorted([*expected, [1, 1, 5], [1, 5, 1]])


def test_background_far_from_the_objects_counts():
    labels = torch.ones(64, 64, dtype=torch.int32)
    labels[:, 20:] = -1
    labels[40, 60] = 0
    assert neighbor_pairs(labels, 2.0).tolist() == [[0, 0, 1], [0, 1, 0]]


def test_gaps_and_large_ids():
    largest = 2**30 - 1
    labels = torch.tensor([[5, largest, 700, -1]])
    assert neighbor_pairs(labels, 1.5)[:, 1:].tolist() == [[5, largest], [700, largest], [largest, 5], [largest, 700]]


@pytest.mark.parametrize("shape", [(0, 5, 5), (2, 0, 7), (2, 7, 0), (1, 0, 4, 4), (0, 0)])
def test_empty_images(shape):
    pairs = neighbor_pairs(torch.zeros(shape, dtype=torch.int64))
    assert pairs.shape == (0, 3)
    assert pairs.dtype == torch.int64


@pytest.mark.parametrize("fill", [-1, 0, 1])
def test_uniform_images(fill):
    assert neighbor_pairs(torch.full((2, 40, 50), fill)).shape == (0, 3)


@pytest.mark.parametrize("dtype", [*INTEGER_DTYPES, *UNSIGNED_DTYPES])
def test_integer_dtypes_torch_and_numpy(dtype):
    labels = cells((40, 40), 12, gap=0.2)
    expected = by_definition(labels[None], 4.0)
    assert_same(neighbor_pairs(labels.to(dtype), 4.0), expected)
    from_numpy = neighbor_pairs(labels.to(dtype).numpy(), 4.0)
    assert isinstance(from_numpy, np.ndarray)
    assert_same(torch.from_numpy(from_numpy), expected)


def test_single_images_and_volumes():
    labels = cells((12, 20, 24), 20, gap=0.3)
    as_images = neighbor_pairs(labels, 3.0)
    assert_same(as_images, torch.cat([neighbor_pairs(z, 3.0) + torch.tensor([i, 0, 0]) for i, z in enumerate(labels)]))
    as_volume = neighbor_pairs(labels, 3.0, spacing=(1, 1, 1))
    assert_same(as_volume, neighbor_pairs(labels[None], 3.0))
    assert_same(as_volume, by_definition(labels[None], 3.0))


def test_non_contiguous_labels():
    labels = cells((40, 60), 20)
    expected = neighbor_pairs(labels[::2, 1::3].clone(), 3.0)
    assert_same(neighbor_pairs(labels[::2, 1::3], 3.0), expected)
    assert_same(neighbor_pairs(labels.T.contiguous().T[::2, 1::3], 3.0), expected)
    assert_same(torch.from_numpy(neighbor_pairs(labels.numpy()[::-1, ::-1], 3.0)), neighbor_pairs(labels, 3.0))
    assert_same(operator(labels[None, ::2, 1::3], 3.0, True, [1.0, 1.0]), expected)


@pytest.mark.parametrize("distance", [2.5, 10.0, 60.0])
def test_flips_turns_and_ids_do_not_matter(distance):
    labels = cells((90, 70), 40, gap=0.4)
    expected = neighbor_pairs(labels, distance)
    for turned in (labels.flip(0), labels.flip(1), labels.T, *(torch.rot90(labels, turns) for turns in (1, 2, 3))):
        assert_same(neighbor_pairs(turned, distance), expected)
    ids = torch.cat([torch.zeros(1, dtype=torch.int64), 3 * torch.randperm(40, generator=torch.manual_seed(0)) + 2])
    renamed = expected.clone()
    renamed[:, 1:] = ids[expected[:, 1:]]
    assert_same(neighbor_pairs(ids[labels.long()], distance), torch.tensor(sorted(renamed.tolist())))


@pytest.mark.usefixtures("device")
def test_spacing_scales_with_the_distance():
    labels = cells((80, 60), 30, gap=0.3)
    assert_same(neighbor_pairs(labels, 2.0, spacing=(0.25, 0.25)), neighbor_pairs(labels, 8.0))
    stretched = labels.repeat_interleave(2, 0)
    stretched[1::2] = -1
    assert_same(neighbor_pairs(labels, 7.0, spacing=(2, 1), background=False), neighbor_pairs(stretched, 7.0, False))


@pytest.mark.parametrize("distance", [5.0, 40.0])
def test_threads_do_not_matter(distance):
    labels = torch.stack([cells((160, 160), 90, seed, gap=0.2) for seed in range(2)])
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3, 8):
            torch.set_num_threads(count)
            results += [neighbor_pairs(labels, distance) for _ in range(3)]
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert_same(result, results[0])


def test_inputs_are_not_changed():
    labels = cells((30, 30), 10, gap=0.2)
    before = labels.clone()
    neighbor_pairs(labels)
    assert_same(labels, before)


@pytest.mark.parametrize("shape", [(30, 40), (8, 12, 14)])
def test_opcheck(shape):
    labels = cells(shape, 12, gap=0.3)[None]
    torch.library.opcheck(operator, (labels, 4.0, True, [1.0] * len(shape)))
    torch.library.opcheck(operator, (labels[..., ::2], 4.0, False, [2.0] * len(shape)))


def test_compile_and_export():
    class Count(torch.nn.Module):
        def forward(self, labels):
            return operator(labels, 4.0, True, [1.0, 1.0])[:, 1:] + 1

    model, labels = Count(), cells((30, 40), 12, gap=0.3)[None]
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        assert_same(compiled(labels), model(labels))
        assert_same(compiled(labels.flip(0) * 2), model(labels.flip(0) * 2))
    exported = torch.export.export(model, (labels,)).module()
    assert_same(exported(labels * 3), model(labels * 3))


def test_public_function_compiles_with_graph_breaks():
    labels = cells((30, 40), 12, gap=0.3)
    compiled = torch.compile(lambda x: neighbor_pairs(x, 4.0) * 2, backend="aot_eager")
    assert_same(compiled(labels), neighbor_pairs(labels, 4.0) * 2)


def test_vmap_says_what_to_do_instead():
    labels = cells((20, 20), 5).expand(3, 1, 20, 20)
    with pytest.raises(RuntimeError, match="cannot be vmapped: the number of pairs differs"):
        torch.vmap(lambda x: operator(x, 4.0, True, [1.0, 1.0]))(labels)


LABELS = torch.ones(4, 4, dtype=torch.int32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"labels": [[1, 2]]}, TypeError, "labels must be a torch.Tensor or a numpy.ndarray, got list"),
        ({"labels": LABELS.float()}, TypeError, "labels must have an integer dtype, got torch.float32"),
        ({"labels": LABELS.bool()}, TypeError, "labels must have an integer dtype, got torch.bool"),
        ({"labels": LABELS[0]}, ValueError, r"labels must be .* got shape \[4\]"),
        ({"labels": LABELS[None, None, None]}, ValueError, r"labels must be .* got shape \[1, 1, 1, 4, 4\]"),
        ({"labels": LABELS - 3}, ValueError, "labels must be .* got -2"),
        ({"labels": LABELS.long() << 30}, ValueError, "labels goes up to 1073741824"),
        ({"distance": 0}, ValueError, "distance must be above 0, got 0"),
        ({"distance": -2.5}, ValueError, r"distance must be above 0, got -2\.5"),
        ({"distance": math.nan}, ValueError, "distance must be finite, got nan"),
        ({"distance": math.inf}, ValueError, "distance must be finite, got inf"),
        ({"distance": "far"}, TypeError, "distance must be a number, got str"),
        ({"spacing": 2.0}, TypeError, "spacing must be one length for each spatial axis, got float"),
        ({"spacing": (1.0,)}, ValueError, "spacing must have one length for each of the 2 spatial axes"),
        ({"spacing": (1.0, 1.0, 1.0, 1.0)}, ValueError, "spacing must have one length for each of the 2 spatial axes"),
        ({"spacing": (1.0, 0.0)}, ValueError, r"spacing must be above 0, got 0\.0"),
        ({"spacing": (1.0, math.nan)}, ValueError, "spacing must be finite, got nan"),
        ({"spacing": (1.0, "wide")}, TypeError, "spacing must be a number, got str"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        embedseg_ops.neighbor_pairs(**{"labels": LABELS, **arguments})
