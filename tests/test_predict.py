"""``embedseg-ops predict``: which images it finds, and what it writes for each."""

# ruff: noqa: F811  # a fixture is named where it is imported, and where it is an argument
import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import contents, model, predict, run, scans, volume_model, write_image  # noqa: F401  # fixtures
from PIL import Image
from skimage.measure import label

from embedseg_ops.command import predict as command
from embedseg_ops.command.finding import find_images
from embedseg_ops.data.errors import DataError
from embedseg_ops.model.files import load_model


def by_brightness(image, *_, **options):
    return label(np.asarray(image[0]) > 100).astype(np.int32)


def test_folders_in_folders_are_kept_and_brackets_are_names(predict, scans, tmp_path):
    assert predict(scans, "--out", tmp_path / "out") == (0, ["embedseg-ops: 3 of 3 images done"])
    files = {str(path) for path in contents(tmp_path / "out")}
    assert {"a.tif", "plate[1]/b.tif", "plate[1]/deep/c.tif", "overlays/plate[1]/b.png"} <= files
    predict(scans, "--no-recursive", "--no-overlay", "--out", tmp_path / "flat")
    assert {str(path) for path in contents(tmp_path / "flat")} == {"a.tif", "records/a.json"}
    predict(scans / "plate[1]" / "b.tif", "--out", tmp_path / "one")
    assert (tmp_path / "one" / "b.tif").exists()


def test_series_and_axes_are_chosen(predict, tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        for height in (16, 24):
            writer.write(np.zeros((3, height, 20), np.uint8), photometric="minisblack")
    status, said = predict(tmp_path / "two.tif", "--out", tmp_path / "out")
    assert status == 1
    assert "holds 2 images; choose one with series (--series)" in "".join(said)
    choice = ["--series", "1", "--axes", "zyx", "--z", "all"]
    assert predict(tmp_path / "two.tif", "--out", tmp_path / "out", *choice)[0] == 0
    assert tifffile.imread(tmp_path / "out" / "two.tif").shape == (3, 24, 20)


def test_names_of_images(scans, tmp_path):
    def names(*given, out=tmp_path / "out"):
        return [str(one.name) for one in find_images([str(name) for name in given], out)]

    assert names(f"{scans}/*.tif", scans) == ["a", "plate[1]/b", "plate[1]/deep/c"]
    assert names(f"{scans}/plate[[]1]/*.tif") == ["b"]
    assert names(scans, out=scans / "plate[1]") == ["a"]
    (scans / "._a.tif").write_bytes(b"of macOS")
    (scans / ".hidden").mkdir()
    write_image(scans / ".hidden" / "h.tif")
    assert names(scans) == ["a", "plate[1]/b", "plate[1]/deep/c"]
    with pytest.raises(DataError, match="nothing: no such file or folder"):
        names(scans / "nothing")
    Image.new("L", (4, 4)).save(scans / "a.png")
    with pytest.raises(DataError, match=r"a\.tif: its labels would overwrite those of .*a\.png"):
        names(scans)


def test_labels_beside_images_and_earlier_outputs_are_no_images(predict, scans, tmp_path):
    for name in ("a_masks.tif", "plate[1]/b_label.tif", "lone_mask.tif", "set/images/d.tif", "set/masks/d.tif"):
        write_image(scans / name)
    (scans / "plate[1]" / "b_seg.npy").write_bytes(b"of Cellpose")
    first, second, demo = (scans / name for name in ("first", "set/second", "demo"))
    assert predict(scans, "--out", first)[1][-1] == "embedseg-ops: 5 of 5 images done"
    demo.mkdir()
    write_image(demo / "labels.tif")
    (demo / "record.json").write_bytes(next((first / "records").glob("*.json")).read_bytes())
    status, said = predict(scans, "--out", second)
    assert (status, said[-1]) == (0, "embedseg-ops: 5 of 5 images done")
    assert not {"first", "demo"} & {path.name for path in second.iterdir()}
    for name in ("first", "demo", "set/masks", "a_masks.tif", "plate[1]/b_label.tif"):
        assert any(f"{scans / name}: left out" in line for line in said)
    for name in (scans / "a_masks.tif", first / "overlays" / "a.png"):  # by its own name
        assert find_images([str(name)], tmp_path / "out") == [(name, Path(name.stem))]


def test_a_zarr_is_one_image_whatever_its_name(predict, scans, tmp_path):
    zarr = pytest.importorskip("zarr")
    for name in ("plate[1]/z.zarr", "plate[1]/v1.2"):
        array = zarr.create_array(scans / name, shape=(16, 24), dtype="u1", chunks=(8, 8))
        array[...] = 7
    (scans / "broken.zarr").mkdir()
    out = tmp_path / "out"
    status, said = predict(scans, "--out", out)
    assert (status, said[0]) == (1, "embedseg-ops: 5 of 6 images done")
    assert "broken.zarr" in said[-1]
    assert {"z.tif", "v1.2.tif"} <= {path.name for path in (out / "plate[1]").iterdir()}
    array[0, 0] = 9
    assert predict(scans, "--out", out)[1][0] == "embedseg-ops: 1 of 6 images done, 4 done before"


def test_options_of_the_postprocessing_reach_it(predict, scans, tmp_path, monkeypatch, model):
    seen = []

    def note(image, chosen, **options):
        seen.append((chosen[1].percentiles, chosen[1].postprocess, options))
        return np.zeros(image.shape[1:], np.int32)

    monkeypatch.setattr(command, "segment", note)
    given = "--threshold 0.25 --min-size 7 --background-threshold none --max-objects 9"
    of_network = "--tile 64 --overlap 16 --nan zero --precision auto --percentiles [2,99]"
    assert predict(scans / "a.tif", "--out", tmp_path / "out", *given.split(), *of_network.split())[0] == 0
    own = load_model(model)[1].postprocess
    expected = {"seed_threshold": 0.25, "min_object_size": 7, "background_threshold": None, "max_objects": 9}
    network = {"diameter": None, "nan": "zero", "tile": 64, "overlap": 16, "precision": "auto", "spacing": None}
    assert seen == [((2, 99), {**own, **expected}, {**network, "progress": True})]


def test_every_kind_of_output_is_written(predict, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "segment", by_brightness)
    pytest.importorskip("zarr")
    pytest.importorskip("roifile")
    pytest.importorskip("pyarrow")
    sizes = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeXUnit": "µm"}
    write_image(scans / "a.tif", ome=True, metadata=sizes)
    out = tmp_path / "out"
    kinds = "labels,overlay,table,parquet,rois,geojson,seg,zarr"
    assert predict(scans, "--out", out, "--write", kinds, "--ids", "--gamma", "1")[0] == 0
    for name in ("a.tif", "overlays/a.png", "tables/a.csv", "tables/a.parquet", "rois/a.zip", "geojson/a.geojson",
                 "seg/a_seg.npy", "zarr/a.zarr"):  # fmt: skip
        assert (out / name).exists()
    labels = tifffile.imread(out / "a.tif")
    np.testing.assert_array_equal(labels, by_brightness(tifffile.imread(scans / "a.tif")[None]))
    with open(out / "tables" / "a.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == labels.max()
    assert "area_µm²" in rows[0]
    record = json.loads((out / "records" / "a.json").read_text())
    assert record["objects"] == labels.max()
    assert not [path for path in out.rglob("*") if ".part" in path.name]
    assert predict(scans, "--out", out, "--write", kinds, "--ids", "--gamma", "1")[1][0].endswith("3 done before")


def test_planes_and_time_points_one_by_one(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "segment", by_brightness)
    stack = np.random.default_rng(0).integers(0, 255, (2, 3, 16, 24)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    out = tmp_path / "out"
    kinds = ("--write", "labels,overlay,table")
    assert "choose one plane" in predict(tmp_path / "stack.tif", "--out", out)[1][-1]
    assert predict(tmp_path / "stack.tif", "--out", out, "--z", "all", "--time", "all", *kinds)[0] == 0
    with tifffile.TiffFile(out / "stack.tif") as file:
        assert file.series[0].axes == "TZYX"
        labels = file.asarray()
    np.testing.assert_array_equal(labels[1, 2], by_brightness(stack[1, 2][None]))
    with open(out / "tables" / "stack.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == labels.max((2, 3)).sum()
    assert {(row["plane_t"], row["plane_z"]) for row in rows} == {(t, z) for t in "01" for z in "012"}
    assert predict(tmp_path / "stack.tif", "--out", out, "--z", "2", "--time", "1", *kinds)[0] == 0
    np.testing.assert_array_equal(tifffile.imread(out / "stack.tif"), labels[1, 2])
    assert predict(tmp_path / "stack.tif", "--out", out, "--z", "all", "--time", "0", "--write", "geojson")[0] == 0


def test_values_that_are_not_finite_are_zero_on_demand(predict, tmp_path):
    pixels = np.where(np.eye(24, 20), np.nan, 100 * np.ones((24, 1))).astype(np.float32)
    tifffile.imwrite(tmp_path / "nan.tif", pixels)
    status, said = predict(tmp_path / "nan.tif", "--out", tmp_path / "out")
    assert status == 1
    assert "nan.tif: image holds 20 values that are not finite" in said[-1]
    assert "--nan zero" in said[-1]
    assert predict(tmp_path / "nan.tif", "--out", tmp_path / "out", "--nan", "zero")[0] == 0
    assert predict(tmp_path / "nan.tif", "--out", tmp_path / "labels.npy", "--nan", "zero")[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), tifffile.imread(tmp_path / "out" / "nan.tif"))


def test_volumes_keep_their_planes(tmp_path, volume_model, capsys):
    volume = np.random.default_rng(0).integers(0, 255, (3, 16, 16)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "v.tif", volume, ome=True, metadata={"axes": "ZYX"})
    out = tmp_path / "out"
    kinds = ("--write", "labels,overlay,table,geojson")
    assert run("predict", tmp_path / "v.tif", "--out", out, "--model", volume_model, *kinds, capsys=capsys)[0] == 0
    with tifffile.TiffFile(out / "v.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert len(file.pages) == 3


def test_names_that_are_no_utf8(predict, tmp_path):
    scans = tmp_path / "scans"
    try:
        image = write_image(scans / os.fsdecode(b"caf\xe9.tif"))
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    (scans / "a\nb.tif").write_bytes(b"")
    status, said = predict(scans, "--out", tmp_path / "out")
    assert status == 1
    assert said[-1].startswith("embedseg-ops: ")
    assert (tmp_path / "out" / image.name).exists()
