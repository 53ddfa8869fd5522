import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import INTEGER_DTYPES, cells, label_maps

from embedseg_ops import distance_map, reference

operator = torch.ops.embedseg_ops.distance_map
SPACINGS = {2: [(1, 1), (2.5, 1), (0.3, 0.7)], 3: [(1, 1, 1), (4, 1, 1.5), (0.2, 0.5, 0.3)]}


def definition(image, spacing=None):
    """Every pixel against every other, in float64."""
    pixels = np.argwhere(np.ones(image.shape)) * np.asarray(spacing or [1] * image.ndim, float)
    labels = image.numpy().ravel()
    squares = ((pixels[:, None] - pixels) ** 2).sum(-1)
    nearest = np.sqrt(np.where(labels[:, None] != labels, squares, np.inf).min(1))
    depths = np.zeros(labels.shape)
    for k in set(labels[labels > 0]):
        inside = labels == k
        depths[inside] = 1 if inside.all() else nearest[inside] / nearest[inside].max()
    return torch.from_numpy(depths.reshape(image.shape))


def assert_near(actual, expected):
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected.float(), rtol=3e-7, atol=0)


@pytest.mark.usefixtures("device")
@given(label_maps(), st.integers(0, 2))
def test_is_the_definition_and_the_reference(labels, choice):
    spacing = SPACINGS[labels.ndim - 1][choice]
    result = operator(labels, spacing)
    assert_near(result, torch.stack([definition(image, spacing) for image in labels]))
    assert_near(result, reference.distance_map(labels, spacing))
    assert_near(operator(labels, []), reference.distance_map(labels))


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize(("shape", "objects"), [((700, 613), 1), ((531, 700), 12), ((700, 9), 3), ((40, 300, 33), 3)])
def test_threads_leave_no_trace(shape, objects, threads):
    spacing = SPACINGS[len(shape)][1]
    labels = cells(shape, objects, gap=0.1)[None]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = operator(labels, spacing)
        torch.set_num_threads(1)
        assert torch.equal(result, operator(labels, spacing))
    finally:
        torch.set_num_threads(before)
    assert_near(result, reference.distance_map(labels, spacing))


@pytest.mark.parametrize("hole", [(0, 0), (5, 300), (250, 250), (599, 0)])
@pytest.mark.parametrize("shape", [(600, 640), (600, 301)])
def test_far_from_everything(shape, hole):
    labels = torch.ones(1, *shape, dtype=torch.int32)
    labels[0, hole[0], hole[1]] = -1
    labels[0, :, 290] = torch.arange(shape[0]).remainder(2)
    assert_near(operator(labels, []), reference.distance_map(labels))
    assert_near(operator(labels, [1, 3]), reference.distance_map(labels, [1, 3]))


@pytest.mark.usefixtures("device")
def test_whole_squares_are_exact():
    labels = np.ones((3, 4000), int)
    labels[0, 0] = 0
    squares = (np.indices(labels.shape) ** 2).sum(0).astype(np.float32)
    assert np.array_equal(distance_map(labels), np.sqrt(squares / squares.max()))


@pytest.mark.usefixtures("device")
def test_one_pixel_objects_and_borders():
    assert distance_map(np.array([[3]])).tolist() == [[1]]
    assert distance_map(np.array([[0, 3]])).tolist() == [[0, 1]]
    assert distance_map(np.array([[1, 1, 2, 1, 1, 1]])).tolist() == pytest.approx(np.array([[2, 1, 3, 1, 2, 3]]) / 3)
    assert distance_map(np.array([[-1, 7, 7, 7, 7]])).tolist() == [[0, 0.25, 0.5, 0.75, 1]]


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("label", [-1, 0, 1, 2**30 - 1])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 40), (1, 3, 4, 5)])
def test_nothing_outside(label, shape):
    labels = torch.full(shape, label)
    assert torch.equal(operator(labels.int(), []), torch.full(shape, float(label > 0)))


@pytest.mark.usefixtures("device")
def test_images_of_a_batch_are_apart():
    batch = torch.stack([cells((20, 30), 5, seed) for seed in range(3)])
    assert torch.equal(distance_map(batch), torch.stack([distance_map(image) for image in batch]))


@given(label_maps(largest_side=20), st.integers(0, 2))
def test_flips_turns_and_ids_do_not_matter(labels, choice):
    result = operator(labels, [])
    assert torch.equal(operator(labels.flip(-1), []), result.flip(-1))
    assert torch.equal(operator(labels.rot90(1, (-2, -1)), []), result.rot90(1, (-2, -1)))
    assert torch.equal(operator(labels.movedim(1, -1), []), result.movedim(1, -1))
    assert torch.equal(operator(torch.where(labels > 0, 2**30 - labels, labels), []), result)
    spacing = SPACINGS[labels.ndim - 1][choice]
    assert_near(operator(labels, [3e-9 * length for length in spacing]), operator(labels, spacing))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", [*INTEGER_DTYPES, torch.uint32, torch.uint64], ids=str)
def test_every_dtype(dtype):
    labels = cells((12, 13), 9, gap=0.2)
    assert torch.equal(distance_map(labels.to(dtype)), distance_map(labels))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 5), (2, 4, 0), (0, 0), (1, 3, 0, 4)])
def test_empty(shape):
    result = distance_map(np.zeros(shape, np.int64))
    assert result.shape == shape
    assert result.dtype == np.float32


def test_answers_in_kind():
    labels = cells((6, 8, 9), 4)
    assert np.array_equal(distance_map(labels.numpy()), distance_map(labels))
    volume = distance_map(labels, spacing=(2, 1, 1))  # three lengths make three axes a volume
    assert torch.equal(volume, distance_map(labels[None], spacing=(2, 1, 1))[0])
    assert volume.shape == labels.shape


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("view", [lambda m: m.mT, lambda m: m[..., ::2], lambda m: m.flip(-1)])
def test_any_strides(view):
    labels = cells((20, 21), 9)[None]
    assert torch.equal(operator(view(labels), []), operator(view(labels).contiguous(), []))
    assert np.array_equal(distance_map(view(labels).numpy()), distance_map(view(labels)))


def test_opcheck():
    torch.library.opcheck(operator.default, (cells((6, 7), 4)[None], [1.0, 2.0]))
    torch.library.opcheck(operator.default, (cells((5, 6, 7), 4)[None], []))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_whole(dynamic):
    compiled = torch.compile(operator, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for labels in (cells((8, 9), 4)[None], cells((11, 10), 4)[None]):
        assert torch.equal(compiled(labels, [2.0, 1.0]), operator(labels, [2.0, 1.0]))


class Depths(torch.nn.Module):
    def forward(self, labels):
        return operator(labels, [2.0, 1.0])


def test_exports():
    labels = cells((8, 9), 4)[None]
    shapes = {"labels": {1: torch.export.Dim("h"), 2: torch.export.Dim("w")}}
    exported = torch.export.export(Depths(), (labels,), dynamic_shapes=shapes).module()
    other = cells((17, 13), 4)[None]
    assert torch.equal(exported(other), operator(other, [2.0, 1.0]))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_vmap(axis):
    stack = torch.stack([cells((2, 8, 9), 4, seed) for seed in range(3)])
    expected = torch.stack([operator(labels, [2.0, 1.0]) for labels in stack])
    result = torch.vmap(operator, in_dims=(axis, None))(stack.movedim(0, axis), [2.0, 1.0])
    assert torch.equal(result, expected)


@pytest.mark.parametrize(
    ("labels", "spacing", "error", "message"),
    [
        ([[1]], None, TypeError, "labels must be a torch.Tensor or a numpy.ndarray, got list"),
        (torch.zeros(3, 3), None, TypeError, "labels must have an integer dtype, got torch.float32"),
        (torch.zeros(3, 3, dtype=torch.bool), None, TypeError, "labels must have an integer dtype, got torch.bool"),
        (np.full((3, 3), -2), None, ValueError, "labels must be .* positive, got -2"),
        (np.full((3, 3), 2**30), None, ValueError, "labels goes up to 1073741824"),
        (np.zeros(3, int), None, ValueError, r"labels must be \[H, W\].* got shape \[3\]"),
        (np.zeros((3, 3), int), 2.0, TypeError, "spacing must be one length for each spatial axis, got float"),
        (np.zeros((3, 3), int), (1, 1, 1), ValueError, "spacing must have one length for each of the 2"),
        (np.zeros((3, 3), int), (1, 0), ValueError, "spacing must be above 0, got 0"),
        (np.zeros((3, 3), int), (1, float("nan")), ValueError, "spacing must be finite, got nan"),
    ],
)
def test_bad_input(labels, spacing, error, message):
    with pytest.raises(error, match=message):
        distance_map(labels, spacing)
