"""What only a GPU can show; the operators' own tests run there too, as tests/devices.py takes them."""

import pytest
import torch
from devices import HAS_GPU
from samples import cells, embedding_for

import embedseg_ops

pytestmark = pytest.mark.skipif(not HAS_GPU, reason="no GPU, or a build without CUDA")


def prediction(side=96, device="cuda"):
    labels = torch.stack([cells((side, side), 20, seed, gap=0.3) for seed in (0, 1)])
    embedding = embedding_for(labels, 16, noise=0.3)
    return embedding.to(device), labels.to(device), embedseg_ops.distance_map(labels).to(device)


def train_and_segment(embedding, labels, distance):
    tracked = embedding.clone().requires_grad_()
    loss = embedseg_ops.embedding_loss(tracked, labels).total
    loss.backward()
    options = {"min_seed_size": 2, "min_object_size": 5, "background_threshold": 0.05, "seed_smoothing": 1.0}
    return [loss.detach(), tracked.grad, embedseg_ops.postprocess(embedding, distance, **options)]


def assert_same_as_cpu(results):
    expected = train_and_segment(*prediction(device="cpu"))
    for found, value in zip(results, expected, strict=True):
        assert found.is_cuda
        torch.testing.assert_close(found.cpu(), value, atol=1e-5, rtol=1e-5)
    assert torch.equal(results[2].cpu(), expected[2])


def test_the_public_functions_take_cuda_tensors():
    assert_same_as_cpu(train_and_segment(*prediction()))


def test_runs_give_the_same_bits():
    inputs = prediction(512)
    first = train_and_segment(*inputs)
    for _ in range(3):
        for found, expected in zip(train_and_segment(*inputs), first, strict=True):
            assert torch.equal(found, expected)


def test_work_goes_to_the_current_stream():
    inputs = prediction()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        late = [tensor * 1 for tensor in inputs]
        results = train_and_segment(*late)
    torch.cuda.current_stream().wait_stream(stream)
    assert_same_as_cpu(results)


def test_postprocessing_is_captured_in_a_graph():
    embedding, _, distance = prediction()
    options = {"min_seed_size": 2, "min_object_size": 5, "min_depth_pixels": 0.3, "max_objects": 200}
    expected = embedseg_ops.postprocess(embedding, distance, **options)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = embedseg_ops.postprocess(embedding, distance, **options)
    for _ in range(2):
        graph.replay()
    assert torch.equal(found, expected)
    assert torch.equal(expected.cpu(), embedseg_ops.postprocess(embedding.cpu(), distance.cpu(), **options))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_a_second_device():
    results = train_and_segment(*prediction(device="cuda:1"))
    assert all(result.device.index == 1 for result in results)
    assert_same_as_cpu([result.to("cuda:0") for result in results])
    assert torch.cuda.current_device() == 0


def test_a_graph_can_capture_what_needs_no_size():
    embedding, labels, distance = prediction()
    pairs = embedseg_ops.neighbor_pairs(labels)
    operators = torch.ops.embedseg_ops

    def run():
        losses = operators.embedding_loss(embedding, labels, pairs, None, True, True, 21)
        gradient = operators.direction_gradient(embedding, labels, losses[3][0], None, None)
        return [*losses, gradient, operators.connected_components(distance > 0.7)]

    expected = run()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = run()
    graph.replay()
    for found, value in zip(results, expected, strict=True):
        assert torch.equal(found, value)


def test_a_graph_can_capture_a_training_step():
    embedding, labels, _ = prediction()
    pairs = embedseg_ops.neighbor_pairs(labels)

    def run():
        tracked = embedding.detach().requires_grad_()
        loss = embedseg_ops.embedding_loss(tracked, labels, pairs, num_objects=21).total
        means, counts = embedseg_ops.mean_embedding(tracked, labels, 21)
        return [loss.detach(), *torch.autograd.grad(loss + means.sum(), tracked), counts]

    expected = run()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = run()
    graph.replay()
    for found, value in zip(results, expected, strict=True):
        assert torch.equal(found, value)


def test_more_than_two_billion_elements():
    side, dim = 12000, 16
    if torch.cuda.mem_get_info()[0] < 8 * side * side * dim:
        pytest.skip("too little memory")
    embedding = torch.ones(1, dim, side, side, dtype=torch.float16, device="cuda")
    labels = torch.zeros(1, side, side, dtype=torch.int32, device="cuda")
    labels[:, -3:, -5:] = 1
    embedding[:, 1:, -3:, -5:] = 0
    means, counts = embedseg_ops.mean_embedding(embedding, labels)
    assert counts.tolist() == [[side * side - 15, 15]]
    torch.testing.assert_close(means[0, 1], torch.eye(dim, device="cuda")[0])
    gradient = torch.ops.embedseg_ops.direction_gradient(embedding, labels, means, None, None)
    assert torch.isfinite(gradient[0, :, -3:, -5:]).all()


def test_memory_comes_from_torchs_allocator():
    inputs = prediction(512)
    train_and_segment(*inputs)
    torch.cuda.synchronize()
    before = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
    train_and_segment(*inputs)
    torch.cuda.synchronize()
    assert torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() >= before
