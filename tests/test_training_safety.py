"""Training: stops at what is not finite, resumes what it may, and leaves every folder whole."""

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from machines import POSIX
from test_training import OPTIONS, SETTINGS, samples, stop_after

import embedseg_ops
from embedseg_ops.command.options import add_options
from embedseg_ops.data.augmentation import Augmentation
from embedseg_ops.data.samples import Sample
from embedseg_ops.data.writing import HOST
from embedseg_ops.model.files import load_model, save_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.identity import digest
from embedseg_ops.train.lock import locked
from embedseg_ops.train.log import RunLog
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer


def trainer_in(out, settings=SETTINGS, train=None, init=None, **options):
    return Trainer(out, settings, train or samples(), [], replace(OPTIONS, **options), init=init)


def run_some(trainer, steps):
    trainer.after_step = stop_after(trainer, steps)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_last_good_checkpoint(tmp_path):
    trainer = trainer_in(tmp_path)
    run_some(trainer, 4)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    trainer = trainer_in(tmp_path)
    assert trainer.step == 4
    loss = trainer.loss

    def broken(*crops):
        found = loss(*crops)
        return found._replace(total=found.total * torch.nan) if trainer.step == 5 else found

    trainer.loss = broken
    with pytest.raises(ValueError, match=r"the loss of step 6 is not finite \(total nan"):
        trainer.run()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())
    assert not (tmp_path / "last.safetensors").exists()
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 1 + 5
    trainer_in(tmp_path).run()
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 1 + OPTIONS.steps


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"seed_treshold": 0.5}, ValueError, "postprocess has no option seed_treshold; it has background_threshold"),
        ({"min_object_size": 2.5}, TypeError, "min_object_size must be an integer"),
        ({"min_depth_pixels": -1}, ValueError, "min_depth_pixels must be 0"),
        ({"spatial_dims": 2}, ValueError, "postprocess has no option spatial_dims"),
    ],
)
def test_options_of_the_postprocessing_are_checked_before_anything(tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        trainer_in(tmp_path / "run", replace(SETTINGS, postprocess=settings))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("steps", 0, ValueError), ("batch", 2.0, TypeError), ("crop", -1, ValueError), ("clip", 0.0, ValueError),
        ("learning_rate", float("nan"), ValueError), ("distance", -3.0, ValueError), ("workers", -1, ValueError),
        ("weights", "equal", ValueError), ("checkpoint_every", 0, ValueError),
    ],
)  # fmt: skip
def test_options_say_what_they_may_be(name, value, error):
    with pytest.raises(error, match=f"{name} must be"):
        Options(**{name: value})


@pytest.mark.parametrize(
    ("cls", "name", "value", "error"),
    [
        (Settings, "spatial_dims", 4, ValueError), (Settings, "diameter", 0, ValueError),
        (Settings, "dim", 0, ValueError),
        (Settings, "filters", None, TypeError), (Settings, "residual", -1, ValueError),
        (Augmentation, "scale", -0.1, ValueError), (Augmentation, "elastic_grid", 0, ValueError),
        (Options, "learning_rate", 0, ValueError),
    ],
)  # fmt: skip
def test_every_number_is_checked_in_python_as_on_the_command_line(cls, name, value, error, capsys):
    with pytest.raises(error, match=f"{name} must be"):
        cls(**{name: value})
    parser = argparse.ArgumentParser()
    add_options(parser, cls)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--{name.replace('_', '-')}={value}"])
    assert f"argument --{name.replace('_', '-')}: " in capsys.readouterr().err


def test_new_weights_learn_faster_than_those_of_a_model(tmp_path):
    save_model(tmp_path / "model", SETTINGS.build(), SETTINGS)
    assert trainer_in(tmp_path / "a").options.learning_rate == 2e-3
    tuned = trainer_in(tmp_path / "b", init=tmp_path / "model")
    assert tuned.options.learning_rate == 2e-5
    assert tuned.optimizer.param_groups[-1]["max_lr"] == 2e-5
    assert trainer_in(tmp_path / "c", init=tmp_path / "model", learning_rate=1e-3).options.learning_rate == 1e-3


def test_a_run_is_what_its_weights_depend_on(tmp_path):
    for name in ("one", "two"):
        save_model(tmp_path / name, SETTINGS.build(), SETTINGS)
    run = tmp_path / "run"
    trainer = trainer_in(run, init=tmp_path / "one")
    run_some(trainer, 4)
    torch.save({**torch.load(run / "checkpoint.pt"), "best": 0.9}, run / "checkpoint.pt")
    other = replace(SETTINGS, postprocess={"seed_threshold": 0.5}, provenance="mine")
    assert trainer_in(run, init=tmp_path / "one").best == 0.9
    assert trainer_in(run, other, init=tmp_path / "one", checkpoint_every=3, validate_every=7).step == 4
    assert trainer_in(run, other, init=tmp_path / "one").best == -1  # measured with another postprocessing
    moved = [Sample("elsewhere", one.image, one.labels) for one in samples()]
    assert trainer_in(run, train=moved, init=tmp_path / "one").step == 4
    for changes, names in [
        ({"init": tmp_path / "two"}, "init"),
        ({"init": None, "learning_rate": 2e-5}, "init"),
        ({"train": samples(4)}, "images"),
        ({"train": samples()[::-1]}, "images"),
        ({"steps": 7}, "steps"),
        ({"seed": 5}, "seed"),
    ]:
        with pytest.raises(ValueError, match=rf"holds a run with other options \({names}\)"):
            trainer_in(run, **{"init": tmp_path / "one", **changes})


def test_a_run_starts_from_weights_and_not_from_the_words_about_them(tmp_path):
    model = SETTINGS.build()
    save_model(tmp_path / "one", model, SETTINGS)
    begun = digest((tmp_path / "one").read_bytes())
    run_some(trainer_in(tmp_path / "run", init=tmp_path / "one"), 2)
    save_model(tmp_path / "other words", model, replace(SETTINGS, about="the same", scores={"AP50": 0.5}))
    assert trainer_in(tmp_path / "run", init=tmp_path / "other words").step == 2
    checkpoint = torch.load(tmp_path / "run" / "checkpoint.pt")
    checkpoint["identity"]["start"]["init"] = begun  # of the file, as checkpoints hold it that were written before
    torch.save(checkpoint, tmp_path / "run" / "checkpoint.pt")
    assert trainer_in(tmp_path / "run", init=tmp_path / "one").step == 2
    save_model(tmp_path / "one", SETTINGS.build(), SETTINGS)
    with pytest.raises(ValueError, match=r"holds a run with other options \(init\)"):
        trainer_in(tmp_path / "run", init=tmp_path / "one")


def test_a_finished_run_may_be_given_more_steps(tmp_path):
    trainer_in(tmp_path, steps=4).run()
    longer = trainer_in(tmp_path, steps=8)
    assert longer.step == 4
    fresh = trainer_in(tmp_path / "fresh", steps=8)
    for _ in range(4):
        fresh.optimizer.step()
        fresh.schedule.step()
    assert longer.schedule.get_last_lr() == pytest.approx(fresh.schedule.get_last_lr())
    longer.run()
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 1 + 8
    assert load_model(tmp_path / "last.safetensors")[1].training["step"] == 8


@POSIX
def test_one_folder_holds_one_run_at_a_time(tmp_path):
    trainer = trainer_in(tmp_path)
    with locked(tmp_path), pytest.raises(ValueError, match=rf"is in use by another run, process {os.getpid()}"):
        trainer.run()
    trainer.run()
    with locked(tmp_path):
        pass


@POSIX
def test_a_run_removes_what_killed_runs_left_half_written(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    parts = [tmp_path / f".embedseg-{HOST}-{number}-0.part.pt" for number in (process.pid, os.getpid())]
    for part in parts:
        part.touch()
    trainer_in(tmp_path, steps=1).run()
    assert [part.exists() for part in parts] == [False, True]


def test_losses_survive_whatever_a_kill_or_a_full_disk_left(tmp_path):
    path = tmp_path / "losses.csv"
    path.write_text("step,total\n1,0.5\n\0\0\n2,0.25\n3,0.125\n4,0.0")
    before = path.stat().st_ino
    RunLog(tmp_path, 2, 9).close()
    assert path.read_text() == "step,total\n1,0.5\n2,0.25\n"
    assert path.stat().st_ino != before  # replaced as a whole, not written in place


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from test_training_safety import trainer_in
from embedseg_ops.command import main as command, train
train.run = lambda options: trainer_in(sys.argv[1], steps=100000, checkpoint_every=100000, validate_every=100000).run()
sys.exit(command.main(["train", "data", "--out", sys.argv[1]]))
"""


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_and_exits_with_130(tmp_path, number):
    paths = os.pathsep.join([str(Path(embedseg_ops.__file__).parents[1]), str(Path(__file__).parent)])
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not (out / ".lock").exists() or not (out / "losses.csv").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    step = torch.load(out / "checkpoint.pt")["step"]
    assert step > 0
    assert len((out / "losses.csv").read_text().splitlines()) == 1 + step
