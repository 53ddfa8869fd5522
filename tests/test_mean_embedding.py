import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import FLOAT_DTYPES, INTEGER_DTYPES, LAYOUTS, cells, embedding_for, in_layout, label_maps

from embedseg_ops import mean_embedding, reference

CELLS = torch.stack([cells((37, 41), 12, seed, gap=0.3) for seed in (0, 1)])
VOLUME = cells((9, 14, 19), 8, gap=0.3)[None]


def brute_force(embedding, labels, objects):
    """One object and one image at a time, in float64."""
    means = torch.zeros(len(labels), objects, embedding.shape[1], dtype=torch.float64)
    for b in range(len(labels)):
        for k in range(objects):
            vectors = embedding[b].double()[:, labels[b] == k]
            lengths = vectors.norm(dim=0)
            total = (vectors[:, lengths > 0] / lengths[lengths > 0]).sum(1)
            means[b, k] = total / total.norm() if total.norm() > 0 else 0
    return means


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
@pytest.mark.parametrize("dim", [1, 2, 4, 5, 8, 16, 19, 32, 40])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_equals_brute_force(labels, dim, layout):
    embedding = in_layout(embedding_for(labels, dim), layout)
    means, counts = mean_embedding(embedding, labels)
    expected = brute_force(embedding, labels, means.shape[1])
    torch.testing.assert_close(means.double(), expected, atol=2e-6, rtol=0)
    assert torch.equal(
        counts, torch.stack([torch.bincount(image.flatten(), minlength=13) for image in labels])[:, : means.shape[1]]
    )


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
@pytest.mark.parametrize("dim", [3, 16])
def test_every_float_dtype(dtype, dim):
    embedding = embedding_for(CELLS, dim, dtype=dtype)
    means, _ = mean_embedding(embedding, CELLS)
    assert means.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(means.double(), brute_force(embedding, CELLS, 13), atol=tolerance, rtol=0)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", [*INTEGER_DTYPES, torch.uint32, torch.uint64])
def test_every_label_dtype(dtype):
    embedding = embedding_for(CELLS, 8)
    for one, other in zip(mean_embedding(embedding, CELLS.to(dtype)), mean_embedding(embedding, CELLS), strict=True):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("device")
@given(label_maps(), st.integers(1, 18))
def test_equals_reference_on_any_labels(labels, dim):
    embedding = embedding_for(labels, dim, dtype=torch.float64)
    means, counts = mean_embedding(embedding, labels)
    expected_means, expected_counts = reference.mean_embedding(embedding, labels)
    torch.testing.assert_close(means, expected_means, atol=1e-9, rtol=0)
    assert torch.equal(counts, expected_counts)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_odd_vectors_have_the_direction_that_they_have(layout):
    """Huge and tiny vectors count as others do; zero and non-finite ones have no direction."""
    vectors = torch.tensor([[3e38, 3e38], [1e-38, 0], [1e-42, 1e-42], [0, 0], [torch.nan, 1], [torch.inf, 1]])
    embedding = in_layout(vectors.T.reshape(1, 2, 1, 6).repeat(1, 1, 5, 4), layout)
    labels = torch.arange(6).repeat(5, 4)[None]
    means, counts = mean_embedding(embedding, labels)
    half = 0.5**0.5
    expected = torch.tensor([[half, half], [1, 0], [half, half], [0, 0], [0, 0], [0, 0]])
    torch.testing.assert_close(means[0], expected, atol=1e-6, rtol=0)
    assert counts.tolist() == [[20] * 6]


def test_many_objects_give_the_same_sums():
    """More objects than a thread keeps: every pixel its own, beside one label over all."""
    embedding = embedding_for(torch.zeros(1, 130, 127), 16)
    labels = torch.randperm(130 * 127, generator=torch.Generator().manual_seed(0)).reshape(1, 130, 127)
    means, _ = mean_embedding(embedding, labels)
    directions = embedding / embedding.norm(dim=1, keepdim=True)
    torch.testing.assert_close(means[0, labels[0]].movedim(-1, 0), directions[0], atol=1e-6, rtol=0)


def test_long_runs_stay_exact():
    """1 − ‖S‖/M of a converged object is 0 to within 1e-6, over a run longer than a block of sums."""
    embedding = torch.full((1, 16, 64, 4096), 0.3)
    _, counts, lengths = torch.ops.embedseg_ops.mean_embedding(
        embedding, torch.zeros(1, 64, 4096, dtype=torch.int32), 1
    )
    assert abs(1 - lengths.item() / counts.item()) < 1e-6


def test_the_number_of_threads_changes_no_bit():
    labels = cells((300, 310), 40, gap=0.3)[None]
    embedding = embedding_for(labels, 16)
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append(mean_embedding(embedding, labels)[0])
    torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.usefixtures("device")
def test_layouts_agree_to_the_bit():
    embedding = embedding_for(CELLS, 16)
    results = [mean_embedding(in_layout(embedding, layout), CELLS)[0] for layout in LAYOUTS]
    assert all(torch.equal(results[0], result) for result in results)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("shape", [(0, 4, 5, 5), (2, 4, 0, 5), (1, 4, 3, 0), (1, 4, 0, 2, 2)])
def test_empty_images(shape):
    means, counts = mean_embedding(torch.ones(shape), torch.ones(shape[:1] + shape[2:], dtype=torch.int64))
    assert means.shape == (shape[0], 0, 4)
    assert counts.shape == (shape[0], 0)


@pytest.mark.usefixtures("device")
def test_ignored_pixels_and_more_rows_than_labels():
    means, counts = mean_embedding(torch.ones(1, 2, 2, 2), torch.tensor([[[-1, -1], [1, -1]]]), num_objects=4)
    assert counts.tolist() == [[0, 1, 0, 0]]
    assert means[0, [0, 2, 3]].abs().max() == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dim", [3, 4])
def test_gradient(layout, dim):
    labels = cells((5, 6), 3, gap=0.2)[None]
    labels[0, 0, 0] = -1
    embedding = in_layout(embedding_for(labels, dim, dtype=torch.float64), layout).requires_grad_()
    assert torch.autograd.gradcheck(lambda vectors: mean_embedding(vectors, labels)[0], embedding)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dim", [3, 16])
def test_gradient_is_rounded_once(dtype, layout, dim):
    embedding = embedding_for(CELLS, dim, dtype=dtype)
    random = torch.Generator().manual_seed(0)
    scales = torch.cat([torch.tensor([torch.inf, torch.nan]), torch.logspace(-40, 35, 11)])
    upstream = torch.randn(2, 13, dim, generator=random) * scales[:, None]
    gradients = []
    for vectors in (in_layout(embedding, layout), embedding.float()):
        vectors.requires_grad_()
        gradients += torch.autograd.grad(mean_embedding(vectors, CELLS)[0], vectors, upstream)
    torch.testing.assert_close(gradients[0], gradients[1].to(dtype), atol=0, rtol=0, equal_nan=True)


def test_twice_is_refused():
    embedding = embedding_for(CELLS, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(mean_embedding(embedding, CELLS)[0].square().sum(), embedding, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated once, not twice"):
        gradient.sum().backward()


def bad_inputs():
    embedding, labels = torch.ones(1, 2, 3, 4), torch.ones(1, 3, 4, dtype=torch.int64)
    yield TypeError, "embedding must be a torch.Tensor, got list", ([[1.0]], labels)
    yield (
        TypeError,
        "embedding must be float16, bfloat16, float32 or float64, got torch.int64",
        (embedding.long(), labels),
    )
    yield ValueError, r"embedding must be \[B, D, H, W\]", (embedding[0], labels)
    yield ValueError, "embedding must have at least one channel", (embedding[:, :0], labels)
    yield TypeError, "labels must be a torch.Tensor", (embedding, labels.numpy())
    yield TypeError, "labels must have an integer dtype, got torch.float32", (embedding, labels.float())
    yield TypeError, "labels must have an integer dtype, got torch.bool", (embedding, labels.bool())
    yield (
        ValueError,
        r"labels must be \[1, 3, 4\] for an embedding of shape \[1, 2, 3, 4\], got \[3, 4\]",
        (embedding, labels[0]),
    )
    yield ValueError, "labels must be -1 .* got -2", (embedding, labels - 3)
    yield ValueError, "num_objects must be above the largest label, 1, got 1", (embedding, labels, 1)
    yield ValueError, "num_objects must be 0 or more, got -1", (embedding, labels, -1)
    yield ValueError, "relabel_sequential", (embedding, labels * 10**12)
    yield ValueError, "table of its objects takes .*relabel_sequential", (embedding, labels * (2**30 - 1))


@pytest.mark.parametrize(("error", "message", "arguments"), list(bad_inputs()))
def test_bad_input(error, message, arguments):
    with pytest.raises(error, match=message):
        mean_embedding(*arguments)
