"""Modules and functions under torch.compile, torch.export, pickle and other defaults than torch's."""

import io
import pickle

import numpy as np
import pytest
import torch
from samples import UNTRAINED, cells, embedding_for

import embedseg_ops
from embedseg_ops.model.files import load_model, save_model
from embedseg_ops.model.networks import build_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.segment import Segmenter

SETTINGS = Settings(filters=2, dim=3, **UNTRAINED, postprocess={"seed_threshold": 0.01, "min_object_size": 3})
SIZES = [(2, 1, 24, 20), (2, 1, 33, 41), (1, 1, 17, 40), (3, 1, 16, 16)]


def module(name):
    torch.manual_seed(0)
    model = build_model(filters=2, dim=3).eval()
    return Segmenter(model, SETTINGS).eval() if name == "segmenter" else model


def fresh_compiler():
    torch._dynamo.reset()


@pytest.fixture(autouse=True)
def _fresh_compiler():
    fresh_compiler()
    yield
    fresh_compiler()


# inductor compiles C++ for minutes: the largest of the modules stands for all, and the others are traced alike
@pytest.mark.parametrize(
    ("name", "dynamic", "backend", "sizes"),
    [("model", None, "aot_eager", SIZES), ("model", True, "aot_eager", SIZES),
     ("segmenter", True, "aot_eager", SIZES), ("segmenter", None, "inductor", SIZES[:2])],
)  # fmt: skip
def test_modules_compile_for_any_size(name, dynamic, backend, sizes):
    network = module(name)
    compiled = torch.compile(network, fullgraph=True, dynamic=dynamic, backend=backend)
    for size in sizes:
        image = torch.rand(size)
        with torch.no_grad():
            torch.testing.assert_close(compiled(image), network(image), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["model", "segmenter"])
def test_modules_export_with_plain_dynamic_sizes(name):
    network = module(name)
    sizes = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    exported = torch.export.export(network, (torch.rand(SIZES[0]),), dynamic_shapes=(sizes,)).module()
    for size in SIZES:
        image = torch.rand(size)
        with torch.no_grad():
            torch.testing.assert_close(exported(image), network(image), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("dynamic", "backend"), [(None, "inductor"), (True, "aot_eager")])
def test_postprocess_compiles_for_changing_options_and_sizes(dynamic, backend):
    compiled = torch.compile(embedseg_ops.postprocess, dynamic=dynamic, fullgraph=True, backend=backend)
    options = [
        {},
        {"seed_threshold": 0.5},
        {"seed_threshold": 0.6, "max_cosine_distance": 0.9},
        {"seed_threshold": 0.65, "max_cosine_distance": 0.8, "min_object_size": 4, "seed_smoothing": 0.7},
        {"seed_threshold": 0.55, "min_object_size": 9, "seed_smoothing": 1.3, "min_seed_size": 2},
        {"background_threshold": 0.1, "min_depth_pixels": 0.4, "max_objects": 7},
        {"background_threshold": 0.2, "min_depth_pixels": 0.6, "max_objects": 5},
    ]
    for number, chosen in enumerate(options):
        labels = torch.stack([cells((20 + number, 31), 9, seed, gap=0.3) for seed in (0, 1)])
        embedding, distance = embedding_for(labels, 4, noise=0.2), embedseg_ops.distance_map(labels)
        found = compiled(embedding, distance, **chosen)
        assert torch.equal(found, embedseg_ops.postprocess(embedding, distance, **chosen)), chosen


@pytest.mark.parametrize("name", ["model", "segmenter"])
def test_modules_can_be_pickled_and_saved(name):
    network, image = module(name), torch.rand(SIZES[0])
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    for copy in (pickle.loads(pickle.dumps(network)), torch.load(file, weights_only=False)):
        torch.testing.assert_close(copy(image), network(image), rtol=0, atol=0)


def share(network, image, queue):
    queue.put(network(image)[1].detach().sum().item())


def test_a_model_goes_to_a_spawned_process():
    context = torch.multiprocessing.get_context("spawn")
    queue, network, image = context.Queue(), module("model"), torch.ones(SIZES[0])
    process = context.Process(target=share, args=(network, image, queue))
    process.start()
    assert queue.get(timeout=240) == pytest.approx(network(image)[1].sum().item(), rel=1e-4)
    process.join()


@pytest.fixture
def other_defaults():
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")  # nothing can be computed there
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("tile", [None, 160])
def test_default_dtype_and_device_change_nothing(tmp_path, tile, request):
    save_model(tmp_path / "model", module("model"), SETTINGS)
    image = np.random.default_rng(0).random((170, 190)).astype(np.float32)
    expected = embedseg_ops.segment(image, tmp_path / "model", tile=tile)
    request.getfixturevalue("other_defaults")
    np.testing.assert_array_equal(embedseg_ops.segment(image, tmp_path / "model", tile=tile), expected)
    model, _ = load_model(tmp_path / "model")
    assert {(p.dtype, p.device.type) for p in model.parameters()} == {(torch.float32, "cpu")}


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float16, torch.uint8, torch.int64, torch.uint16])
def test_images_of_any_real_dtype(dtype):
    image = torch.randint(0, 2, (40, 50), generator=torch.Generator().manual_seed(0))
    model = (module("model"), SETTINGS)
    expected = embedseg_ops.segment(image.float(), model)
    assert torch.equal(embedseg_ops.segment(image.to(dtype), model), expected)
