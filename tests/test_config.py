"""``train --config``: options from a file, and the file that a run writes."""

import dataclasses
import sys

import numpy as np
import pytest
import tifffile
from commands import run, write_image
from samples import cells

from embedseg_ops.command import train
from embedseg_ops.command.config import configuration, with_configuration
from embedseg_ops.command.main import make_parser
from embedseg_ops.command.options import make
from embedseg_ops.data.augmentation import Augmentation
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.options import Options

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHOICES = [
    (Options(), Settings()),
    (Options(steps=7, weights="balanced", bf16=True, augmentation=None), Settings(filters=3, postprocess={})),
    (Options(bf16=False, learning_rate=1e-5, augmentation=Augmentation(flip=False, scale=0.0), seed=3),
     Settings(head_filters=4, diameter=26.0, foreground=True, percentiles=(2.0, 99.0), provenance="d'où \"?\" ✓")),
]  # fmt: skip


def read(given):
    options = make_parser().parse_args(["train", *with_configuration(given, train.add_arguments)])
    return options, make(Options, vars(options)), make(Settings, {**vars(options), "channels": 1})


@pytest.mark.parametrize(("chosen", "settings"), CHOICES)
def test_what_a_run_writes_gives_the_same_options(tmp_path, chosen, settings):
    alone = {"data": "some/data", "out": "some/run", "hold_out": 0, "init": None, "device": "cpu"}
    (tmp_path / "run.toml").write_bytes(configuration(alone, {"training": chosen, "model": settings}, train.FOUND_OUT))
    options, again, same = read(["--config", str(tmp_path / "run.toml")])
    assert (again, same) == (chosen, settings)
    assert (str(options.data), str(options.out), options.hold_out) == ("some/data", "some/run", 0)


def test_the_command_line_goes_before_the_file(tmp_path):
    (tmp_path / "my.toml").write_text(
        'data = "there"\nout = "here"\nsteps = 3\n[training]\nbatch = 2\n[model]\ndim = 5\n'
    )
    given = ["other", "--config", str(tmp_path / "my.toml"), "--steps", "9", "--out", "o"]
    options, chosen, settings = read(given)
    assert (str(options.data), str(options.out), chosen.steps, chosen.batch, settings.dim) == ("other", "o", 9, 2, 5)


def test_a_run_can_be_started_from_its_own_file(tmp_path, capsys):
    data = tmp_path / "data" / "train"
    for number in range(2):
        labels = cells((40, 40), 6, number, gap=0.4).numpy()
        for name in ("images", "labels"):
            (data / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(data / name / f"{number}.tif", labels.astype(np.uint16))
    out = tmp_path / "run"
    small = ["--steps", "1", "--batch", "1", "--crop", "16", "--filters", "2", "--hold-out", "2"]
    assert run("train", data.parent, "--out", out, *small, capsys=capsys)[0] == 0
    written = (out / "run.toml").read_bytes()
    assert tomllib.loads(written.decode())["training"]["steps"] == 1
    assert run("train", "--config", out / "run.toml", capsys=capsys) == (0, [])
    assert (out / "run.toml").read_bytes() == written
    assert run("train", "--config", out / "run.toml", "--out", tmp_path / "second", capsys=capsys)[0] == 0


def test_training_replaces_nothing_that_is_not_its_own(tmp_path, capsys):
    write_image(tmp_path / "data" / "train" / "images" / "a.tif")
    write_image(tmp_path / "data" / "train" / "labels" / "a.tif")
    out = tmp_path / "run"
    out.mkdir()
    for name in ("run.toml", "losses.csv", "best.safetensors"):
        (out / name).write_bytes(b"mine")
        status, said = run("train", tmp_path / "data", "--out", out, "--steps", "1", capsys=capsys)
        assert status == 2
        assert f"{name}: is there, and not as this program wrote it" in said[0]
        assert (out / name).read_bytes() == b"mine"
        (out / name).unlink()


def test_a_run_that_ended_before_its_first_checkpoint_begins_again(tmp_path, capsys):
    write_image(tmp_path / "images" / "a.tif")
    write_image(tmp_path / "labels" / "a.tif")  # without train/, the folder itself
    command = ["train", tmp_path, "--out", tmp_path / "run", "--steps", "1", "--batch", "1", "--crop", "9",
               "--filters", "1"]  # fmt: skip
    for _ in range(2):
        assert run(*command, capsys=capsys)[0] == 0
        for name in ("checkpoint.pt", "best.safetensors", "last.safetensors"):
            (tmp_path / "run" / name).unlink()


def test_every_field_can_be_written():
    for cls in (Options, Settings):
        assert dataclasses.is_dataclass(cls)
        assert configuration({}, {"training": cls()}, train.FOUND_OUT).startswith(b"# embedseg-ops ")
