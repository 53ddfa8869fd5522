"""Where the host would wait for a GPU: not in training, where counts are given."""

import pytest
import torch
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


def test_the_device_still_checks_labels(inputs):
    embedding, labels, pairs = inputs
    for largest, smallest in ((9, 0), (3, -2)):
        labels[0, 0, :2] = torch.tensor([largest, smallest], dtype=labels.dtype)
        with pytest.raises(RuntimeError, match="labels must be -1 or above, and below num_objects, 9"):
            embedseg_ops.embedding_loss(embedding, labels, pairs, num_objects=9)
