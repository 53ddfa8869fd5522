import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import FLOAT_DTYPES, LAYOUTS, cells, embedding_for, in_layout, label_maps

from embedseg_ops import embedding_loss, neighbor_pairs, reference

CELLS = torch.stack([cells((33, 45), 10, seed, gap=0.3) for seed in (0, 1)])
CELLS[:, :4, :5] = -1
VOLUME = cells((7, 12, 17), 6, gap=0.3)[None]


def definition(embedding, labels, distance, weights, background):
    """The sums of docs/method.md, one object and one pair at a time, in float64; autograd gives the gradient."""
    consistency = discrimination = torch.zeros((), dtype=torch.float64)
    for image, vectors in zip(labels, embedding.double(), strict=True):
        ids = [int(k) for k in image.unique() if k > 0 or (k == 0 and background)]
        masks = {k: image == k for k in ids}
        pixels = sum(int(mask.sum()) for mask in masks.values())
        if pixels == 0:
            continue
        foreground = sum(int(mask.sum()) for k, mask in masks.items() if k > 0)
        balanced = weights == "balanced" and 0 < foreground < pixels
        directions = vectors / vectors.norm(dim=0)
        u = {k: torch.nn.functional.normalize(directions[:, mask].sum(1), dim=0) for k, mask in masks.items()}
        for k, mask in masks.items():
            w = pixels / (2 * (foreground if k > 0 else pixels - foreground)) if balanced else 1
            consistency = consistency + w * (1 - u[k] @ directions[:, mask]).sum() / pixels / len(labels)
        places = {k: mask.nonzero().double() for k, mask in masks.items()}
        for k in ids:
            near = [n for n in ids if n != k and (k * n == 0 or torch.cdist(places[k], places[n]).min() < distance)]
            for n in near:
                discrimination = discrimination + (u[k] @ u[n]).abs() / len(near) / len(ids) / len(labels)
    return consistency + discrimination, consistency, discrimination


def value_and_gradient(function, embedding):
    embedding = embedding.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    losses = function(embedding)
    (2 * losses[0] + losses[1] - 0.5 * losses[2]).backward()
    return torch.stack([loss.detach().double() for loss in losses]), embedding.grad.double()


def assert_equal_losses(given, expected, tolerance):
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=0)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("labels", [CELLS, VOLUME], ids=["2d", "3d"])
@pytest.mark.parametrize("weights", ["balanced", None])
@pytest.mark.parametrize("background", [True, False])
def test_equals_definition(labels, weights, background):
    embedding = embedding_for(labels, 16)
    options = {"distance": 6.0, "weights": weights, "background": background}
    given = value_and_gradient(lambda e: embedding_loss(e, labels, **options), embedding)
    expected = value_and_gradient(lambda e: definition(e, labels, *options.values()), embedding)
    assert_equal_losses(given, expected, 1e-6)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dim", [1, 3, 4, 8, 32, 40])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_dim_and_layout(dim, layout):
    embedding = in_layout(embedding_for(CELLS, dim), layout)
    given = value_and_gradient(lambda e: embedding_loss(e, CELLS), embedding)
    expected = value_and_gradient(lambda e: definition(e, CELLS, 10.0, "balanced", True), embedding)
    assert_equal_losses(given, expected, 1e-6)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_every_dtype(dtype):
    embedding = embedding_for(CELLS, 16, dtype=dtype)
    losses, gradient = value_and_gradient(lambda e: embedding_loss(e, CELLS), embedding)
    expected = value_and_gradient(lambda e: definition(e, CELLS, 10.0, "balanced", True), embedding.double())
    torch.testing.assert_close(losses, expected[0], atol=1e-10 if dtype == torch.float64 else 1e-6, rtol=0)
    # the gradient itself has the embedding's precision; the smallest float16 is 6e-8
    torch.testing.assert_close(gradient, expected[1], atol=6e-8, rtol=2 * torch.finfo(dtype).eps)


@pytest.mark.usefixtures("device")
@given(label_maps(), st.integers(1, 6), st.sampled_from(["balanced", None, "own"]), st.booleans())
def test_equals_reference_on_any_labels(labels, dim, weights, background):
    embedding = embedding_for(labels, dim, dtype=torch.float64)
    if weights == "own":
        weights = torch.rand(labels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 7
    options = {"distance": 3.0, "weights": weights, "background": background}
    given = value_and_gradient(lambda e: embedding_loss(e, labels, **options), embedding)
    expected = value_and_gradient(lambda e: reference.embedding_loss(e, labels, **options), embedding)
    assert_equal_losses(given, expected, 1e-8)


@pytest.mark.parametrize("weights", ["balanced", None, "own"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradient_equals_numerical_differences(weights, layout):
    labels = cells((5, 6), 3, gap=0.2)[None]
    labels[0, 0, :2] = -1
    embedding = in_layout(embedding_for(labels, 4, dtype=torch.float64), layout).requires_grad_()
    weights = torch.rand(labels.shape, dtype=torch.float64) + 0.5 if weights == "own" else weights
    assert torch.autograd.gradcheck(lambda e: tuple(embedding_loss(e, labels, weights=weights)), embedding)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_own_weights_in_single_precision(dtype):
    embedding, weights = embedding_for(CELLS, 16, dtype=dtype), 3 * torch.rand(CELLS.shape)
    pairs = neighbor_pairs(CELLS)
    given = value_and_gradient(lambda e: embedding_loss(e, CELLS, pairs, weights=weights), embedding)
    expected = value_and_gradient(
        lambda e: reference.embedding_loss(e, CELLS, pairs, weights=weights.double()), embedding.double()
    )
    assert_equal_losses(given, expected, 2e-6)


@pytest.mark.usefixtures("device")
def test_balanced_weights_are_what_the_caller_would_give():
    own = torch.where(CELLS > 0, 0.5 / (CELLS > 0).sum((1, 2), True), 0.5 / (CELLS == 0).sum((1, 2), True))
    own = own * (CELLS >= 0).sum((1, 2), True)
    embedding = embedding_for(CELLS, 8)
    given = value_and_gradient(lambda e: embedding_loss(e, CELLS, weights=own), embedding)
    assert_equal_losses(given, value_and_gradient(lambda e: embedding_loss(e, CELLS), embedding), 1e-6)


@pytest.mark.usefixtures("device")
def test_perfect_embedding_has_no_loss():
    labels = cells((40, 40), 5)[None]
    embedding = torch.eye(6)[labels.long()].movedim(-1, 1).contiguous() * 7.3
    losses = embedding_loss(embedding, labels, distance=100)
    assert max(loss.item() for loss in losses) < 1e-6


@pytest.mark.usefixtures("device")
def test_pairs_given_are_the_pairs_used():
    embedding = embedding_for(CELLS, 8)
    pairs = neighbor_pairs(CELLS, 4.0)
    assert embedding_loss(embedding, CELLS, pairs) == embedding_loss(embedding, CELLS, distance=4.0)
    assert embedding_loss(embedding, CELLS, pairs[:0]).discrimination == 0


@pytest.mark.usefixtures("device")
def test_pairs_of_objects_that_do_not_occur_contribute_nothing():
    embedding, pairs = embedding_for(CELLS, 8), neighbor_pairs(CELLS)
    extra = torch.tensor([[0, 1, 77], [0, 77, 1], [1, 2, 10**15], [1, -5, 2]])
    assert embedding_loss(embedding, CELLS, torch.cat([extra, pairs])) == embedding_loss(embedding, CELLS, pairs)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(
    "labels", [torch.full((1, 4, 5), -1), torch.zeros(0, 4, 5, dtype=torch.int32), torch.zeros(2, 0, 3).int()]
)
def test_nothing_to_lose(labels):
    losses, gradient = value_and_gradient(
        lambda e: embedding_loss(e, labels), torch.rand(labels.shape[0], 4, *labels.shape[1:])
    )
    assert losses.tolist() == [0, 0, 0]
    assert not gradient.any()


@pytest.mark.usefixtures("device")
def test_ignored_and_zero_pixels_get_no_gradient():
    embedding = embedding_for(CELLS, 5)
    embedding[0, :, 10, 10] = 0
    embedding[0, 2, 0, 0] = torch.nan  # ignored
    losses, gradient = value_and_gradient(lambda e: embedding_loss(e, CELLS), embedding)
    assert torch.isfinite(losses).all()
    assert torch.isfinite(gradient).all()
    for b, y, x in [(0, 0, 0), (0, 10, 10)]:
        assert not gradient[b, :, y, x].any()


def test_the_number_of_threads_changes_no_bit():
    labels = cells((300, 310), 40, gap=0.3)[None]
    embedding = embedding_for(labels, 16)
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(value_and_gradient(lambda e: embedding_loss(e, labels), embedding))
    torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("turn", [lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.rot90(1, (-2, -1))])
def test_turns_and_flips_change_nothing(turn):
    embedding = embedding_for(CELLS, 8)
    given = value_and_gradient(lambda e: embedding_loss(turn(e), turn(CELLS)), embedding)
    assert_equal_losses(given, value_and_gradient(lambda e: embedding_loss(e, CELLS), embedding), 1e-7)


@pytest.mark.usefixtures("device")
def test_names_of_objects_do_not_matter():
    embedding = embedding_for(CELLS, 8)
    renamed = torch.where(CELLS > 0, 50 - 3 * CELLS, CELLS)
    given = value_and_gradient(lambda e: embedding_loss(e, renamed), embedding)
    assert_equal_losses(given, value_and_gradient(lambda e: embedding_loss(e, CELLS), embedding), 1e-7)


@pytest.mark.usefixtures("device")
def test_autocast_runs_on_the_networks_output_as_it_is():
    features, weight = torch.rand(2, 4, 33, 45), torch.rand(8, 4, 1, 1, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedding = torch.nn.functional.conv2d(features, weight)
        loss = embedding_loss(embedding, CELLS).total
    assert embedding.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    loss.backward()
    assert weight.grad.abs().sum() > 0


@pytest.mark.usefixtures("device")
def test_twice_is_refused():
    embedding = embedding_for(CELLS, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(embedding_loss(embedding, CELLS).total, embedding, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated once, not twice"):
        gradient.sum().backward()


def bad_inputs():
    yield TypeError, "labels must have an integer dtype", {"labels": CELLS.float()}
    yield ValueError, "labels must be ", {"labels": CELLS[:1]}
    yield TypeError, "pairs must be a torch.Tensor", {"pairs": [[0, 1, 2]]}
    yield TypeError, "pairs must be int64, got torch.int32", {"pairs": neighbor_pairs(CELLS).int()}
    yield ValueError, r"pairs must be \[P, 3\]", {"pairs": neighbor_pairs(CELLS)[:, :2]}
    yield ValueError, "pairs must name images 0 to 1", {"pairs": torch.tensor([[2, 0, 1]])}
    yield ValueError, "pairs must name images 0 to 1", {"pairs": torch.tensor([[-1, 0, 1]])}
    yield ValueError, "distance must be above 0, got 0", {"distance": 0}
    yield ValueError, "distance must be finite, got nan", {"distance": float("nan")}
    yield TypeError, "distance must be a number", {"distance": "far"}
    yield ValueError, 'weights must be "balanced", None', {"weights": "equal"}
    yield TypeError, "weights must be", {"weights": 3.0}
    yield ValueError, "weights must be ", {"weights": torch.ones(3)}
    yield ValueError, "weights must not require a gradient", {"weights": torch.ones(CELLS.shape, requires_grad=True)}


@pytest.mark.parametrize(("error", "message", "arguments"), list(bad_inputs()))
def test_bad_input(error, message, arguments):
    with pytest.raises(error, match=message):
        embedding_loss(**{"embedding": embedding_for(CELLS, 4), "labels": CELLS} | arguments)
