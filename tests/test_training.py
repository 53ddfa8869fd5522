"""Training: resumed as if never interrupted, safe against kill −9, the same in two processes as in one."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from samples import cells

import embedseg_ops
from embedseg_ops.data.samples import Sample
from embedseg_ops.model.files import load_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

SETTINGS = Settings(filters=2, dim=4, postprocess={"seed_threshold": 0.3})
OPTIONS = Options(steps=8, batch=2, crop=32, checkpoint_every=2, validate_every=4, bf16=False)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the other processes: the order of sums decides the last digits
    yield
    torch.set_num_threads(threads)


def samples(count=3):
    labels = [cells((48, 40), 8, seed, gap=0.4) for seed in range(count)]
    return [Sample(f"cells {number}", (label > 0)[None].float(), label) for number, label in enumerate(labels)]


def train(out, steps=None, **options):
    """Train, up to `steps` if given; return the table of losses."""
    trainer = Trainer(out, SETTINGS, samples(), samples(1), replace(OPTIONS, **options))
    if steps is not None:
        trainer.after_step = stop_after(trainer, steps)
    try:
        trainer.run()
    except KeyboardInterrupt:
        trainer.log.close()
    return (Path(out) / "losses.csv").read_text()


def stop_after(trainer, steps):
    after_step = trainer.after_step

    def stop(losses):
        after_step(losses)
        if trainer.step == steps:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("bf16", [False, True])
def test_resumed_is_as_if_never_interrupted(tmp_path, bf16):
    uninterrupted = train(tmp_path / "one", bf16=bf16)
    train(tmp_path / "two", steps=5, bf16=bf16)  # the checkpoint is that of step 4
    assert train(tmp_path / "two", bf16=bf16) == uninterrupted
    assert len(uninterrupted.splitlines()) == 1 + OPTIONS.steps
    one, two = (torch.load(tmp_path / run / "checkpoint.pt")["model"] for run in ("one", "two"))
    for name in one:
        assert torch.equal(one[name], two[name])


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("bf16", [None, False, True])
def test_bfloat16_is_for_devices_that_have_it_unless_told(tmp_path, monkeypatch, bf16, native):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    trainer = Trainer(tmp_path, SETTINGS, samples(1), [], replace(OPTIONS, bf16=bf16), device="cpu")
    with trainer.autocast():
        assert torch.is_autocast_enabled("cpu") == (native if bf16 is None else bf16)


def test_the_seed_decides(tmp_path):
    assert train(tmp_path / "a", steps=1) == train(tmp_path / "b", steps=1) != train(tmp_path / "c", steps=1, seed=1)


def test_a_run_leaves_models_that_load(tmp_path):
    train(tmp_path)
    for name in ("best", "last"):
        _, settings = load_model(tmp_path / f"{name}.safetensors")
        assert settings.postprocess == SETTINGS.postprocess
        assert settings.training["crop"] == OPTIONS.crop
    scores = load_model(tmp_path / "best.safetensors")[1].scores
    assert 0 <= scores["validation mean AP"] <= 1
    assert scores == {name: round(value, 4) for name, value in scores.items()}


def test_another_runs_folder_is_refused(tmp_path):
    train(tmp_path, steps=2)
    with pytest.raises(ValueError, match=r"holds a run with other options \(clip, seed\)"):
        train(tmp_path, seed=3, clip=2.0)
    (tmp_path / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"checkpoint\.pt does not fit this run"):
        train(tmp_path)
    for other in ({"weights": torch.zeros(1)}, torch.zeros(1)):
        torch.save(other, tmp_path / "checkpoint.pt")
        with pytest.raises(ValueError, match=r"checkpoint\.pt does not fit this run"):
            train(tmp_path)


def test_a_run_begun_when_there_was_one_optimiser_is_one_of_adamw(tmp_path):
    train(tmp_path, steps=2, optimizer="adamw")
    checkpoint = torch.load(tmp_path / "checkpoint.pt")
    del checkpoint["identity"]["options"]["optimizer"]
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"other options \(optimizer\)"):
        train(tmp_path)
    assert len(train(tmp_path, optimizer="adamw").splitlines()) == 1 + OPTIONS.steps


def test_a_run_begun_before_there_was_a_foreground_has_none(tmp_path):
    train(tmp_path, steps=2)
    checkpoint = torch.load(tmp_path / "checkpoint.pt")
    del checkpoint["identity"]["settings"]["foreground"]
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"other options \(foreground\)"):
        train(tmp_path)


def test_a_run_begun_before_an_option_existed_goes_on_with_its_default(tmp_path):
    train(tmp_path, steps=2)
    checkpoint = torch.load(tmp_path / "checkpoint.pt")
    del checkpoint["identity"]["options"]["foreground_weight"]
    del checkpoint["identity"]["options"]["augmentation"]["rotate"]
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"other options \(foreground_weight\)"):
        train(tmp_path, foreground_weight=2.0)
    assert len(train(tmp_path).splitlines()) == 1 + OPTIONS.steps


def test_one_pixel_cannot_be_normalised(tmp_path):
    with pytest.raises(ValueError, match="batch 1 and crop 8 leave one pixel at the network's lowest level"):
        train(tmp_path, batch=1, crop=8)
    assert train(tmp_path, steps=1, batch=1, crop=9)


def test_the_loss_falls(tmp_path):
    table = train(tmp_path, steps=30, augmentation=None, validate_every=100, learning_rate=1e-2)
    totals = [float(line.split(",")[1]) for line in table.splitlines()[1:]]
    assert sum(totals[-2:]) < sum(totals[:2])


def test_volumes_train(tmp_path):
    labels = cells((12, 20, 24), 6, gap=0.4)
    volume = Sample("volume", (labels > 0)[None].float(), labels)
    options = replace(OPTIONS, steps=2, crop=8, checkpoint_every=1)
    Trainer(tmp_path, replace(SETTINGS, spatial_dims=3), [volume], [volume], options).run()
    assert load_model(tmp_path / "best.safetensors")[1].spatial_dims == 3


def stacked(trainer, numbers):
    return [torch.stack(parts) for parts in zip(*[trainer.crops[number] for number in numbers], strict=True)]


@pytest.fixture
def run_script():
    """Starts training processes of this file's `main`; those that still run after the test are killed."""
    processes = []

    def start(out, **environment):
        paths = os.pathsep.join([str(Path(embedseg_ops.__file__).parents[1]), str(Path(__file__).parent)])
        variables = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [paths, os.environ.get("PYTHONPATH")]))
        processes.append(subprocess.Popen([sys.executable, __file__, str(out)], env=variables, stderr=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        with process:
            process.kill()


def test_killed_at_any_moment_it_resumes(tmp_path, run_script):
    uninterrupted = train(tmp_path / "one", steps=4, checkpoint_every=1, validate_every=100)
    process = run_script(tmp_path / "killed")
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    while not checkpoint.exists():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    (tmp_path / "killed" / ".checkpoint.pt.part").write_bytes(checkpoint.read_bytes()[:1000])  # as if amid the next
    resumed = train(tmp_path / "killed", checkpoint_every=1, validate_every=100)
    assert resumed.startswith(uninterrupted)
    assert len(resumed.splitlines()) == 1 + OPTIONS.steps


def gradients_of(out, batch_norm):
    """The gradients of this process's share of a batch of four, and the buffers, in double precision."""
    torch.manual_seed(0)
    settings = replace(SETTINGS, batch_norm=batch_norm)
    options = replace(OPTIONS, batch=4)
    trainer = Trainer(out, settings, samples(), [], options, "cpu", settings.build().double())
    image, *labels = stacked(trainer, trainer.group.share(0, 1, 4)[0])
    trainer.loss(image.double(), *labels).total.backward()
    named = {name: parameter.grad for name, parameter in trainer.model.named_parameters()}
    return named | dict(trainer.model.named_buffers())


@pytest.mark.parametrize("batch_norm", [False, True])
def test_two_processes_give_the_gradients_of_one(tmp_path, run_script, batch_norm):
    expected = gradients_of(tmp_path, batch_norm)
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "TEST_STORE": str(tmp_path / "store")}
    common["TEST_BATCH_NORM"] = "1" if batch_norm else ""
    processes = [run_script(tmp_path / f"rank{rank}", RANK=str(rank), **common) for rank in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    for rank in range(2):
        gradients = torch.load(tmp_path / f"rank{rank}" / "gradients.pt")
        assert gradients.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(gradients[name], value, atol=1e-9, rtol=1e-6)


def main(out):
    """What the processes above do: train, or compute the gradients of a rank's share."""
    if "RANK" not in os.environ:
        train(out, checkpoint_every=1, validate_every=100)
        return
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.distributed.init_process_group("gloo", f"file://{os.environ['TEST_STORE']}", rank=rank, world_size=size)
    torch.save(gradients_of(out, bool(os.environ["TEST_BATCH_NORM"])), Path(out) / "gradients.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
