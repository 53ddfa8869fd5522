"""``embedseg-ops predict`` for images of any size."""

import argparse
import csv
import dataclasses
import json

import numpy as np
import pytest
import tifffile
from commands import model, run, write_image  # noqa: F401  # fixtures
from samples import cells

from embedseg_ops import load_model, save_model, segment
from embedseg_ops.command import slides, values
from embedseg_ops.data.images import open_image
from embedseg_ops.predict.blocks import stores
from embedseg_ops.predict.blocks.stores import open_labels


@pytest.fixture
def predict(model, capsys):  # noqa: F811
    def call(*arguments):
        return run("predict", "--model", model, *arguments, capsys=capsys)

    return call


def test_an_out_that_is_a_store_takes_one_image(predict, model, tmp_path):  # noqa: F811
    image = write_image(tmp_path / "a.tif")
    assert predict(image, "--out", tmp_path / "labels.npy") == (0, [])
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), segment(tifffile.imread(image), model))
    status, said = predict(image, image, "--out", tmp_path / "other.npy")
    assert status == 2
    assert "takes one image, got 2" in said[0]


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_that_imagej_reads(tmp_path, monkeypatch, big):
    monkeypatch.setattr(stores, "CLASSIC", 0 if big else 10**9)
    open_labels(tmp_path / "a.tif", (30, 40), (16, 16), [0.25, 0.5])[0]()[7, 9] = 2**20
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff == big
        assert file.pages[0].compression == 1
        labels = file.asarray()
    assert labels.shape == (30, 40)
    assert labels.dtype == np.uint32
    assert labels[7, 9] == 2**20 == labels.sum()
    assert open_image(tmp_path / "a.tif").size_of("YX") == (0.25, 0.5)


def test_labels_in_a_tiff(predict, model, tmp_path):  # noqa: F811
    image = write_image(tmp_path / "a.tif")
    assert predict(image, "--out", tmp_path / "labels.tif", "--write", "table")[0] == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), segment(tifffile.imread(image), model))
    assert (tmp_path / "labels.csv").exists()
    volume = open_labels(tmp_path / "b.tiff", (3, 8, 9), (3, 8, 8), None)
    assert volume[0]().shape == (3, 8, 9)


def test_a_level_of_a_pyramid(predict, model, tmp_path):  # noqa: F811
    zarr = pytest.importorskip("zarr", minversion="3.1")
    image = (cells((64, 80), 9, gap=0.4).numpy() > 0).astype(np.uint8) * 200
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(image, subifds=1, tile=(16, 16))
        file.write(image[::2, ::2], subfiletype=1, tile=(16, 16))
    assert predict(tmp_path / "a.tif", "--level", 1, "--out", tmp_path / "labels.zarr")[0] == 0
    labels = zarr.open_array(tmp_path / "labels.zarr" / "0", mode="r")[:]
    np.testing.assert_array_equal(labels, segment(image[::2, ::2], model))


def test_objects_are_written_beside_and_pixels_have_a_size(predict, tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3.1")
    sizes = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeXUnit": "µm"}
    image = write_image(tmp_path / "a.ome.tif", ome=True, metadata=sizes)
    out = tmp_path / "labels.zarr"
    status, said = predict(image, "--out", out, "--write", "table,seg")
    assert status == 2
    assert "--write seg: an image of any size has table, parquet, geojson, rois" in said[-1]
    low = ["--threshold", 0.01, "--min-size", 1, "--seed-smoothing", 0]
    assert predict(image, "--out", out, "--write", "table,geojson", *low)[0] == 0
    labels = zarr.open_array(out / "0", mode="r")[:]
    with open(tmp_path / "labels.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == labels.max() > 0
    assert float(rows[0]["area_µm²"]) == float(rows[0]["area"]) / 8
    assert len(json.loads((tmp_path / "labels.geojson").read_text())["features"]) == len(rows)
    scales = zarr.open_group(out, mode="r").attrs["ome"]["multiscales"][0]
    assert [axis["unit"] for axis in scales["axes"]] == ["micrometer"] * 2
    assert scales["datasets"][0]["coordinateTransformations"] == [{"type": "scale", "scale": [0.25, 0.5]}]
    status, said = predict(image, "--out", out, "--write", "table")
    assert status == 2
    assert "labels.csv exists already; give --overwrite to replace it" in said[-1]


def test_what_does_not_fit_goes_in_blocks(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "memory_free", lambda: 1000)
    monkeypatch.setattr(slides, "SMALL", 0)
    status, said = predict(write_image(tmp_path / "a.tif"), "--out", tmp_path / "out", "--write", "labels,table")
    assert status == 0
    assert (tmp_path / "out" / "tables" / "a.csv").exists()
    assert "a.tif: does not fit into memory, and is segmented in blocks" in said[0]
    assert any((tmp_path / "out" / f"a{suffix}").exists() for suffix in (".zarr", ".npy"))


def test_a_diameter_in_micrometres(model, tmp_path, capsys):  # noqa: F811
    network, settings = load_model(model)
    save_model(tmp_path / "scaled.safetensors", network, dataclasses.replace(settings, diameter=26.0))
    sizes = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeXUnit": "µm"}
    image = write_image(tmp_path / "a.ome.tif", ome=True, metadata=sizes)
    expected = segment(tifffile.imread(image), tmp_path / "scaled.safetensors", diameter=12)
    for out in ("out", "labels.tif"):
        asked = ["--model", tmp_path / "scaled.safetensors", "--diameter", "6um", "--out", tmp_path / out]
        assert run("predict", image, *asked, capsys=capsys)[0] == 0
    for found in ("out/a.ome.tif", "labels.tif"):
        np.testing.assert_array_equal(tifffile.imread(tmp_path / found), expected)
    status, said = run("predict", write_image(tmp_path / "b.tif"), *asked[:-1], tmp_path / "b.npy", capsys=capsys)
    assert status == 2
    assert "a length of 6 µm needs the size of a pixel, which the file does not tell: give pixels" in said[-1]


def test_lengths():
    assert [values.length(text) for text in ("12", "1e1", "8.5um", "8500 nm", "0.01 mm")] == [
        (12, ""), (10, ""), (8.5, "µm"), (8.5, "µm"), (10, "µm")
    ]  # fmt: skip
    assert values.length("8um").pixels((0.5, 0.5)) == 16
    assert values.length("8um").pixels((4.0, 0.5, 0.5)) == pytest.approx(8)
    for wrong in ("-1", "0um", "8 bananas", "um"):
        with pytest.raises((argparse.ArgumentTypeError, ValueError)):
            values.length(wrong)
