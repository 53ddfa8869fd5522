"""Writing files: what goes wrong names the file that was wanted, and nothing stays."""

import errno
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from machines import POSIX

from embedseg_ops import export
from embedseg_ops.data import writing
from embedseg_ops.data.writing import write_atomically


@contextmanager
def small_files():
    """No file may be larger than 1000 bytes, as on a disk that is full: not even pytest's own output."""
    import resource  # which Windows has not

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


NOISE = np.random.default_rng(0).integers(0, 1 << 30, (64, 64), np.int32)


@POSIX
@pytest.mark.parametrize(
    "write",
    [lambda path: write_atomically(path, bytes(5000)), lambda path: export.write_labels(path, NOISE),
     lambda path: export.write_overlay(path, NOISE[None], NOISE % 3)],
    ids=["bytes", "labels", "overlay"],
)  # fmt: skip
@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path, write, there):
    path = tmp_path / "file.tif"
    if there:
        path.write_bytes(b"before")
    with pytest.raises(OSError, match=r"file\.tif") as caught, small_files():
        write(path)
    assert caught.value.errno == errno.EFBIG
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"before"] * there


@pytest.mark.parametrize("write", [write_atomically, export.write_labels], ids=["bytes", "labels"])
def test_a_missing_folder_is_named(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)  # tifffile's errors have absolute paths
    with pytest.raises(FileNotFoundError) as caught:
        write(Path("nothing/file.tif"), NOISE if write is export.write_labels else b"")
    assert caught.value.filename == str(Path("nothing/file.tif"))


def test_windows_is_not_asked_about_a_process_for_it_would_hear_ctrl_c(monkeypatch):
    monkeypatch.setattr(writing.sys, "platform", "win32")
    monkeypatch.setattr(writing.os, "kill", None)
    assert writing.is_running(1)
