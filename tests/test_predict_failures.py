"""``embedseg-ops predict``: nothing is lost, nothing is done twice, one bad file ends nothing."""

# ruff: noqa: F811  # a fixture is named where it is imported, and where it is an argument
import dataclasses
import errno
import importlib.util
import os
import shutil
import signal
import subprocess
import sys

import pytest
from commands import contents, model, predict, run, scans, volume_model, write_image  # noqa: F401  # fixtures
from machines import POSIX
from PIL import Image

from embedseg_ops import segment
from embedseg_ops.command import predict as command
from embedseg_ops.command.main import main
from embedseg_ops.data.writing import HOST
from embedseg_ops.model.files import load_model
from embedseg_ops.predict.memory import memory_free, memory_needed


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


@POSIX
def test_no_input_is_ever_replaced(predict, scans, tmp_path, model):
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


@POSIX
def test_one_bad_file_ends_nothing(predict, scans, tmp_path):
    (scans / "plate[1]" / "bad.tif").write_bytes(b"II*\0nothing")
    (scans / "gone.tif").symlink_to("nowhere")
    os.mkfifo(scans / "pipe.tif")  # nobody writes into it
    out = tmp_path / "out"
    status, said = predict(scans, "--out", out)
    assert status == 1
    assert said[:2] == ["embedseg-ops: 3 of 6 images done", "embedseg-ops: 3 of 6 failed:"]
    assert "gone.tif: no such file" in said[2]
    assert "pipe.tif: a pipe, a socket or a device, expected a file" in said[3]
    assert "bad.tif: " in said[4]
    assert (out / "plate[1]" / "deep" / "c.tif").exists()
    assert predict(scans, "--out", out)[1][0] == "embedseg-ops: 0 of 6 images done, 3 done before"


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


@pytest.mark.parametrize("option", [("--workers", "2"), ("--scheduler", "tcp://127.0.0.1:1")])
def test_a_cluster_without_dask_is_refused_at_once(predict, scans, tmp_path, monkeypatch, option):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: find(name, *more) if name != "distributed" else None
    )
    assert "need dask: pip install" in refused(predict, scans, "--out", tmp_path / "out", *option)


def test_debug_shows_where(scans, tmp_path, monkeypatch, capsys, model):
    monkeypatch.setattr(command, "segment", None)
    assert main(["predict", str(scans), "--model", str(model), "--out", str(tmp_path / "out"), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@POSIX
def test_a_request_to_end_is_an_interrupt(predict, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "segment", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    status, said = predict(scans, "--out", tmp_path / "out")
    assert (status, said[-1]) == (130, "embedseg-ops: interrupted; the same command goes on from here")
    assert signal.getsignal(signal.SIGTERM) == before


@POSIX
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


def test_memory_is_asked_for_first(predict, scans, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "memory_free", lambda: 1000)
    monkeypatch.setattr(command, "segment", None)
    status, said = predict(scans / "a.tif", "--out", tmp_path / "out")
    assert status == 1
    assert "a.tif: needs about 0.0 GiB of memory, 0.0 GiB are free; cut the image" in said[-1]


def test_memory_needed_grows_with_the_image_and_there_is_some(model):
    settings = load_model(model)[1]
    small, large = (memory_needed((1, side, side), settings) for side in (4096, 8192))
    assert 3.5 < large / small < 4
    assert memory_needed((1, 4096, 4096), settings, tile=256) < small
    free = memory_free()
    assert free is None or free > 0
    scaled = dataclasses.replace(settings, diameter=26.0)
    needed = [memory_needed((1, 512, 512), scaled, diameter=diameter) for diameter in (30.0, 13.0, 2.0, None)]
    assert needed[0] < needed[1] < needed[2] == needed[3]
