"""Where the host would wait for a GPU: not in training, where counts are given."""

import pytest
import torch
from conftest import NO_BUILD
from devices import OnCudaSources
from samples import cells, embedding_for
from torch.utils._python_dispatch import TorchDispatchMode

import embedseg_ops
from embedseg_ops.ops import arguments


class Waits(TorchDispatchMode):
    """Counts the values that the host asks for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **kwargs or {})


@pytest.fixture
def inputs(monkeypatch):
    """On a device that stands in for a GPU: a look at values would make the host wait."""
    monkeypatch.setattr(arguments, "is_asynchronous", lambda tensor: True)
    labels = cells((20, 30), 8, gap=0.3)[None]
    return embedding_for(labels, 4).requires_grad_(), labels, embedseg_ops.neighbor_pairs(labels)


def test_training_waits_for_nothing_where_counts_are_given(inputs):
    embedding, labels, pairs = inputs
    expected = embedseg_ops.embedding_loss(embedding, labels, pairs)
    with Waits() as waits:
        found = embedseg_ops.embedding_loss(embedding, labels, pairs, num_objects=9)
        found.total.backward()
        embedseg_ops.mean_embedding(embedding, labels, 9)
    assert waits.count == 0
    assert torch.equal(found.total, expected.total)


@NO_BUILD
@pytest.mark.parametrize("dim", [4, 5], ids=["specialised", "any_dim"])
@pytest.mark.parametrize(
    ("dtype", "wrong"),
    [(torch.int32, 9), (torch.int32, -2), (torch.uint8, 255), (torch.int64, 2**40), (torch.uint64, 2**63)],
    ids=str,
)
def test_the_kernels_check_labels(monkeypatch, dtype, wrong, dim):
    monkeypatch.setattr(arguments, "is_asynchronous", lambda tensor: True)
    labels = cells((20, 30), 8, gap=0.3)[None].to(dtype)
    embedding, pairs = embedding_for(labels.int(), dim), torch.zeros(0, 3, dtype=torch.int64)
    calls = (
        lambda n: embedseg_ops.mean_embedding(embedding, labels, n),
        lambda n: embedseg_ops.embedding_loss(embedding, labels, pairs, num_objects=n),
        lambda n: embedseg_ops.embedding_loss(embedding, labels, pairs, num_objects=n, background=False),
    )
    with OnCudaSources():
        for call in calls:
            call(9)
        labels.view(-1)[3] = torch.tensor(wrong, dtype=dtype)
        for call in calls:
            with pytest.raises(RuntimeError, match="labels must be -1 or above, and below num_objects"):
                call(9)
