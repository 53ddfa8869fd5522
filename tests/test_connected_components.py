import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import INTEGER_DTYPES, label_maps

from embedseg_ops import connected_components, reference

operator = torch.ops.embedseg_ops.connected_components
DTYPES = [torch.bool, *INTEGER_DTYPES, torch.uint32, torch.uint64]


def noise(*shape, density=0.5, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random(shape) < density)


def flood(image):
    """The definition: visit the pixels in raster order, and flood from each that has no id yet."""
    ids = np.zeros(image.shape, np.int32)
    pixels = np.argwhere(image)
    for start in pixels:
        if ids[tuple(start)] == 0:
            ids[tuple(start)] = ids.max() + 1
            front = [start]
            while front:
                pixel = front.pop()
                for near in pixels[np.abs(pixels - pixel).max(1) == 1]:
                    if ids[tuple(near)] == 0:
                        ids[tuple(near)] = ids[tuple(start)]
                        front.append(near)
    return ids


@pytest.mark.usefixtures("device")
@given(label_maps(largest_side=7))
def test_is_the_definition(labels):
    mask = labels > 0
    assert np.array_equal(connected_components(mask[None] if mask.ndim == 2 else mask), [*map(flood, mask.numpy())])


@pytest.mark.usefixtures("device")
@given(label_maps(largest_side=40, ignored=False))
def test_is_the_reference(labels):
    assert torch.equal(operator(labels > 1), reference.connected_components(labels > 1))


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("density", [0.1, 0.4, 0.6])
@pytest.mark.parametrize("shape", [(1, 301, 517), (3, 200, 333), (1, 60, 50, 70), (2, 3, 400, 90), (1, 20000, 7)])
def test_threads_leave_no_trace(shape, density, threads):
    mask = noise(*shape, density=density / (2 if len(shape) == 4 else 1))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(operator(mask), reference.connected_components(mask))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("size", [511, 512])
def test_winding_shapes_are_one(size):
    y, x = np.indices((size, size))
    ring = np.maximum(abs(y - size // 2), abs(x - size // 2))
    rings = ring % 2 == 0
    spiral = rings.copy()
    spiral[np.arange(size // 2), np.arange(size // 2)] = True  # a diagonal bridge from ring to ring
    comb = (x % 2 == 0) | (y == size - 1)
    checkers = (x + y) % 2 == 1
    for mask in (rings, spiral, comb, checkers):
        batch = torch.from_numpy(mask)[None]
        assert torch.equal(operator(batch), reference.connected_components(batch))
    assert connected_components(comb).max() == connected_components(checkers).max() == 1


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_means_not_zero(dtype):
    image = noise(12, 13, density=0.4)
    assert torch.equal(connected_components(image.to(torch.uint8).to(dtype)), connected_components(image))


@pytest.mark.usefixtures("device")
def test_negative_and_large_values_are_set():
    assert connected_components(np.array([[-1, 0, 256, 0, 1 << 40]])).tolist() == [[1, 0, 2, 0, 3]]


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 5), (2, 4, 0), (0, 0), (1, 3, 0, 4), (0, 2, 3, 4)])
def test_empty(shape):
    result = connected_components(torch.zeros(shape, dtype=torch.bool))
    assert result.shape == shape
    assert result.dtype == torch.int32


@pytest.mark.parametrize("shape", [(5, 7), (2, 5, 7), (2, 3, 5, 7)])
def test_answers_in_kind(shape):
    mask = noise(*shape)
    ours, numpys = connected_components(mask), connected_components(mask.numpy())
    assert isinstance(ours, torch.Tensor)
    assert isinstance(numpys, np.ndarray)
    assert numpys.dtype == np.int32
    assert np.array_equal(ours, numpys)


def test_one_image_is_a_batch_of_one():
    mask = noise(5, 7)
    assert torch.equal(connected_components(mask), connected_components(mask[None])[0])


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("view", [lambda m: m.mT, lambda m: m[..., ::2], lambda m: m.flip(-1), lambda m: m[:, 1:-1]])
def test_any_strides(view):
    mask = noise(2, 30, 31)
    assert torch.equal(connected_components(view(mask)), connected_components(view(mask).contiguous()))
    assert torch.equal(operator(view(mask)), operator(view(mask).contiguous()))


def test_read_only_and_reversed_arrays():
    image = noise(9, 11).numpy()
    image.setflags(write=False)
    assert np.array_equal(connected_components(image[::-1]), connected_components(image[::-1].copy()))


def turns(axes):
    return [lambda m: m.flip(-1), lambda m: m.flip(-2), lambda m: m.rot90(1, (-2, -1)), lambda m: m.movedim(-1, -axes)]


@pytest.mark.usefixtures("device")
@given(label_maps(largest_side=20), st.integers(0, 3))
def test_flips_and_turns_only_renumber(labels, choice):
    turn = turns(labels.ndim - 1)[choice]
    for mask in (labels > 0).split(1):
        ids = torch.stack([turn(operator(mask)).flatten(), operator(turn(mask)).flatten()], 1).unique(dim=0)
        assert ids.sort(0).values.equal(torch.arange(len(ids), dtype=torch.int32)[:, None].expand(-1, 2) + ids.min())


@pytest.mark.parametrize("shape", [(2, 6, 7), (1, 4, 6, 7), (0, 3, 3)])
def test_opcheck(shape):
    torch.library.opcheck(operator.default, (noise(*shape),))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_whole(dynamic):
    compiled = torch.compile(connected_components, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for shape in [(2, 8, 9), (3, 10, 11)]:
        assert torch.equal(compiled(noise(*shape)), connected_components(noise(*shape)))


class Components(torch.nn.Module):
    def forward(self, mask):
        return connected_components(mask)


def test_exports():
    mask = noise(2, 8, 9)
    shapes = {"mask": {0: torch.export.Dim("b"), 1: torch.export.Dim("h"), 2: torch.export.Dim("w")}}
    exported = torch.export.export(Components(), (mask,), dynamic_shapes=shapes).module()
    assert torch.equal(exported(noise(3, 20, 17)), connected_components(noise(3, 20, 17)))


@pytest.mark.parametrize("shape", [(4, 2, 6, 7), (2, 2, 3, 4, 5), (3, 0, 4, 4)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_vmap(shape, axis):
    masks = noise(*shape)
    expected = torch.stack([operator(mask) for mask in masks])
    assert torch.equal(torch.vmap(operator, in_dims=axis)(masks.movedim(0, axis)), expected)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        ([[True]], TypeError, "mask must be a torch.Tensor or a numpy.ndarray, got list"),
        (torch.zeros(3, 3), TypeError, "mask must be bool or an integer, got torch.float32"),
        (np.zeros((3, 3), np.complex64), TypeError, "mask must be bool or an integer, got torch.complex64"),
        (torch.zeros(3, dtype=torch.bool), ValueError, r"mask must be \[H, W\].* got shape \[3\]"),
        (torch.zeros(1, 1, 1, 1, 1, dtype=torch.bool), ValueError, r"got shape \[1, 1, 1, 1, 1\]"),
        (torch.zeros(1, dtype=torch.bool).expand(1, 1 << 16, 1 << 15), ValueError, "fewer than 2\\*\\*31 pixels"),
    ],
)
def test_bad_masks(mask, error, message):
    with pytest.raises(error, match=message):
        connected_components(mask)
