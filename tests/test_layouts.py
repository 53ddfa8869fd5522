"""Every tensor argument and every incoming gradient may lie in memory as it likes: the values alone count."""

import pytest
import torch
from samples import cells, embedding_for

import embedseg_ops
from embedseg_ops.ops.remove_small import remove_small
from embedseg_ops.ops.trim import trim

MAPS = {
    "2d": cells((11, 13), 5, gap=0.3)[None].repeat(2, 1, 1),
    "3d": cells((5, 7, 6), 4, gap=0.3)[None].repeat(2, 1, 1, 1),
}


def fortran(tensor):
    axes = tuple(reversed(range(tensor.ndim)))
    return tensor.permute(axes).contiguous().permute(axes)


def stepped(tensor):
    wide = torch.zeros((*tensor.shape[:-1], 3 * tensor.shape[-1] + 1), dtype=tensor.dtype)
    wide[..., 1::3] = tensor
    return wide[..., 1::3]


def offset(tensor):
    wide = torch.zeros(tuple(size + 2 for size in tensor.shape), dtype=tensor.dtype)
    view = wide[tuple(slice(1, -1) for _ in tensor.shape)]
    return view.copy_(tensor)


LAYOUTS = {
    "contiguous": torch.Tensor.contiguous,
    "fortran": fortran,
    "permuted": lambda tensor: tensor.transpose(-1, -2).contiguous().transpose(-1, -2),
    "stepped": stepped,
    "offset": offset,
    "expanded": lambda tensor: tensor[:1].expand(tensor.shape),  # the samples' images are equal
    "negative": lambda tensor: tensor.flip(0).flip(0).movedim(0, -1).contiguous().movedim(-1, 0),
}


def inputs(labels):
    embedding = embedding_for(labels[:1], 4, noise=0.3).repeat(2, 1, *[1] * (labels.ndim - 1))
    distance = embedseg_ops.distance_map(labels)
    return {
        "embedding": embedding, "labels": labels, "distance": distance, "background": labels == 0,
        "seeds": torch.where(distance > 0.7, labels, 0), "weights": distance + 0.5,
    }  # fmt: skip


def loss(embedding, labels, weights):
    return embedseg_ops.embedding_loss(embedding, labels, distance=3.0, weights=weights).total


CALLS = {
    "mean_embedding": (lambda e, n: embedseg_ops.mean_embedding(e, n)[0], ("embedding", "labels")),
    "embedding_loss": (loss, ("embedding", "labels", "weights")),
    "neighbor_pairs": (lambda n: embedseg_ops.neighbor_pairs(n, 3.0), ("labels",)),
    "distance_map": (embedseg_ops.distance_map, ("labels",)),
    "connected_components": (lambda d: embedseg_ops.connected_components(d > 0.5), ("distance",)),
    "propagate": (lambda e, s, b: embedseg_ops.propagate(e, s, 0.9, b), ("embedding", "seeds", "background")),
    "remove_small": (lambda n: remove_small(n, 9), ("labels",)),
    "trim": (lambda n, d: trim(n.int(), d, 0.9), ("labels", "distance")),
    "postprocess": (
        lambda e, d: embedseg_ops.postprocess(
            e, d, seed_smoothing=0.8, max_cosine_distance=0.9, background_threshold=0.1, min_depth_pixels=0.4
        ),
        ("embedding", "distance"),
    ),
}


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("labels", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("name", CALLS)
def test_every_argument_in_every_layout(name, labels):
    call, names = CALLS[name]
    values = [inputs(labels)[one] for one in names]
    expected = call(*values)
    for place, value in enumerate(values):
        for layout in LAYOUTS.values():
            laid = layout(value)
            assert torch.equal(laid, value)
            torch.testing.assert_close(call(*values[:place], laid, *values[place + 1 :]), expected, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("labels", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_incoming_gradient_in_every_layout(layout, labels):
    embedding = inputs(labels)["embedding"]

    def gradient(arrange, laid):
        tracked = laid.detach().requires_grad_()
        means, _ = embedseg_ops.mean_embedding(tracked, labels)
        incoming = torch.rand(means.shape[1:], generator=torch.Generator().manual_seed(0)).expand(means.shape)
        return torch.autograd.grad(means, tracked, arrange(incoming.clone()))[0]

    expected = gradient(torch.Tensor.contiguous, embedding)
    torch.testing.assert_close(gradient(LAYOUTS[layout], embedding), expected, rtol=0, atol=1e-6)
    laid = LAYOUTS[layout](embedding)
    torch.testing.assert_close(gradient(torch.Tensor.contiguous, laid), expected, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("device")
def test_a_transposed_gradient_is_the_reference_s():
    embedding = torch.tensor([[1.0, 2.0], [1.0, 2.0]]).view(1, 2, 1, 2).contiguous()
    labels, found = torch.tensor([[[0, 1]]]), []
    for function in (embedseg_ops.mean_embedding, embedseg_ops.reference.mean_embedding):
        tracked = embedding.clone().requires_grad_()
        means = function(tracked, labels)[0]
        (means.mT.contiguous() * torch.tensor([[1.0, 0.3], [0.2, 0.7]])).sum().backward()
        found.append(tracked.grad)
    torch.testing.assert_close(*found)


def test_an_operator_leaves_its_inputs_alone():
    for labels in MAPS.values():
        values = inputs(labels)
        copies = {name: value.clone() for name, value in values.items()}
        for call, names in CALLS.values():
            call(*(values[name] for name in names))
        assert all(torch.equal(value, copies[name]) for name, value in values.items())
