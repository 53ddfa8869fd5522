"""Models for other programs: each form gives the labels that `segment` gives."""

import json
import zipfile

import numpy as np
import pytest
import torch
from commands import model as small_model  # noqa: F401  # a fixture
from commands import run
from samples import UNTRAINED

import embedseg_ops
from embedseg_ops.data.drawn import cells
from embedseg_ops.data.samples import normalize
from embedseg_ops.interchange import Publication, write_aoti, write_bioimageio, write_onnx
from embedseg_ops.interchange.tracing import KEY
from embedseg_ops.model.files import load_model
from embedseg_ops.model.settings import Settings

# bioimageio.spec leaves files open, which is seen some time later
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
]
SIZES = [(1, 96, 128), (2, 33, 41), (1, 5, 3)]


@pytest.fixture(scope="module")
def shipped():
    return load_model()


def small(**options):
    torch.manual_seed(0)
    settings = Settings(dim=3, filters=2, **{**UNTRAINED, **options})
    return settings.build().eval(), settings


def session(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def onnx_file(shipped, tmp_path_factory):
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("onnx") / "nuclei.onnx"
    write_onnx(path, *shipped)
    return path


def test_onnx_gives_the_same_labels(onnx_file, shipped):
    image, _ = cells(seed=3, size=150, count=45)
    network = session(onnx_file)
    # the page docs/interchange.md shows these lines
    along = json.loads(network.get_modelmeta().custom_metadata_map["embedseg_ops"])
    low, high = np.percentile(image, along["percentiles"])
    normalized = ((image - low) / (high - low)).astype(np.float32)
    embedding, distance = network.run(None, {"image": normalized[None, None]})
    labels = embedseg_ops.postprocess(embedding, distance, **along["postprocess"])[0]
    expected = embedseg_ops.segment(image, shipped)
    assert labels.max() == expected.max() > 20
    assert (labels != expected).mean() < 1e-3  # sums are rounded otherwise


def test_onnx_takes_images_of_any_size(onnx_file, shipped):
    network = session(onnx_file)
    shapes = [put.shape for put in [*network.get_inputs(), *network.get_outputs()]]
    sizes = ["batch", "height", "width"]
    assert shapes == [["batch", 1, "height", "width"], ["batch", 16, "height", "width"], sizes]
    for batch, *size in SIZES:
        image = torch.rand(batch, 1, *size)
        found = network.run(None, {"image": image.numpy()})
        with torch.inference_mode():
            for one, expected in zip(found, shipped[0](image), strict=True):
                np.testing.assert_allclose(one, expected.numpy(), atol=1e-4)


def test_onnx_of_volumes(tmp_path):
    pytest.importorskip("onnxscript")
    model, settings = small(spatial_dims=3)
    write_onnx(tmp_path / "volume.onnx", model, settings)
    image = torch.rand(1, 1, 9, 17, 12)
    found = session(tmp_path / "volume.onnx").run(None, {"image": image.numpy()})
    with torch.inference_mode():
        for one, expected in zip(found, model(image), strict=True):
            np.testing.assert_allclose(one, expected.numpy(), atol=1e-4)


def test_a_compiled_package_holds_the_postprocessing(shipped, tmp_path):
    write_aoti(tmp_path / "nuclei.pt2", *shipped)
    package = torch._inductor.aoti_load_package(str(tmp_path / "nuclei.pt2"))
    along = json.loads(package.get_metadata()[KEY])
    image, _ = cells(seed=3, size=150, count=45)
    labels = package(normalize(image[None], along["percentiles"])[None])
    expected = embedseg_ops.segment(image, shipped)
    assert labels.dtype == torch.int32
    assert labels.max() == expected.max() > 20
    assert (labels[0].numpy() != expected).mean() < 1e-3
    for batch, *size in SIZES:
        assert package(torch.rand(batch, 1, *size)).shape == (batch, *size)


@pytest.fixture(scope="module")
def package(shipped, tmp_path_factory):
    pytest.importorskip("bioimageio.spec")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("zoo") / "nuclei.zip"
    image, _ = cells(seed=3, size=150, count=45)
    write_bioimageio(path, *shipped, image[None], Publication("Drawn nuclei", ("A. Nobody", "B. Nobody")))
    return path


def test_a_package_is_valid_for_bioimage_io(package):
    from bioimageio.spec import ValidationContext, load_description_and_validate_format_only

    with ValidationContext(perform_io_checks=False, log_warnings=False):
        summary = load_description_and_validate_format_only(package)
    assert summary.status in ("valid-format", "passed"), summary.format()
    with zipfile.ZipFile(package) as files:
        named = set(files.namelist())
        page = files.read("README.md").decode()
    assert {"rdf.yaml", "README.md", "cover.png", "weights.pt", "weights.onnx", "test_image.npy"} <= named
    assert "'max_cosine_distance': 1.0" in page
    assert f"test AP50: {load_model('nuclei')[1].scores['test AP50']}" in page


@pytest.mark.filterwarnings("ignore")  # bioimageio.core's own, and its libraries'
@pytest.mark.parametrize("weights", ["onnx", "pytorch_state_dict"])
def test_bioimageio_core_runs_a_package(package, weights):
    core = pytest.importorskip("bioimageio.core")
    if weights == "onnx":
        pytest.importorskip("onnxruntime")
    summary = core.test_model(package, weight_format=weights)
    assert summary.status == "passed", summary.format()


def test_a_package_of_a_wrong_licence_or_image_is_refused(tmp_path):
    pytest.importorskip("bioimageio.spec")
    pytest.importorskip("onnxscript")
    image = np.zeros((1, 80, 70), np.uint8)
    with pytest.raises(ValueError, match="license"):
        write_bioimageio(tmp_path / "a.zip", *small(), image, Publication("Drawn nuclei", ("A. Nobody",), "mine"))
    with pytest.raises(ValueError, match=r"1 channels and 2 axes of 64 pixels or more, got shape \[1, 80, 20\]"):
        write_bioimageio(tmp_path / "a.zip", *small(), image[..., :20], Publication("Drawn", ("A. Nobody",), "CC0-1.0"))
    with pytest.raises(ValueError, match="says no licence"):
        write_bioimageio(tmp_path / "a.zip", *small(), image, Publication("Drawn nuclei", ("A. Nobody",)))
    assert not list(tmp_path.iterdir())


def test_the_command_exports(small_model, tmp_path, capsys):  # noqa: F811
    pytest.importorskip("onnxscript")
    out = tmp_path / "small.onnx"
    arguments = ["export", small_model, "--to", "onnx", "--out", out]
    assert run(*arguments, capsys=capsys) == (0, [])
    assert out.stat().st_size > 1000
    status, said = run(*arguments, capsys=capsys)
    assert status == 2
    assert "--overwrite replaces it" in said[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "bioimageio", "--name", "nuclei"], "--to bioimageio needs --image, --author, too"),
        (["--to", "onnx", "--licence", "CC0-1.0"], "--licence is for --to bioimageio"),
        (["--to", "onnx", "--device", "cpu"], "--device is for --to aoti"),
        (["--to", "aoti"], "must end in .pt2"),
    ],
)
def test_options_that_do_not_fit_are_said(small_model, tmp_path, capsys, options, message):  # noqa: F811
    status, said = run("export", small_model, "--out", tmp_path / "out.bin", *options, capsys=capsys)
    assert status == 2
    assert message in said[-1]
