"""What every operator owes PyTorch: schema, fake kernel, autograd, compile, export, vmap."""

from types import SimpleNamespace

import pytest
import torch
from samples import cells, embedding_for

import embedseg_ops
from embedseg_ops.ops import arguments

OPERATORS = torch.ops.embedseg_ops


def sample_inputs(side=24, dim=4):
    """For every operator its arguments, at a size of one's choice."""
    labels = torch.stack([cells((side, side + 3), 6, seed, gap=0.3) for seed in (0, 1)])
    embedding = embedding_for(labels, dim, noise=0.4)
    pairs = embedseg_ops.neighbor_pairs(labels)
    weights = torch.rand(labels.shape)
    table = torch.rand(2, 7, dim)
    seeds = torch.where(weights < 0.1, labels, 0)
    tracked = embedding.clone().requires_grad_()
    return {
        "mean_embedding": (tracked, labels, 7),
        "embedding_loss": (tracked, labels, pairs, None, True, True, 7),
        "embedding_loss, own weights": (tracked, labels, pairs, weights, False, False, 7),
        "loss_gradient": (embedding, labels, torch.rand(2, 2, 7, dim), None, torch.rand(()), None, None),
        "loss_gradient, own weights": (embedding, labels, torch.rand(3, 2, 7, dim), weights, None, *torch.rand(2)),
        "direction_gradient": (embedding, labels, table, None, None),
        "direction_gradient, own weights": (embedding, labels, table, weights, table),
        "neighbor_pairs": (labels, 10.0, True, [1.0, 2.0]),
        "distance_map": (labels, [1.0, 2.0]),
        "connected_components": (labels > 0,),
        "propagate": (embedding, seeds, 0.3, None),
        "propagate, background": (embedding, seeds, 0.9, labels == 0),
        "direction_sums": (embedding, labels, 7, 0),
        "propagate_levels": (embedding, seeds, table.double(), 0.9, True, 3),
        "remove_small": (labels, 5),
        "trim": (labels.int(), weights, 1.5),
        "smooth": (weights, 0.8),
    }


SAMPLES = sample_inputs()


def operator(sample):
    return getattr(OPERATORS, sample.split(",")[0])


@pytest.mark.parametrize("sample", SAMPLES)
def test_opcheck(sample):
    torch.library.opcheck(operator(sample).default, SAMPLES[sample])


def test_every_operator_has_a_sample():
    library = {
        name.split("::")[1] for name in torch._C._dispatch_get_all_op_names() if name.startswith("embedseg_ops::")
    }
    assert library - {"build_info"} == {sample.split(",")[0] for sample in SAMPLES}  # it takes no tensor


def test_build_info_tells_by_name_what_the_library_says():
    info = embedseg_ops.build_info()
    assert list(info) == ["torch", "simd", "cuda", "cuda_runtime", "cuda_stream"]
    assert info["torch"].startswith("2.")
    assert (info["cuda"] is None) == (info["cuda_runtime"] == 0)


def loss(embedding, labels, pairs):
    return embedseg_ops.embedding_loss(embedding, labels, pairs, num_objects=7).total


def mean(embedding, labels, pairs):
    return embedseg_ops.mean_embedding(embedding, labels, 7)[0].square().sum(-1).mean()


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("function", [loss, mean])
def test_compile_forward_and_backward(function, dynamic):
    compiled = torch.compile(function, fullgraph=True, dynamic=dynamic)
    for side in (24, 31):
        embedding, labels, pairs = sample_inputs(side)["embedding_loss"][:3]
        one, other = (run(embedding, labels, pairs) for run in (compiled, function))
        torch.testing.assert_close(one, other)
        gradients = [torch.autograd.grad(value, embedding)[0] for value in (one, other)]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("function", ["embedding_loss", "mean_embedding"])
def test_compile_counts_objects_and_finds_pairs_where_sizes_may_depend_on_data(function):
    """As with torch.nonzero: sizes that follow from the data need PyTorch's leave."""
    compiled = torch.compile(getattr(embedseg_ops, function), fullgraph=True)
    embedding, labels = SAMPLES["embedding_loss"][:2]
    with torch._dynamo.config.patch(capture_scalar_outputs=True, capture_dynamic_output_shape_ops=True):
        found = compiled(embedding, labels)
    for one, other in zip(found, getattr(embedseg_ops, function)(embedding, labels), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_postprocess(dynamic):
    def segment(embedding, distance):
        options = {"seed_smoothing": 1.0, "min_seed_size": 2, "min_object_size": 3}
        competing = {"background_threshold": 0.1, "min_depth_pixels": 0.5}
        return embedseg_ops.postprocess(embedding, distance, **options, **competing)

    compiled = torch.compile(segment, fullgraph=True, dynamic=dynamic)
    for side in (24, 31):
        embedding, labels = sample_inputs(side)["embedding_loss"][:2]
        distance = embedseg_ops.distance_map(labels)
        assert torch.equal(compiled(embedding.detach(), distance), segment(embedding, distance))


class Segmenter(torch.nn.Module):
    def forward(self, embedding, distance):
        return embedseg_ops.postprocess(embedding, distance)


def test_export():
    embedding, labels = SAMPLES["embedding_loss"][:2]
    arguments = (embedding.detach(), embedseg_ops.distance_map(labels))
    exported = torch.export.export(Segmenter(), arguments)
    assert torch.equal(exported.module()(*arguments), Segmenter()(*arguments))


@pytest.mark.parametrize("name", ["mean_embedding", "propagate", "embedding_loss"])
def test_vmap_is_a_loop(name):
    embedding, labels = SAMPLES["embedding_loss"][:2]
    inputs = {
        "mean_embedding": (lambda e, n: embedseg_ops.mean_embedding(e, n, 7)[0], labels),
        "propagate": (lambda e, n: embedseg_ops.propagate(e, n, 0.9, n <= 0), SAMPLES["propagate"][1]),
        "embedding_loss": (lambda e, n: embedseg_ops.embedding_loss(e, n, num_objects=7).total, labels),
    }
    function, other = inputs[name]
    embeddings, others = torch.stack([embedding.detach(), 1 - embedding.detach()]), torch.stack([other, other.flip(-1)])
    if name == "embedding_loss":
        pairs = torch.stack([embedseg_ops.neighbor_pairs(labels)] * 2)
        found = torch.vmap(lambda e, n, p: embedseg_ops.embedding_loss(e, n, p, num_objects=7).total)(
            embeddings, torch.stack([labels, labels]), pairs
        )
        expected = torch.stack([function(e, labels) for e in embeddings])
    else:
        found = torch.vmap(function)(embeddings, others)
        expected = torch.stack([function(e, n) for e, n in zip(embeddings, others, strict=True)])
    torch.testing.assert_close(found, expected)


def test_a_build_without_cuda_says_so(monkeypatch):
    monkeypatch.setattr(arguments, "HAS_CUDA", False)
    with pytest.raises(RuntimeError, match="labels is on cuda:0, but this build of embedseg_ops has no CUDA kernels"):
        arguments.check_device(SimpleNamespace(device=torch.device("cuda:0"), is_cuda=True), "labels")
