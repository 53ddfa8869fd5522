"""A small model and small files for the tests of the command line, and a way to run it."""

import numpy as np
import pytest
import tifffile
import torch
from samples import UNTRAINED, cells

from embedseg_ops.command.main import main
from embedseg_ops.model.files import save_model
from embedseg_ops.model.settings import Settings


def run(*arguments, capsys):
    """Run a command; return the exit status and what it said, line by line, without progress bars."""
    capsys.readouterr()
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as error:  # of argparse
        status = error.code
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    lines = [line.rpartition("\r")[2] for line in said.err.splitlines()]
    return status, [line for line in lines if line.startswith("embedseg-ops")]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    torch.manual_seed(0)
    settings = Settings(dim=2, filters=2, **UNTRAINED)
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(path, settings.build(), settings)
    return path


@pytest.fixture(scope="session")
def volume_model(tmp_path_factory):
    torch.manual_seed(0)
    settings = Settings(dim=2, filters=2, **UNTRAINED, spatial_dims=3)
    path = tmp_path_factory.mktemp("model") / "volume.safetensors"
    save_model(path, settings.build(), settings)
    return path


def write_image(path, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    objects = cells((16, 24), 4, seed, gap=0.4).numpy() > 0
    tifffile.imwrite(path, (objects * 200).astype(np.uint8), **options)
    return path


@pytest.fixture
def predict(model, tmp_path, capsys):
    def call(*arguments):
        return run("predict", "--model", model, *arguments, capsys=capsys)

    return call


@pytest.fixture
def scans(tmp_path):
    for number, name in enumerate(("a.tif", "plate[1]/b.tif", "plate[1]/deep/c.tif")):
        write_image(tmp_path / "scans" / name, number)
    return tmp_path / "scans"


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def places(tmp_path, model):
    image = write_image(tmp_path / "folder" / "image.tif")
    (tmp_path / "empty").mkdir()
    for name in ("images", "labels"):
        for number in range(2):
            write_image(tmp_path / "data" / "train" / name / f"{number}.tif", number)
    return {
        "IMAGE": image, "FOLDER": image.parent, "EMPTY": tmp_path / "empty", "NOTHING": tmp_path / "nothing.tif",
        "OUT": tmp_path / "out", "DATA": tmp_path / "data", "NOWHERE": tmp_path / "no" / "where.json",
        "NOTHING*.tif": tmp_path / "nothing*.tif",
    }  # fmt: skip
