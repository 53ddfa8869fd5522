"""nvcc's own PTX of every kernel, run without a GPU by tests/ptx: the same results as the CPU's, and what they cost."""

import numpy as np
import pytest
import torch
from benchmarks.scene import crowded_cells
from conftest import NO_BUILD
from ptx.cost import busiest, issue_slots, measure
from ptx.machine import WARP, Machine
from ptx.memory import Fault, Memory
from ptx.operators import CAN_COMPILE, OnPtx, compile_file
from ptx.program import read_kernels
from samples import cells, embedding_for
from test_cuda_sources import compute, seeds_of

import embedseg_ops
from embedseg_ops.ops import arguments
from embedseg_ops.ops.smoothing import gaussian
from embedseg_ops.ops.trim import trim

pytestmark = [NO_BUILD, pytest.mark.skipif(not CAN_COMPILE, reason="nvcc is needed")]

CELLS = torch.stack([cells((12, 32), 5, seed, gap=0.3) for seed in (0, 1)])
RAGGED = cells((11, 19), 5, gap=0.3)[None]
VOLUME = cells((4, 6, 8), 4, gap=0.3)[None]


@pytest.mark.parametrize(
    ("labels", "options", "order"),
    [
        (CELLS, {}, None),  # packs of pixels are loaded at once
        (RAGGED, {"dim": 8}, None),
        (RAGGED, {"dim": 4, "dtype": torch.float16}, None),
        (VOLUME, {"layout": "channels_last"}, None),
        (RAGGED, {"dim": 4}, 1),
        (VOLUME, {"layout": "sliced", "dim": 3}, 2),  # any number of channels
    ],
    ids=["2d", "ragged", "half", "3d", "2d_shuffled", "3d_any_dim_shuffled"],
)
def test_compiled_kernels_equal_the_cpu(labels, options, order):
    close, same = compute(labels, **options)
    with OnPtx(order):
        found_close, found_same = compute(labels, **options)
    for found, expected in zip(found_close, close, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    for found, expected in zip(found_same, same, strict=True):
        torch.testing.assert_close(found, expected, atol=0, rtol=3e-7)


@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
def test_what_postprocessing_has_besides(labels):
    distance = embedseg_ops.distance_map(labels)
    expected = trim(labels, distance, 1.5), gaussian(distance, 0.8), gaussian(distance.double(), 0.8)
    with OnPtx(3):
        found = trim(labels, distance, 1.5), gaussian(distance, 0.8), gaussian(distance.double(), 0.8)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_growth_from_tile_to_tile():
    labels = cells((16, 70), 4, gap=0.1)[None]
    seeds, embedding = seeds_of(labels, 0.01), embedding_for(labels, 3, noise=0.5)
    expected = embedseg_ops.propagate(embedding, seeds, 0.9)
    with OnPtx(1):
        assert torch.equal(embedseg_ops.propagate(embedding, seeds, 0.9), expected)


def test_growth_moves_few_bytes_and_seldom_waits():
    """Counted with the sums of the seeds' directions."""
    scene = crowded_cells(128, 7)
    seeds = embedseg_ops.connected_components(scene.distance > 0.7)
    grow = torch.ops.embedseg_ops.propagate
    cost = measure(lambda: grow(scene.embedding, seeds, 0.3, None, int(seeds.max())), seeds.numel())
    assert cost.counts.read_once + cost.counts.written_once < 75 * cost.pixels
    assert issue_slots(cost.counts) * WARP < 2600 * cost.pixels
    assert busiest(cost.counts) < 0.001 * cost.pixels
    assert cost.counts.grid_barriers <= 4


STRIP = cells((16, 512), 16, gap=0.3)[None]


EMBEDDING = embedding_for(STRIP, 16)
ROWS = torch.rand(1, 17, 16)


@pytest.mark.parametrize(
    ("run", "instructions", "moved", "launches"),
    [
        (lambda: torch.ops.embedseg_ops.direction_sums(EMBEDDING, STRIP, 17, 0), 250, 72, 2),
        (lambda: torch.ops.embedseg_ops.direction_gradient(EMBEDDING, STRIP, ROWS, None, None), 300, 135, 1),
        (lambda: torch.ops.embedseg_ops.connected_components(STRIP % 2 == 1), 60, 12, 7),
        (lambda: gaussian(EMBEDDING[:, 0], 1.0), 700, 20, 3),  # one kernel an axis, and one for the weights
    ],
    ids=["sums", "gradient", "components", "smoothing"],
)
def test_what_a_pixel_takes_stays_below_a_limit(run, instructions, moved, launches):
    """Counted, and so the same everywhere. On a strip, what is done once weighs more than on a large image."""
    cost = measure(run, STRIP.numel())
    counts = cost.counts
    assert issue_slots(counts) * WARP / cost.pixels < instructions
    assert (counts.read_once + counts.written_once) / cost.pixels < moved
    assert counts.launches <= launches
    assert counts.written < 1.5 * counts.written_once  # whole sectors, at once


@pytest.fixture
def training(monkeypatch):
    """What a training step needs, where a look at values would make the host wait."""
    monkeypatch.setattr(arguments, "is_asynchronous", lambda tensor: True)
    return embedding_for(CELLS, 4).requires_grad_(), CELLS.clone(), embedseg_ops.neighbor_pairs(CELLS)


def test_the_loss_takes_four_small_kernels_and_no_wait(training):
    """Beside the sums and the gradient: what a CUDA graph can capture."""
    embedding, labels, pairs = training
    slope = torch.ones(())

    def step():
        loss = embedseg_ops.embedding_loss(embedding, labels, pairs, num_objects=6).total
        torch.autograd.grad(loss, embedding, slope)

    cost = measure(step, labels.numel())
    assert (cost.counts.launches, cost.kernels, cost.waits) == (2 + 4, 0, 0)


def test_labels_out_of_range_end_in_an_assertion(training):
    embedding, labels, pairs = training
    labels[0, 0, 0] = 6
    with OnPtx(), pytest.raises(Fault, match="the kernel gave up: call"):
        embedseg_ops.embedding_loss(embedding, labels, pairs, num_objects=6)


def sum_up(mistake: int, order: int | None) -> np.ndarray:
    [kernel] = read_kernels(compile_file("tests/ptx/planted.cu"))
    memory, numbers, results = Memory(), np.arange(512, dtype=np.int32), np.zeros(2, np.int32)
    addresses = [array.__array_interface__["data"][0] for array in (numbers, results)]
    memory.add(addresses[0], numbers.nbytes, True)
    memory.add(addresses[1], results.nbytes, False)
    arguments = [*(address.to_bytes(8, "little") for address in addresses), mistake.to_bytes(4, "little")]
    Machine(memory, order).launch(kernel, 2, 256, 0, False, arguments)
    return results


RIGHT = [sum(range(256)), sum(range(256, 512))]


def test_the_machine_finds_planted_mistakes():
    none, barrier, divergence, outside, misaligned, unwritten, lanes = range(7)
    for order in (None, 0, 1):
        assert sum_up(none, order).tolist() == RIGHT
        for mistake, message in (
            (divergence, "before a barrier|is stuck"),
            (outside, "outside of all memory, 0 bytes behind global memory of 8 bytes"),
            (misaligned, "a misaligned access of 4 bytes"),
            (unwritten, "a read of what nobody has written: shared memory"),
            (lanes, "a collective names a lane that has ended|is stuck"),
        ):
            with pytest.raises(Fault, match=message):
                sum_up(mistake, order)
    assert any(goes_wrong(barrier, order) for order in range(16))


def goes_wrong(mistake: int, order: int) -> bool:
    try:
        return sum_up(mistake, order).tolist() != RIGHT
    except Fault as fault:  # a sum may be read before it is there
        return "nobody has written" in str(fault)
