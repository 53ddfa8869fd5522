"""``embedseg-ops predict``: nothing is lost, nothing is done twice, one bad file ends nothing."""

import csv
import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from commands import model, run, volume_model, write_image  # noqa: F401  # fixtures
from PIL import Image
from skimage.measure import label

from embedseg_ops import segment
from embedseg_ops.command import predict as command
from embedseg_ops.command.finding import find_images
from embedseg_ops.command.main import main
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.writing import HOST
from embedseg_ops.model.files import load_model
from embedseg_ops.predict.memory import memory_free, memory_needed


@pytest.fixture
def predict(model, tmp_path, capsys):  # noqa: F811
    def call(*arguments):
        return run("predict", "--model", model, *arguments, capsys=capsys)

    return call


@pytest.fixture
def scans(tmp_path):
    for number, name in enumerate(("a.tif", "plate[1]/b.tif", "plate[1]/deep/c.tif")):
        write_image(tmp_path / "scans" / name, number)
    return tmp_path / "scans"


def by_brightness(image, *_, **options):
    return label(np.asarray(image[0]) > 100).astype(np.int32)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


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


def test_what_is_done_is_not_done_again(predict, scans, tmp_path, monkeypatch):
    out = tmp_path / "out"
    predict(scans, "--out", out)
    before = contents(out)
    monkeypatch.setattr(command, "segment", None)
    assert predict(scans, "--out", out) == (0, ["embedseg-ops: 0 of 3 images done, 3 done before"])
    assert contents(out) == before
    monkeypatch.undo()
    write_image(scans / "a.tif", 7)
    assert predict(scans, "--out", out)[1] == ["embedseg-ops: 1 of 3 images done, 2 done before"]
    assert predict(scans, "--out", out, "--redo")[1] == ["embedseg-ops: 3 of 3 images done"]
    assert predict(scans, "--out", out, "--threshold", "0.9")[1] == ["embedseg-ops: 3 of 3 images done"]
    (out / "a.tif").unlink()
    assert predict(scans, "--out", out, "--threshold", "0.9")[1][0].startswith("embedseg-ops: 1 of 3 images done")


def test_a_run_that_was_killed_goes_on(predict, scans, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def killed(path, result):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(command.WRITERS, "overlay", command.WRITERS["overlay"]._replace(write=killed))
    status, said = predict(scans, "--out", out)
    assert status == 130
    assert said[-1] == "embedseg-ops: interrupted; the same command goes on from here"
    monkeypatch.undo()
    assert predict(scans, "--out", out)[0] == 0
    with Image.open(out / "overlays" / "a.png") as picture:
        assert picture.size == (24, 16)


def refused(predict, *arguments):
    status, said = predict(*arguments)
    assert status == 2
    assert len(said) == 1
    return said[0]


def test_no_input_is_ever_replaced(predict, scans, tmp_path, model):  # noqa: F811
    before = contents(tmp_path)
    assert "holds the images" in refused(predict, scans, "--out", scans)
    assert "is an input" in refused(predict, scans / "a.tif", "--out", scans, "--overwrite")
    out = tmp_path / "out"
    out.mkdir()
    os.link(scans / "a.tif", out / "a.tif")
    assert "is an input" in refused(predict, scans, "--out", out, "--overwrite")
    (out / "a.tif").unlink()
    (out / "a.tif").symlink_to(scans / "a.tif")
    assert "is a link" in refused(predict, scans, "--out", out, "--overwrite")
    (out / "a.tif").unlink()
    (out / "overlays").symlink_to(scans)
    assert "overlays: is a link" in refused(predict, scans, "--out", out, "--overwrite")
    shutil.rmtree(out)
    (tmp_path / "file").write_bytes(b"")
    assert "file: is a file, expected a folder" in refused(predict, scans, "--out", tmp_path / "file")
    (tmp_path / "file").unlink()
    assert contents(tmp_path) == before


def test_files_of_others_are_replaced_only_on_demand(predict, scans, tmp_path):
    out = tmp_path / "out"
    write_image(out / "a.tif", 5)
    before = contents(out)
    assert "a.tif: is there, and not as this program wrote it; --overwrite" in refused(predict, scans, "--out", out)
    assert contents(out) == before
    assert predict(scans, "--out", out, "--overwrite")[0] == 0
    corrected = write_image(out / "a.tif", 6).read_bytes()  # by hand
    assert predict(scans, "--out", out)[1] == ["embedseg-ops: 0 of 3 images done, 3 done before"]
    assert "a.tif: is there" in refused(predict, scans, "--out", out, "--redo")
    assert (out / "a.tif").read_bytes() == corrected


def test_one_bad_file_ends_nothing(predict, scans, tmp_path):
    (scans / "plate[1]" / "bad.tif").write_bytes(b"II*\0nothing")
    (scans / "gone.tif").symlink_to("nowhere")
    out = tmp_path / "out"
    status, said = predict(scans, "--out", out)
    assert status == 1
    assert said[:2] == ["embedseg-ops: 3 of 5 images done", "embedseg-ops: 2 of 5 failed:"]
    assert "gone.tif: no such file" in said[2]
    assert "bad.tif: " in said[3]
    assert (out / "plate[1]" / "deep" / "c.tif").exists()
    assert predict(scans, "--out", out)[1][0] == "embedseg-ops: 0 of 5 images done, 3 done before"


@pytest.mark.parametrize(
    ("error", "said", "done"),
    [
        (MemoryError("Unable to allocate 9 GiB"), "a.tif: not enough memory (Unable to allocate 9 GiB)", 2),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "a.tif: not enough memory", 2),
        (RuntimeError("CUDA out of memory. Tried\nto"), "a.tif: not enough memory (CUDA out of memory. Tried to)", 2),
        (ZeroDivisionError("by zero"), "a.tif: ZeroDivisionError: by zero; --debug shows where", 2),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "x: No space left on device", 0),
    ],
)
def test_what_goes_wrong_on_the_way_is_said_in_one_line(predict, scans, tmp_path, monkeypatch, error, said, done):
    def fail(image, *arguments, **options):
        if not failed:
            failed.append(image)
            raise error
        return segment(image, *arguments, **options)

    failed = []
    monkeypatch.setattr(command, "segment", fail)
    status, lines = predict(scans, "--out", tmp_path / "out")
    assert status == 1
    assert f"{done} of 3 images done" in lines[0]
    assert said in lines[-1]


def test_debug_shows_where(scans, tmp_path, monkeypatch, capsys, model):  # noqa: F811
    monkeypatch.setattr(command, "segment", None)
    assert main(["predict", str(scans), "--model", str(model), "--out", str(tmp_path / "out"), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_memory_is_asked_for_first(predict, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "memory_free", lambda: 1000)
    monkeypatch.setattr(command, "segment", None)
    status, said = predict(scans / "a.tif", "--out", tmp_path / "out")
    assert status == 1
    assert "a.tif: needs about 0.0 GiB of memory, 0.0 GiB are free; cut the image" in said[-1]


def test_memory_needed_grows_with_the_image_and_there_is_some(model):  # noqa: F811
    settings = load_model(model)[1]
    small, large = (memory_needed((1, side, side), settings) for side in (4096, 8192))
    assert 3.5 < large / small < 4
    assert memory_needed((1, 4096, 4096), settings, tile=256) < small
    free = memory_free()
    assert free is None or free > 0
    scaled = dataclasses.replace(settings, diameter=26.0)
    needed = [memory_needed((1, 512, 512), scaled, diameter=diameter) for diameter in (30.0, 13.0, 2.0, None)]
    assert needed[0] < needed[1] < needed[2] == needed[3]


def test_a_request_to_end_is_an_interrupt(predict, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "segment", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    status, said = predict(scans, "--out", tmp_path / "out")
    assert (status, said[-1]) == (130, "embedseg-ops: interrupted; the same command goes on from here")
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_a_killed_process_left_is_removed(predict, scans, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = out / f".embedseg-{HOST}-{process.pid}-0123.part.tif"
    running = out / f".embedseg-{HOST}-{os.getppid()}-0123.part.tif"
    elsewhere = out / f".embedseg-another-{process.pid}-0123.part.tif"
    for path in (left, running, elsewhere):
        path.write_bytes(b"half")
    assert predict(scans, "--out", out)[0] == 0
    assert [path.exists() for path in (left, running, elsewhere)] == [False, True, True]


def test_options_of_the_postprocessing_reach_it(predict, scans, tmp_path, monkeypatch, model):  # noqa: F811
    seen = []

    def note(image, chosen, **options):
        seen.append((chosen[1].postprocess, options))
        return np.zeros(image.shape[1:], np.int32)

    monkeypatch.setattr(command, "segment", note)
    given = "--threshold 0.25 --min-size 7 --background-threshold none --max-objects 9 --tile 64 --precision auto"
    assert predict(scans / "a.tif", "--out", tmp_path / "out", *given.split())[0] == 0
    own = load_model(model)[1].postprocess
    expected = {"seed_threshold": 0.25, "min_object_size": 7, "background_threshold": None, "max_objects": 9}
    network = {"diameter": None, "tile": 64, "overlap": None, "precision": "auto", "spacing": None}
    assert seen == [({**own, **expected}, {**network, "progress": True})]


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


def test_volumes_keep_their_planes(tmp_path, volume_model, capsys):  # noqa: F811
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
