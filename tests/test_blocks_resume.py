"""What a kill leaves of a run in blocks, at any moment, is gone on with, and the labels are the same."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from machines import LINUX, POSIX
from test_blocks_segment import image_of, small_model

from embedseg_ops import segment, segment_blocks
from embedseg_ops.predict.blocks import folder, maps
from embedseg_ops.predict.blocks.maps import TileMaps


@LINUX
def test_nothing_is_said_to_be_done_before_it_is_on_the_disk(tmp_path, monkeypatch):
    pytest.importorskip("zarr", minversion="3.1")
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda number: (events.append(os.readlink(f"/proc/self/fd/{number}")), fsync(number))
    )
    monkeypatch.setattr(Path, "replace", lambda path, to: (events.append((str(path), str(to))), replace(path, to)))
    out = tmp_path / "labels.zarr"
    segment_blocks(image_of((600, 600)), out, small_model(), block=512, progress=False)
    renamed = [(place, event) for place, event in enumerate(events) if isinstance(event, tuple)]
    assert all(part in events[:place] for place, (part, _) in renamed if ".run" in part)
    done = [place for place, (_, to) in renamed if to.endswith(".done")]
    assert len(done) == 4
    assert f"{out}/0/c/0/0" in events[: done[0]]
    assert f"{out}/0/c/1/1" in events[: done[3]]


WRITERS = {
    "after a file": [
        (folder.Folder, "save"),
        (folder.Folder, "save_table"),
        (folder.Folder, "mark"),
        (TileMaps, "write"),
    ],
    "before it is said to be whole": [(folder, "sync"), (maps, "sync")],
}


class Killed(BaseException):
    """Nothing catches it, and nothing is tidied up: what a kill does to the files."""


@pytest.mark.parametrize("when", WRITERS)
def test_killed_every_few_files_and_started_again(tmp_path, monkeypatch, when):
    left = 0

    def dying(write):
        def write_and_die(*arguments):
            nonlocal left
            write(*arguments)
            left -= 1
            if left == 0:
                raise Killed

        return write_and_die

    for owner, name in WRITERS[when]:
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    kills = 0
    while True:
        left = 5
        try:
            segment_blocks(
                image_of((60, 50)), tmp_path / "labels.npy", small_model(), tile=40, overlap=16, block=30, halo=4,
                progress=False,
            )  # fmt: skip
            break
        except Killed:
            kills += 1
    assert kills > 5
    expected = segment(image_of((60, 50)), small_model(), tile=40, overlap=16)
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), expected)


def test_a_run_of_another_normalisation_is_refused(tmp_path):
    network, settings = small_model()
    image, out = image_of((60, 50)), tmp_path / "labels.npy"
    segment_blocks(image, out, (network, settings), progress=False)
    narrow = network, dataclasses.replace(settings, percentiles=(10.0, 90.0))
    with pytest.raises(ValueError, match=r"another run: percentiles was \[1.0, 99.8\] and is \[10.0, 90.0\]"):
        segment_blocks(image, out, narrow, progress=False)
    segment_blocks(image, tmp_path / "narrow.npy", narrow, progress=False)
    np.testing.assert_array_equal(np.load(tmp_path / "narrow.npy"), segment(image, narrow))
    assert (np.load(tmp_path / "narrow.npy") != np.load(out)).any()


CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_blocks_segment import image_of, small_model
from embedseg_ops import segment_blocks
from embedseg_ops.predict.blocks import growth, maps
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "writing":  # a tile is written, and no file says so
    maps.sync = die
if sys.argv[3] == "computing":
    growth.parts_to_wake = die
segment_blocks(image_of((60, 50)), sys.argv[2], small_model(), block=30, progress=False)
"""


@POSIX
def test_sigkill_and_the_same_bits(tmp_path):
    for what, code in (("writing", -signal.SIGKILL), ("computing", -signal.SIGKILL), ("alive", 0)):
        arguments = [CHILD, str(Path(__file__).parent), str(tmp_path / "labels.npy"), what]
        done = subprocess.run([sys.executable, "-c", *arguments], capture_output=True, text=True, env=os.environ)
        assert done.returncode == code, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), segment(image_of((60, 50)), small_model()))
