"""The operators themselves, called past the functions in Python: a tensor that a kernel would misread is refused."""

import pytest
import torch

OPS = torch.ops.embedseg_ops
EMBEDDING = torch.ones(1, 4, 6, 8)
LABELS = torch.ones(1, 6, 8, dtype=torch.int32)
PAIRS = torch.zeros(0, 3, dtype=torch.int64)
TABLE = torch.ones(1, 2, 4)
TABLES = torch.ones(3, 1, 2, 4)
WEIGHTS = torch.ones(1, 6, 8)
MASK = torch.ones(1, 6, 8, dtype=torch.bool)


def loss(embedding=EMBEDDING, labels=LABELS, pairs=PAIRS, weights=WEIGHTS):
    return OPS.embedding_loss(embedding, labels, pairs, weights, False, True, 2)


def gradient(labels=LABELS, gradients=TABLE, weights=WEIGHTS, weighted_gradients=TABLE):
    return OPS.direction_gradient(EMBEDDING, labels, gradients, weights, weighted_gradients)


def loss_gradient(labels=LABELS, tables=TABLES, weights=WEIGHTS):
    return OPS.loss_gradient(EMBEDDING, labels, tables, weights, torch.ones(()), None, torch.ones(()))


def propagate(seeds=LABELS, background=MASK):
    return OPS.propagate(EMBEDDING, seeds, 0.5, background)


# The call, the argument that is wrong, and a good one.
FLAT = [
    (lambda x: OPS.mean_embedding(EMBEDDING, x, 2), "labels", LABELS),
    (lambda x: loss(labels=x), "labels", LABELS),
    (lambda x: loss(weights=x), "weights", WEIGHTS),
    (lambda x: gradient(labels=x), "labels", LABELS),
    (lambda x: gradient(gradients=x), "gradients", TABLE),
    (lambda x: gradient(weights=x), "weights", WEIGHTS),
    (lambda x: gradient(weighted_gradients=x), "weighted_gradients", TABLE),
    (lambda x: loss_gradient(labels=x), "labels", LABELS),
    (lambda x: loss_gradient(tables=x), "tables", TABLES),
    (lambda x: loss_gradient(weights=x), "weights", WEIGHTS),
    (lambda x: propagate(seeds=x), "seeds", LABELS),
    (lambda x: propagate(background=x), "background", MASK),
]
MAPS = [
    (lambda x: OPS.neighbor_pairs(x, 2.0, True, []), "labels", LABELS),
    (lambda x: OPS.distance_map(x, []), "labels", LABELS),
    (OPS.connected_components, "mask", MASK),
    (lambda x: OPS.remove_small(x, 2), "labels", LABELS),
    (lambda x: OPS.trim(x, WEIGHTS, 1.0), "labels", LABELS),
    (lambda x: OPS.trim(LABELS, x, 1.0), "distance", WEIGHTS),
]


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(("call", "name", "good"), FLAT)
def test_what_a_kernel_reads_flat_is_checked(call, name, good):
    call(good)
    strided = good.transpose(-1, -2).contiguous().transpose(-1, -2)
    for wrong in (strided, good[..., :-1].contiguous(), good[0], good.to(torch.complex64)):
        with pytest.raises(RuntimeError, match=f"{name}: |labels must have an integer dtype"):
            call(wrong)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(("call", "name", "good"), MAPS)
def test_maps_may_have_any_strides_and_nothing_else(call, name, good):
    strided = good.transpose(-1, -2).contiguous().transpose(-1, -2)
    assert torch.equal(call(strided), call(good))
    for wrong in (good[0], good.to(torch.complex64)):
        with pytest.raises(RuntimeError, match=f"{name}: "):
            call(wrong)


@pytest.mark.usefixtures("device")
def test_pairs_are_triples_of_int64():
    for wrong in (PAIRS.int(), torch.zeros(2, 2, dtype=torch.int64), torch.zeros(3, 4, dtype=torch.int64).T[:3]):
        with pytest.raises(RuntimeError, match="pairs: "):
            loss(pairs=wrong)


def test_pairs_name_images_that_are_there():
    for image in (-1, 1):
        with pytest.raises(RuntimeError, match="pairs: names an image"):
            loss(pairs=torch.tensor([[image, 0, 1]]))


@pytest.mark.usefixtures("device")
def test_an_embedding_has_two_or_three_spatial_axes():
    for shape in ((1, 4, 6), (1, 4, 2, 3, 4, 5)):
        with pytest.raises(RuntimeError, match="embedding: "):
            OPS.mean_embedding(torch.ones(shape), LABELS, 2)
