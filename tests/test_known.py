"""What is known of training images is kept beside the run, and forgotten when it may be wrong."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from test_sample_files import draw, save_png, write_folder

from embedseg_ops.command.main import main
from embedseg_ops.data import names, sample_files
from embedseg_ops.data.errors import DataError, DataWarning
from embedseg_ops.data.folders import find_sources
from embedseg_ops.data.known import Known
from embedseg_ops.data.processes import Group
from embedseg_ops.data.sample_files import open_folder


def settled(folder, at=1e9):
    """Let the files of a folder be old."""
    for path in folder.rglob("*"):
        os.utime(path, (at, at))
    return folder


@pytest.fixture
def data(tmp_path):
    """A folder of four images that nobody has changed for long."""
    return settled(write_folder(tmp_path / "data", count=4))


@pytest.fixture
def surveyed(monkeypatch):
    """The names of the images that are looked at."""
    looked, survey = [], sample_files.survey
    monkeypatch.setattr(
        sample_files, "survey", lambda source, **how: looked.append(source.image.stem) or survey(source, **how)
    )
    return looked


def begin(data, cache, **how):
    """Open a folder as a run does that keeps what it knows in `cache`."""
    with Known(cache) as known:
        return open_folder(data, known=known, **how)


def plain(samples):
    """Everything in samples, in a form that can be compared to the last bit."""
    return [
        [(value.dtype, value.tolist()) if isinstance(value, np.ndarray) else value for value in
         (one.source, one.choice, one.shape, *one.ends, one.diameter, one.digest, one.ids, one.packed, one.stamps,
          one.pixel_size)]
        for one in samples
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_what_is_kept_is_what_was_found_out(data, tmp_path, surveyed, dtype):
    tifffile.imwrite(data / "images" / "00001.tif", draw((90, 70), 1)[0].astype(dtype) / 3)
    for name in ("masks", "images"):
        (tmp_path / "kaggle" / "one" / name).mkdir(parents=True)
        save_png(tmp_path / "kaggle" / "one" / name / "a.png", np.eye(9, dtype=np.uint8))
    for folder in (settled(data), settled(tmp_path / "kaggle")):
        cache = tmp_path / "run" / f"{folder.name}.cache"
        once = plain(begin(folder, cache))
        assert once == plain(open_folder(folder))
        surveyed.clear()
        assert plain(begin(folder, cache)) == once
        assert surveyed == []


def test_what_changed_is_looked_at_again(data, tmp_path, surveyed):
    cache = tmp_path / "cache"
    before = begin(data, cache)
    label = data / "labels" / "00002.tif"
    content = tifffile.imread(label)
    tifffile.imwrite(label, content[::-1].copy())  # as many bytes
    os.utime(label, (1e9, 1e9 + 1))
    surveyed.clear()
    after = begin(data, cache)
    assert surveyed == ["00002"]
    assert [one.digest == other.digest for one, other in zip(before, after, strict=True)] == [True, True, False, True]
    (data / "images" / "00003.tif").unlink()
    (data / "labels" / "00003.tif").unlink()
    begin(data, cache)
    assert surveyed == ["00002"]
    assert len(cache.read_bytes().splitlines()) == 1 + 3
    begin(data, cache, percentiles=(0.0, 100.0))
    begin(data, cache, channel=0, percentiles=(0.0, 100.0))
    assert surveyed == ["00002"] + 2 * ["00000", "00001", "00002"]
    elsewhere = data.rename(tmp_path / "elsewhere")
    begin(elsewhere, cache, channel=0, percentiles=(0.0, 100.0))
    assert len(surveyed) == 1 + 3 * 3


def test_a_part_of_a_zarr_that_changed_is_noticed(tmp_path, surveyed):
    pytest.importorskip("zarr")
    data = settled(write_folder(tmp_path / "data", "zarr", count=1))
    begin(data, tmp_path / "cache")
    begin(data, tmp_path / "cache")
    assert surveyed == ["00000"]
    chunk = max((data / "images").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    os.utime(chunk, (1e9, 1e9 + 1))
    begin(data, tmp_path / "cache")
    assert surveyed == ["00000"] * 2


def test_what_may_still_change_is_not_kept(data, tmp_path, surveyed):
    (data / "images" / "00001.tif").touch()
    begin(data, tmp_path / "cache")
    surveyed.clear()
    begin(data, tmp_path / "cache")
    assert surveyed == ["00001"]


def flipped(content):
    place = content.index(b'"shape": [') + 10
    return content[:place] + b"7" + content[place + 1 :]


@pytest.mark.parametrize(
    ("spoil", "again"),
    [
        (lambda content: content[:-100], 1),
        (flipped, 1),
        (lambda content: b"", 4),
        (lambda content: bytes(range(256)) * 9 + b"\n" + content, 0),
        (lambda content: content.replace(b" ", b""), 4),
    ],
)
def test_a_broken_file_is_no_error(data, tmp_path, surveyed, spoil, again):
    cache = tmp_path / "cache"
    expected = plain(begin(data, cache))
    cache.write_bytes(spoil(cache.read_bytes()))
    surveyed.clear()
    assert plain(begin(data, cache)) == expected
    assert len(surveyed) == again
    begin(data, cache)
    assert len(surveyed) == again


def test_where_nothing_can_be_kept_training_begins_all_the_same(data, tmp_path):
    expected = plain(open_folder(data))
    (tmp_path / "folder").mkdir()
    assert plain(begin(data, tmp_path / "folder")) == expected
    (tmp_path / "file").touch()
    assert plain(begin(data, tmp_path / "file" / "cache")) == expected


def test_after_an_error_what_was_found_out_is_kept(data, tmp_path, surveyed):
    spoilt = data / "labels" / "00002.tif"
    content = spoilt.read_bytes()
    spoilt.write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(DataError, match=r"00002\.tif"):
            begin(settled(data), tmp_path / "cache")
    spoilt.write_bytes(content)
    begin(settled(data), tmp_path / "cache")
    assert surveyed == ["00000", "00001", "00002", "00002", "00002", "00003"]


def test_what_looks_like_a_mistake_is_said_at_every_start(data, tmp_path):
    mask = np.zeros((90, 70), np.uint8)
    mask[5, 5] = mask[50, 50] = 255
    for number in (1, 2):
        tifffile.imwrite(data / "labels" / f"0000{number}.tif", mask)
    for _ in range(2):
        with pytest.warns(DataWarning, match=r"00001\.tif.*1 more such file"):
            begin(settled(data), tmp_path / "cache")


def share(rank, data, cache, folder):
    """What one of two processes does."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    torch.distributed.init_process_group("gloo", f"file://{folder / 'store'}", rank=rank, world_size=2)
    group, looked = Group.join(torch.device("cpu")), []
    survey = sample_files.survey
    sample_files.survey = lambda source, **how: looked.append(source.image.stem) or survey(source, **how)
    try:
        with Known(cache, group) as known:
            found = plain(open_folder(data, known=known))
    except DataError as error:
        found = str(error)
    torch.save((looked, found), folder / f"{rank}.pt")
    group.leave()


def shared(data, cache, folder):
    """What two processes look at, and what each of them then knows."""
    folder.mkdir()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=share, args=(rank, data, cache, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return map(list, zip(*[torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)], strict=True))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_processes_share_the_work_and_agree(data, tmp_path):
    cache, expected = tmp_path / "run" / "cache", plain(open_folder(data))
    looked, found = shared(data, cache, tmp_path / "once")
    assert sorted([*looked[0], *looked[1]]) == ["00000", "00001", "00002", "00003"]
    assert min(map(len, looked)) > 0
    assert found == [expected, expected]
    label = data / "labels" / "00003.tif"
    label.write_bytes(b"no image")
    os.utime(label, (1e9, 1e9))
    looked, found = shared(data, cache, tmp_path / "again")
    assert [*looked[0], *looked[1]] == ["00003"]
    assert found[0] == found[1]
    assert "00003.tif" in found[0]


def test_a_run_keeps_it_beside_its_checkpoint_and_leaves_the_data_alone(data, tmp_path, surveyed):
    whole = tmp_path / "all"
    whole.mkdir()
    data.rename(whole / "train")
    settled(whole)
    before = sorted((path, path.stat().st_mtime_ns) for path in whole.rglob("*"))
    command = ["train", str(whole), "--out", str(tmp_path / "run"), "--steps=1", "--batch=1", "--crop=16",
               "--filters=2", "--dim=2", "--hold-out=0", "--device=cpu"]  # fmt: skip
    assert main(command) == 0
    assert (tmp_path / "run" / "samples.cache").read_bytes().startswith(b"embedseg-ops ")
    assert sorted((path, path.stat().st_mtime_ns) for path in whole.rglob("*")) == before
    surveyed.clear()
    assert main(command) == 0
    assert surveyed == []
    other = tmp_path / "other"
    other.mkdir()
    (other / "samples.cache").write_text("precious")
    assert main([*command[:2], "--out", str(other), *command[4:]]) == 2
    assert (other / "samples.cache").read_text() == "precious"


def test_the_bar_counts_all_images(data, tmp_path, capsys):
    open_folder(data, progress=True)
    assert "| 4/4 [" in capsys.readouterr().err


def test_labels_are_found_beside_many_images_in_one_pass(tmp_path, monkeypatch):
    for number in range(100):
        for name in (f"{number}.png", f"{number}_masks.png"):
            (tmp_path / name).touch()
    calls, stem = [], names.stem
    monkeypatch.setattr(names, "stem", lambda path: calls.append(path) or stem(path))
    assert [Path(one.labels[0]).name for one in find_sources(tmp_path)][:2] == ["0_masks.png", "1_masks.png"]
    assert len(calls) < 20 * 200
