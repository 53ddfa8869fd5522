"""torch.vmap is a loop whatever is mapped, and what cannot be differentiated says so."""

import itertools

import pytest
import torch
from samples import cells, embedding_for
from torch.func import jacfwd, jvp, vmap

import embedseg_ops
from embedseg_ops.ops.remove_small import remove_small
from embedseg_ops.ops.trim import trim

LABELS = torch.stack([cells((9, 8), 4, seed, gap=0.3) for seed in range(3)]).unsqueeze(1)  # three batches of one
EMBEDDINGS = torch.stack([embedding_for(one, 3, noise=0.4) for one in LABELS])
WEIGHTS = torch.rand(LABELS.shape, generator=torch.Generator().manual_seed(0)) + 0.5
SEEDS = torch.where(WEIGHTS > 1.2, LABELS, 0)
PAIRS = torch.stack([embedseg_ops.neighbor_pairs(one, 100.0)[:6] for one in LABELS])


def loss(embedding, labels, pairs, weights):
    return embedseg_ops.embedding_loss(embedding, labels, pairs, weights=weights, num_objects=5).total


FUNCTIONS = {
    "mean_embedding": (lambda e, n: embedseg_ops.mean_embedding(e, n, 5)[0], EMBEDDINGS, LABELS),
    "counts": (lambda e, n: embedseg_ops.mean_embedding(e, n, 5)[1], EMBEDDINGS, LABELS),
    "embedding_loss": (
        loss, EMBEDDINGS, LABELS, PAIRS, WEIGHTS,
    ),
    "distance_map": (embedseg_ops.distance_map, LABELS),
    "connected_components": (lambda n: embedseg_ops.connected_components(n > 1), LABELS),
    "propagate": (lambda e, s, b: embedseg_ops.propagate(e, s, 0.9, b), EMBEDDINGS, SEEDS, LABELS == 0),
    "remove_small": (lambda n: remove_small(n, 9), LABELS),
    "trim": (lambda n, w: trim(n.int(), w, 0.9), LABELS, WEIGHTS),
    "postprocess": (
        lambda e, w: embedseg_ops.postprocess(e, w, background_threshold=0.6, min_depth_pixels=0.3),
        EMBEDDINGS, WEIGHTS,
    ),
}  # fmt: skip


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_arguments_mapped_in_any_axis(name):
    function, *values = FUNCTIONS[name]
    for mapped in itertools.product([False, True], repeat=len(values)):
        if not any(mapped):
            continue
        for axis in (0, -1):
            moved = [value.movedim(0, axis) if one else value[0] for value, one in zip(values, mapped, strict=True)]
            found = vmap(function, tuple(axis if one else None for one in mapped))(*moved)
            loop = [function(*(v[i] if one else v[0] for v, one in zip(values, mapped, strict=True))) for i in range(3)]
            torch.testing.assert_close(found, torch.stack(loop), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("name", ["mean_embedding", "embedding_loss", "propagate"])
def test_nested_with_a_different_argument_at_each_level(name):
    function, first, *others = FUNCTIONS[name]
    inner = vmap(function, (0, *[None] * len(others)))
    found = vmap(inner, (None, *[0] * len(others)))(first, *others)
    loop = [[function(e, *(other[j] for other in others)) for e in first] for j in range(3)]
    torch.testing.assert_close(found, torch.stack([torch.stack(row) for row in loop]), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "shared"])
def test_gradients_of_a_mapped_call_are_those_of_a_loop(mapped):
    found = []
    for looped in (False, True):
        embeddings, labels, pairs, weights = EMBEDDINGS.clone().requires_grad_(), LABELS, PAIRS, WEIGHTS
        others = (labels, pairs, weights) if mapped else (labels[0], pairs[0], weights[0])
        if looped:
            rest = zip(*others, strict=True) if mapped else [others] * 3
            losses = torch.stack([loss(e, *other) for e, other in zip(embeddings, rest, strict=True)])
        else:
            losses = vmap(loss, (0, *[0 if mapped else None] * 3))(embeddings, *others)
        (losses * torch.tensor([1.0, -2.0, 3.0])).sum().backward()
        found.append(embeddings.grad)
    torch.testing.assert_close(*found, rtol=0, atol=1e-6)


def test_shared_labels_are_counted_for_every_slice():
    ones = torch.ones(1, 2, 2, dtype=torch.int64)
    counts = vmap(lambda e: embedseg_ops.mean_embedding(e, ones, 2)[1])(torch.rand(4, 1, 3, 2, 2))
    assert counts.tolist() == [[[0, 4]]] * 4


def test_a_number_of_objects_that_depends_on_the_slice_is_asked_for():
    with pytest.raises(ValueError, match="num_objects must be given inside"):
        vmap(lambda e, n: embedseg_ops.mean_embedding(e, n)[0])(EMBEDDINGS, LABELS)


FORWARD = {
    "mean_embedding": lambda e: embedseg_ops.mean_embedding(e, LABELS[0])[0],
    "embedding_loss": lambda e: embedseg_ops.embedding_loss(e, LABELS[0]).total,
}


@pytest.mark.parametrize("name", FORWARD)
def test_forward_mode_says_that_it_is_not_there(name):
    function, embedding = FORWARD[name], EMBEDDINGS[0]
    with pytest.raises(RuntimeError, match="forward"):
        jvp(function, (embedding,), (embedding,))
    with pytest.raises(RuntimeError, match="forward"):
        jacfwd(function)(embedding)
    with torch.autograd.forward_ad.dual_level(), pytest.raises(RuntimeError, match="forward"):
        function(torch.autograd.forward_ad.make_dual(embedding, embedding))
