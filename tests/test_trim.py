import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import cells, label_maps

from embedseg_ops import distance_map, reference
from embedseg_ops.ops.trim import trim


def noise(labels, seed=0):
    return torch.rand(labels.shape, generator=torch.Generator().manual_seed(seed))


def definition(image, distances, depth):
    """Pixel by pixel: the normalised distance times the radius of a disc, or a ball, of the object's size."""
    sizes = {k: (image == k).sum().item() for k in image.unique().tolist()}
    volume = image.ndim == 3
    radius = {k: (3 * n / 4 / math.pi) ** (1 / 3) if volume else math.sqrt(n / math.pi) for k, n in sizes.items()}
    pixels = zip(image.flatten().tolist(), distances.flatten().tolist(), strict=True)
    return [k if k <= 0 or d * radius[k] > depth else 0 for k, d in pixels]


@pytest.mark.usefixtures("device")
@given(label_maps(), st.sampled_from([0.3, 0.8, 2.5]))
def test_is_the_definition_and_the_reference(labels, depth):
    distance = noise(labels)
    result = trim(labels.int(), distance, depth)
    assert result.dtype == torch.int32
    assert torch.equal(result, reference.trim(labels.int(), distance, depth))
    assert result.flatten(1).tolist() == [definition(*pair, depth) for pair in zip(labels, distance, strict=True)]


@pytest.mark.usefixtures("device")
def test_half_a_pixel_finds_a_blurred_discs_boundary_again():
    y, x = torch.meshgrid(torch.arange(61) - 30, torch.arange(61) - 30, indexing="ij")
    for size in (4.5, 9.5, 25.5):
        disc = (y**2 + x**2 < size**2).int()[None]
        blurred = distance_map(disc) + 0.3 / size * (y**2 + x**2 < (size + 1) ** 2)
        swollen = (y**2 + x**2 < (size + 2) ** 2).int()[None]
        assert torch.equal(trim(swollen, blurred, 0.5), disc)


@pytest.mark.usefixtures("device")
def test_large_ids_and_nan():
    labels = torch.tensor([[[5, 2**30 - 1, 2**30 - 1, -1, 0]]], dtype=torch.int32)
    distance = torch.tensor([[[1.0, 1.0, torch.nan, 0.0, 1.0]]])
    assert trim(labels, distance, 0.5).tolist() == [[[5, 2**30 - 1, 0, -1, 0]]]


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_leave_no_trace(threads):
    labels = cells((125, 100), 90, gap=0.2).repeat_interleave(4, 0).repeat_interleave(4, 1)[None].int()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(trim(labels, noise(labels), 9), reference.trim(labels, noise(labels), 9))
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_dtype_and_strides(dtype):
    labels = cells((20, 30), 9, gap=0.2)[None].int()
    distance = noise(labels).to(dtype)
    expected = reference.trim(labels, distance, 1.2)
    assert torch.equal(trim(labels, distance, 1.2), expected)
    assert torch.equal(trim(labels.mT, distance.mT, 1.2), expected.mT)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 5), (1, 3, 0, 4)])
def test_empty(shape):
    assert trim(torch.zeros(shape, dtype=torch.int32), torch.zeros(shape), 1.0).shape == shape
