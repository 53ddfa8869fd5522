"""The CUDA kernels' sources, run on the CPU: what the operators' own tests, which run on them too, do not ask."""

import contextlib
import ctypes
import subprocess

import pytest
import torch
from conftest import NO_BUILD
from devices import OnCudaSources, build
from samples import cells, embedding_for, in_layout

import embedseg_ops
from embedseg_ops.ops.remove_small import remove_small

pytestmark = NO_BUILD

# Sides that 8 divides: packs of pixels are loaded at once. Ragged sides, the operators' own tests have.
CELLS = torch.stack([cells((40, 56), 12, seed, gap=0.3) for seed in (0, 1)])
VOLUME = cells((8, 16, 24), 8, gap=0.3)[None]


@pytest.fixture
def simulator():
    """The library's switches, put back in the end."""
    library = ctypes.CDLL(str(build("cuda_on_cpu")))
    yield library
    library.simulate_in_order(ctypes.c_uint64(0))
    library.simulate_barriers(True)


def seeds_of(labels, share=0.1):
    return torch.where(torch.rand(labels.shape, generator=torch.Generator().manual_seed(0)) < share, labels, 0)


def compute(labels, dim=16, dtype=torch.float32, layout="contiguous"):
    """Every operator's results."""
    embedding = in_layout(embedding_for(labels, dim, dtype=dtype, noise=0.5), layout).requires_grad_()
    weights = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1))
    losses = [embedseg_ops.embedding_loss(embedding, labels, weights=own).total for own in ("balanced", weights)]
    gradients = [torch.autograd.grad(loss, embedding)[0] for loss in losses]
    means, counts = embedseg_ops.mean_embedding(embedding, labels)
    depth = embedseg_ops.distance_map(labels)
    grown = [
        embedseg_ops.propagate(embedding.detach(), seeds_of(labels), *options)
        for options in ((0.3,), (0.9, seeds_of((labels == 0).int(), 0.3).bool()))
    ]
    others = (embedseg_ops.connected_components(depth > 0.6), remove_small(labels, 90))
    return [*losses, *gradients, means], [counts, depth, *grown, embedseg_ops.neighbor_pairs(labels), *others]


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("dim", "labels"), [(4, CELLS), (8, VOLUME), (16, CELLS), (32, VOLUME)], ids=["4-2d", "8-3d", "16-2d", "32-3d"]
)
def test_specialised_kernels_agree_with_the_cpus(labels, layout, dtype, dim):
    close, same = compute(labels, dim, dtype, layout)
    with OnCudaSources():
        found_close, found_same = compute(labels, dim, dtype, layout)
    rounding = max(1e-6, 2 * torch.finfo(dtype).eps)
    for found, expected in zip(found_close, close, strict=True):
        torch.testing.assert_close(found, expected.detach(), atol=1e-6, rtol=rounding)
    for found, expected in zip(found_same, same, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
def test_the_order_of_blocks_and_threads_changes_no_bit(labels, simulator):
    results = []
    for seed in range(4):
        simulator.simulate_in_order(ctypes.c_uint64(seed))
        with OnCudaSources():
            results.append(compute(labels, 8))
    for one in results[1:]:
        for found, expected in zip(one[0] + one[1], results[0][0] + results[0][1], strict=True):
            assert torch.equal(found, expected)


# Wider, higher and deeper than the tiles that growth works on, and seeds so few that it takes many rounds.
TILED = [torch.stack([cells((70, 133), 5, seed, gap=0.1) for seed in (0, 1)]), cells((7, 30, 60), 5, gap=0.1)[None]]


@pytest.mark.parametrize("labels", TILED, ids=["2d", "3d"])
@pytest.mark.parametrize("order", range(2))
def test_growth_crosses_the_edges_of_tiles_at_the_right_level(labels, order, simulator):
    seeds = torch.where(torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) < 0.05, -1, 0)
    seeds = torch.where(seeds == 0, seeds_of(labels, 0.002), seeds)
    embedding = embedding_for(labels, 4, noise=0.5)
    means = embedding_for(torch.arange(6)[None, None].expand(len(labels), 1, 6), 4, noise=0.0)[:, :, 0].mT
    simulator.simulate_in_order(ctypes.c_uint64(order))
    for options in ({}, *({"means": means.contiguous(), "max_levels": levels} for levels in (1, 2, 7, 8, 9, 17, 40))):
        expected = embedseg_ops.propagate(embedding, seeds, 1.0, **options)
        with OnCudaSources():
            found = embedseg_ops.propagate(embedding, seeds, 1.0, **options)
        for one, other in zip(found, expected, strict=True) if options else [(found, expected)]:
            assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["mean_embedding", "remove_small", "embedding_loss"])
def test_without_barriers_the_kernels_go_wrong(name, simulator):
    """That they go right is worth something only if the simulator would show a barrier missing."""
    labels = cells((60, 70), 90)[None]
    run = {
        "mean_embedding": lambda: embedseg_ops.mean_embedding(embedding_for(labels, 4), labels)[0],
        "remove_small": lambda: remove_small(labels, 2),
        "embedding_loss": lambda: embedseg_ops.embedding_loss(embedding_for(labels, 4), labels, distance=3.0).total,
    }[name]
    expected = run()
    simulator.simulate_barriers(False)
    with OnCudaSources(), contextlib.suppress(RuntimeError):
        for seed in range(4):
            simulator.simulate_in_order(ctypes.c_uint64(seed))
            if not torch.allclose(run().double(), expected.double(), atol=1e-5, rtol=0):
                return
        pytest.fail("no order showed that barriers are missing")


def test_many_objects_do_without_a_table_in_shared_memory():
    labels = torch.randperm(40 * 44, generator=torch.Generator().manual_seed(0)).reshape(1, 40, 44) * 3
    for dim in (4, 5):
        embedding = embedding_for(torch.zeros_like(labels), dim)
        expected = embedseg_ops.mean_embedding(embedding, labels)
        with OnCudaSources():
            found = embedseg_ops.mean_embedding(embedding, labels)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_distances_over_a_long_way():
    labels = torch.ones(1, 150, 97, dtype=torch.int32)
    labels[0, 3, 5], labels[0, :, 60], labels[0, 140, :] = -1, 2, 0
    with OnCudaSources():
        found = [embedseg_ops.distance_map(labels), torch.ops.embedseg_ops.distance_map(labels, [1.0, 3.0])]
    expected = [embedseg_ops.distance_map(labels), torch.ops.embedseg_ops.distance_map(labels, [1.0, 3.0])]
    torch.testing.assert_close(found, expected, rtol=3e-7, atol=0)


def planted(mistake, seed=0):
    result = subprocess.run([build("planted"), mistake, str(seed)], capture_output=True, text=True)
    return result.stdout + result.stderr


def test_the_simulator_finds_planted_mistakes():
    assert all("right" in planted("none", seed) for seed in range(8))
    assert all("wrong" in planted("barrier", seed) for seed in range(8))
    assert "a thread ended before a barrier" in planted("divergence")
    assert "a write beyond the block's shared memory" in planted("shared")
    assert "heap-buffer-overflow" in planted("global")
