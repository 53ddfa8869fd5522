"""The command line, from a folder of images to labels."""

import numpy as np
import pytest
import tifffile
import torch
from commands import run
from PIL import Image
from samples import cells

from embedseg_ops.command.main import main
from embedseg_ops.model.files import load_model


@pytest.fixture
def data(tmp_path):
    for number in range(3):
        labels = cells((40, 48), 8, number, gap=0.4).numpy()
        for name, array in {"images": (labels > 0).astype(np.uint8) * 200, "labels": labels.astype(np.uint16)}.items():
            folder = tmp_path / "data" / "train" / name
            folder.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / f"{number}.tif", array)
    return tmp_path / "data"


def test_train_and_predict(data, tmp_path, capsys):
    options = ["--steps", "2", "--batch", "1", "--crop", "32", "--filters", "2", "--hold-out", "2", "--no-foreground"]
    assert main(["train", str(data), "--out", str(tmp_path / "run"), *options]) == 0
    assert "training on 1 image, validating on 2, on device cpu" in capsys.readouterr().err
    model = str(tmp_path / "run" / "best.safetensors")
    tuned = ["train", str(data), "--out", str(tmp_path / "tuned"), "--init", model, *options[:6]]
    assert main(tuned) == 0
    tuned_settings = load_model(tmp_path / "tuned" / "last.safetensors")[1]
    assert (tuned_settings.foreground, tuned_settings.filters, tuned_settings.residual) == (False, 2, 0)
    more = [*tuned[:3], str(tmp_path / "more"), *tuned[4:], "--foreground", "--residual", "1"]
    assert main(more) == 0
    grown = load_model(tmp_path / "more" / "last.safetensors")[1]
    assert (grown.foreground, grown.filters, grown.residual) == (True, 2, 1)
    out = tmp_path / "labels"
    assert main(["predict", str(data / "train" / "images"), "--model", model, "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["0.tif", "1.tif", "2.tif", "overlays", "records"]
    assert np.asarray(Image.open(out / "overlays" / "0.png")).shape == (40, 48, 3)
    labels = tifffile.imread(out / "0.tif")
    assert (labels.shape, labels.dtype) == ((40, 48), np.uint16)


def test_train_on_one_channel_of_colours(data, tmp_path):
    for path in sorted((data / "train" / "images").iterdir()):
        image = tifffile.imread(path)
        tifffile.imwrite(path, np.stack([image, image, image], -1), photometric="rgb")
    options = ["--steps", "1", "--batch", "1", "--crop", "32", "--filters", "2"]
    for name, more in {"all": [], "grey": ["--channels", "1"], "green": ["--channel", "green"]}.items():
        assert main(["train", str(data), "--out", str(tmp_path / name), *options, *more]) == 0
        assert load_model(tmp_path / name / "last.safetensors")[1].channels == (1 if more else 3)
        assert ("\nchannel" in (tmp_path / name / "run.toml").read_text()) == bool(more)


def test_train_on_one_plane_of_volumes(data, tmp_path):
    command = ["--steps", "1", "--batch", "1", "--crop", "32", "--filters", "2"]
    losses = {}
    for number, path in enumerate(sorted((data / "train" / "images").iterdir())):
        tifffile.imwrite(path, np.random.default_rng(number).integers(0, 200, (40, 48), np.uint8))
    for name, more in {"plane": [], "percentiles": ["--percentiles", "[20,80]"], "volume": ["--z", "1"]}.items():
        if name == "volume":
            for path in sorted((data / "train" / "images").iterdir()):
                image = tifffile.imread(path)
                tifffile.imwrite(path, np.stack([image // 2, image]), metadata={"axes": "ZYX"})
        assert main(["train", str(data), "--out", str(tmp_path / name), *command, *more]) == 0
        losses[name] = (tmp_path / name / "losses.csv").read_text()
    assert losses["volume"] == losses["plane"] != losses["percentiles"]
    assert "\nz = 1\n" in (tmp_path / "volume" / "run.toml").read_text()


def test_wrong_files_are_said_in_one_line(tmp_path, capsys):
    assert main(["train", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert f"{tmp_path}: expected images/ beside labels/" in capsys.readouterr().err


def test_processes_that_train_together_say_an_error_once(data, tmp_path, monkeypatch, capsys):
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for name, value in (("USE_AGENT_STORE", "True"), ("RESTART_COUNT", "0")):
        monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    missing = ["train", tmp_path / "missing", "--out", tmp_path / "run"]
    wrong = ["train", data, "--out", tmp_path / "run", "--batch", "0"]
    for words, said in ((missing, "no such folder"), (wrong, "expected 1 or more, got 0")):
        (first, lines), again = (run(*words, capsys=capsys) for _ in range(2))
        assert first == 2
        assert len(lines) == 1
        assert said in lines[0]
        assert again == (2, [])
    other = ["train", tmp_path / "other", "--out", tmp_path / "run"]
    assert len(run(*other, capsys=capsys)[1]) == 1
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert len(run(*missing, capsys=capsys)[1]) == 1
