import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import INTEGER_DTYPES, cells, label_maps

from embedseg_ops import reference
from embedseg_ops.ops.remove_small import remove_small

operator = torch.ops.embedseg_ops.remove_small


def definition(image, min_size):
    kept = [k for k in sorted(set(image.flatten().tolist())) if k > 0 and (image == k).sum() >= min_size]
    return [kept.index(k) + 1 if k in kept else min(k, 0) for k in image.flatten().tolist()]


@pytest.mark.usefixtures("device")
@given(label_maps(), st.integers(-1, 12))
def test_is_the_definition_and_the_reference(labels, min_size):
    result = operator(labels, min_size)
    assert torch.equal(result, reference.remove_small(labels, min_size))
    assert result.flatten(1).tolist() == [definition(image, min_size) for image in labels]


@pytest.mark.usefixtures("device")
def test_gaps_and_large_ids_cost_nothing():
    labels = torch.tensor([[5, 5, -1, 2**30 - 1, 2**30 - 1, 0, 7]])
    assert remove_small(labels, 2).tolist() == [[1, 1, -1, 2, 2, 0, 0]]
    assert remove_small(labels, 1).tolist() == [[1, 1, -1, 3, 3, 0, 2]]
    assert remove_small(labels, 2**40).tolist() == [[0, 0, -1, 0, 0, 0, 0]]


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_leave_no_trace(threads):
    labels = cells((125, 100), 90, gap=0.2).repeat_interleave(4, 0).repeat_interleave(4, 1)[None]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(operator(labels, 1800), reference.remove_small(labels, 1800))
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", [*INTEGER_DTYPES, torch.uint32, torch.uint64], ids=str)
def test_every_dtype(dtype):
    labels = cells((12, 13), 9, gap=0.2)
    assert torch.equal(remove_small(labels.to(dtype), 15), remove_small(labels, 15))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 5), (0, 0), (1, 3, 0, 4)])
def test_empty(shape):
    assert remove_small(torch.zeros(shape, dtype=torch.int32), 3).shape == shape


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("view", [lambda m: m.mT, lambda m: m[..., ::2], lambda m: m.flip(-1)])
def test_any_strides(view):
    labels = cells((20, 21), 9)[None]
    assert torch.equal(operator(view(labels), 9), operator(view(labels).contiguous(), 9))
    assert np.array_equal(remove_small(view(labels).numpy(), 9), remove_small(view(labels), 9))


def test_opcheck_compile_and_vmap():
    labels = cells((8, 9), 5)[None]
    torch.library.opcheck(operator.default, (labels, 3))
    for dynamic in (False, True):
        compiled = torch.compile(operator, fullgraph=True, dynamic=dynamic, backend="aot_eager")
        assert torch.equal(compiled(labels, 12), operator(labels, 12))
    stack = torch.stack([labels, labels.flip(-1)], 2)
    expected = torch.stack([operator(labels, 12), operator(labels.flip(-1), 12)])
    assert torch.equal(torch.vmap(operator, in_dims=(2, None))(stack, 12), expected)


@pytest.mark.parametrize(
    ("labels", "min_size", "error", "message"),
    [
        (torch.zeros(3, 3), 1, TypeError, "labels must have an integer dtype, got torch.float32"),
        (np.full((3, 3), -2), 1, ValueError, "labels must be .* positive, got -2"),
        (np.zeros(3, int), 1, ValueError, r"labels must be \[H, W\].* got shape \[3\]"),
        (np.zeros((3, 3), int), 1.5, TypeError, "min_size must be an integer, got float"),
    ],
)
def test_bad_input(labels, min_size, error, message):
    with pytest.raises(error, match=message):
        remove_small(labels, min_size)
