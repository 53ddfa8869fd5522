"""The examples run as they are, and their results are good."""

import runpy
import tempfile
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run an example by name, return its variables."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors: several threads wait for each other
    yield lambda name: runpy.run_path(str(EXAMPLES / f"{name}.py"))
    torch.set_num_threads(threads)


def test_arrays_of_another_network_become_labels(run):
    left = run("network_outputs")
    assert left["labels_tuned"].max() == left["truth"].max()
    assert left["precision"].mean > 0.9


def test_ten_images_are_enough_to_begin(run):
    left = run("train_ten_images")
    assert left["precision"].values[0] > 0.7
    assert (left["folder"] / "run" / "best.safetensors").exists()


def test_moving_cells_are_linked(run):
    pytest.importorskip("laptrack")
    left = run("track_cells")
    assert left["scores"][0.2] > (0.95, 0.9)
    assert len(left["tracks"]) == len(left["images"])


def test_labels_are_measured_and_written(run):
    left = run("measure_and_export")
    assert left["scores"].average_precision.mean > 0.8
    rows = (left["folder"] / "objects.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + left["labels"].max()


@pytest.mark.filterwarnings("ignore")  # MONAI's own
def test_monai_slides_its_window(run):
    pytest.importorskip("monai")
    left = run("monai_sliding_window")
    assert left["labels"].max() == left["alone"].max() > 20
    assert (left["labels"] != left["alone"]).mean() < 0.01


@pytest.mark.filterwarnings("ignore")  # Lightning's own
def test_lightning_trains(run):
    pytest.importorskip("lightning")
    left = run("lightning_module")
    assert left["precision"].values[0] > 0.6
