"""Wrong options and wrong files: one line that says what is wrong, and an exit status; never a traceback."""

import importlib.util
import io
import json
import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from commands import model, run, write_image  # noqa: F401  # fixtures
from PIL import Image
from safetensors.torch import save_file
from samples import cells

OPTIONS = """
| required: COMMAND
explode | invalid choice: 'explode'
predict | required: images, --out
predict IMAGE | required: --out
predict IMAGE --out | argument --out: expected one argument
predict IMAGE --out OUT --tile 0 | argument --tile: expected 1 or more, got 0
predict IMAGE --out OUT --tile -5 | argument --tile: expected 1 or more, got -5
predict IMAGE --out OUT --tile 1.5 | argument --tile: invalid int value: '1.5'
predict IMAGE --out OUT --tile big | argument --tile: invalid int value: 'big'
predict IMAGE --out OUT --overlap -1 | argument --overlap: expected 0 or more
predict IMAGE --out OUT --overlap x | argument --overlap: invalid int
predict IMAGE --out OUT --gamma 0 | argument --gamma: expected a finite number above 0
predict IMAGE --out OUT --gamma nan | argument --gamma: expected a finite number
predict IMAGE --out OUT --gamma inf | argument --gamma: expected a finite number
predict IMAGE --out OUT --gamma light | argument --gamma: invalid float
predict IMAGE --out OUT --diameter 0 | argument --diameter: expected a finite number above 0
predict IMAGE --out OUT --diameter -3 | argument --diameter: expected a finite number above 0
predict IMAGE --out OUT --diameter nan | argument --diameter: expected a finite number
predict IMAGE --out OUT --diameter 9 | this model has none of its own
predict IMAGE --out OUT --device tpu | argument --device: expected cpu, cuda, cuda:N or mps, got 'tpu'
predict IMAGE --out OUT --device cuda:99 | finds no device cuda:99
predict IMAGE --out OUT --device cpu:1 | finds no device cpu:1
predict IMAGE --out OUT --device mps:7 | finds no device mps:7
predict IMAGE --out OUT --device CUDA | argument --device: expected
predict IMAGE --out OUT --write picture | argument --write: unknown 'picture'; expected labels
predict IMAGE --out OUT --write labels,,table | argument --write: unknown ''
predict IMAGE --out OUT --z -1 | argument --z: expected 0 or more
predict IMAGE --out OUT --z some | argument --z: invalid plane value
predict IMAGE --out OUT --time -1 | argument --time: expected 0 or more
predict IMAGE --out OUT --time 1.5 | argument --time: invalid plane value
predict IMAGE --out OUT --threshold high | argument --seed-threshold/--threshold: invalid float
predict IMAGE --out OUT --threshold nan | seed_threshold
predict IMAGE --out OUT --max-cosine-distance inf | max_cosine_distance
predict IMAGE --out OUT --min-size 0 | min_object_size
predict IMAGE --out OUT --min-size 2.5 | invalid int value: '2.5'
predict IMAGE --out OUT --min-seed-size -1 | min_seed_size
predict IMAGE --out OUT --seed-smoothing -1 | seed_smoothing
predict IMAGE --out OUT --min-depth-pixels -1 | min_depth_pixels
predict IMAGE --out OUT --background-threshold nan | background_threshold
predict IMAGE --out OUT --background-threshold low | invalid float
predict IMAGE --out OUT --max-objects 0 | max_objects
predict IMAGE --out OUT --thresh 0.5 | unrecognized arguments: --thresh
predict IMAGE --out OUT --colour | unrecognized arguments: --colour
predict NOTHING --out OUT | nothing.tif: no such file or folder
predict EMPTY --out OUT | empty: no image there
predict NOTHING*.tif --out OUT | no file that fits this pattern
predict IMAGE --out OUT --model NOTHING | nothing.tif does not exist
predict IMAGE --out OUT --model EMPTY | empty does not exist
predict IMAGE --out OUT --model IMAGE | not a readable safetensors file
predict IMAGE --out IMAGE | exists already, and no run
predict IMAGE --out labels.png | --out labels.png: expected a folder, or NAME.zarr
predict IMAGE --out labels.TIFF | --out labels.TIFF: expected a folder, or NAME.zarr
export --to onnx --out model.zip | --out model.zip: must end in .onnx for --to onnx
predict IMAGE --out FOLDER | is an input
train | required: data, --out
train DATA | required: --out
train DATA --out OUT --batch 0 | argument --batch: expected 1 or more, got 0
train DATA --out OUT --batch two | argument --batch: invalid int
train DATA --out OUT --steps 0 | argument --steps: expected 1 or more
train DATA --out OUT --steps -5 | argument --steps: expected 1 or more
train DATA --out OUT --crop 0 | argument --crop: expected 1 or more
train DATA --out OUT --hold-out 1 | argument --hold-out: expected 0 or 2 or more, got 1
train DATA --out OUT --hold-out -2 | argument --hold-out: expected 0 or 2 or more
train DATA --out OUT --learning-rate 0 | argument --learning-rate: expected a finite number above 0
train DATA --out OUT --learning-rate -1 | argument --learning-rate: expected a finite number above 0
train DATA --out OUT --learning-rate nan | argument --learning-rate: expected a finite number
train DATA --out OUT --learning-rate fast | argument --learning-rate: invalid float
train DATA --out OUT --weight-decay -1 | argument --weight-decay: expected a finite number of 0 or more
train DATA --out OUT --clip 0 | argument --clip: expected a finite number above 0
train DATA --out OUT --distance 0 | argument --distance: expected a finite number above 0
train DATA --out OUT --distance inf | argument --distance: expected a finite number
train DATA --out OUT --embedding-weight -1 | argument --embedding-weight
train DATA --out OUT --weights equal | argument --weights: invalid choice
train DATA --out OUT --workers -1 | argument --workers: expected 0 or more
train DATA --out OUT --seed -1 | argument --seed: expected 0 or more
train DATA --out OUT --checkpoint-every 0 | argument --checkpoint-every: expected 1 or more
train DATA --out OUT --validate-every 0 | argument --validate-every: expected 1 or more
train DATA --out OUT --dim 0 | argument --dim: expected 1 or more
train DATA --out OUT --filters 0 | argument --filters: expected 1 or more
train DATA --out OUT --head-filters 0 | argument --head-filters: expected 1 or more
train DATA --out OUT --spatial-dims 4 | argument --spatial-dims: expected 2 or 3, got 4
train DATA --out OUT --diameter 0 | argument --diameter: expected a finite number above 0
train DATA --out OUT --percentiles 1,99 | argument --percentiles: invalid JSON list
train DATA --out OUT --postprocess seed | argument --postprocess: invalid JSON object
train DATA --out OUT --postprocess [1] | argument --postprocess: invalid JSON object
train DATA --out OUT --augmentation-scale -1 | argument --augmentation-scale: expected a finite number
train DATA --out OUT --augmentation-noise nan | argument --augmentation-noise
train DATA --out OUT --device gpu | argument --device: expected cpu
train DATA --out OUT --bf16 yes | unrecognized arguments: yes
train DATA --out OUT --init NOTHING | nothing.tif does not exist
train DATA --out OUT --init IMAGE | not a readable safetensors file
train DATA --out IMAGE | is a file, expected a folder
train NOTHING --out OUT | nothing.tif: no such folder
train EMPTY --out OUT | empty: expected images/ beside labels/
train IMAGE --out OUT | image.tif: no such folder
train DATA --config | argument --config: expected one argument
train DATA --out OUT --config NOTHING | nothing.tif: no such file
train DATA --out OUT --config EMPTY | empty: Is a directory
train DATA --out OUT --config IMAGE | no TOML
evaluate | required: truth, prediction
evaluate FOLDER | required: prediction
evaluate FOLDER FOLDER --spatial-dims 4 | argument --spatial-dims: invalid choice: 4
evaluate NOTHING FOLDER | no such folder
evaluate FOLDER NOTHING | no such folder
evaluate EMPTY EMPTY | no label map in it
evaluate FOLDER EMPTY | no labels of this name in
evaluate EMPTY FOLDER | no labels of this name in
evaluate FOLDER FOLDER --images NOTHING | no such folder
evaluate FOLDER FOLDER --images EMPTY | no image named image
evaluate FOLDER FOLDER --report EMPTY | is a folder, expected a file
evaluate FOLDER FOLDER --json EMPTY | is a folder, expected a file
evaluate FOLDER FOLDER --json IMAGE | is an input
evaluate FOLDER FOLDER --report IMAGE --overwrite | is an input
evaluate FOLDER FOLDER --json NOWHERE | there is no folder
evaluate FOLDER FOLDER --json OUT --report OUT | are the same file
demo --device quantum | argument --device: expected cpu
demo --out IMAGE | is a file, expected a folder
demo --model NOTHING --out OUT | nothing.tif does not exist
""".strip().splitlines()


@pytest.fixture
def places(tmp_path, model):  # noqa: F811
    image = write_image(tmp_path / "folder" / "image.tif")
    (tmp_path / "empty").mkdir()
    for name in ("images", "labels"):
        for number in range(2):
            write_image(tmp_path / "data" / "train" / name / f"{number}.tif", number)
    return {
        "IMAGE": image, "FOLDER": image.parent, "EMPTY": tmp_path / "empty", "NOTHING": tmp_path / "nothing.tif",
        "OUT": tmp_path / "out", "DATA": tmp_path / "data", "NOWHERE": tmp_path / "no" / "where.json",
        "NOTHING*.tif": tmp_path / "nothing*.tif",
    }  # fmt: skip


@pytest.mark.parametrize("line", OPTIONS)
def test_wrong_options(line, places, capsys, tmp_path, model):  # noqa: F811
    command, _, said = line.partition("|")
    words = [places.get(word, word) for word in command.split()]
    if words[:1] == ["predict"] and "--model" not in words:
        words += ["--model", model]
    if words[:1] == ["demo"] and importlib.util.find_spec("stardist") is None:
        pytest.skip("the demo's image comes with stardist")
    status, lines = run(*words, capsys=capsys)
    assert status == 2
    assert len(lines) == 1
    assert said.strip() in lines[0]
    assert not (tmp_path / "out").exists()


def png_of(width, height, bits, colour, rows=b"\0\0"):
    """A PNG whose header says what it likes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def saved(array, kind, **options):
    buffer = io.BytesIO()
    if kind == "tiff":
        tifffile.imwrite(buffer, array, **options)
    else:
        Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


GREY = np.arange(384, dtype=np.uint8).reshape(16, 24)
RGB = np.stack([GREY, GREY, GREY], -1)
FILES = {
    "empty.png": b"", "empty.tif": b"", "text.png": b"hello", "text.tif": b"hello", "zeros.tif": bytes(100),
    "zeros.png": bytes(100), "magic.tif": b"II*\0", "magic.png": b"\x89PNG\r\n\x1a\n", "page.html.png": b"<html>",
    "big_magic.tif": b"II+\0\x08\0\0\0", "half.png": saved(GREY, "png")[:60], "half.tif": saved(GREY, "tiff")[:200],
    "half.jpg": saved(GREY, "jpeg")[:100], "half.bmp": saved(GREY, "bmp")[:60], "no_size.png": png_of(0, 0, 8, 0),
    "no_width.png": png_of(0, 5, 8, 0), "huge.png": png_of(100_000, 100_000, 8, 0), "short.png": png_of(9, 9, 8, 0),
    "odd_bits.png": png_of(2, 1, 3, 0), "odd_colour.png": png_of(2, 1, 8, 7), "wide.png": png_of(2**31 - 1, 1, 1, 0),
    "nan.tif": saved(np.full((16, 24), np.nan, np.float32), "tiff"),
    "inf.tif": saved(np.where(GREY == 3, np.inf, GREY).astype(np.float32), "tiff"),
    "complex.tif": saved(GREY.astype(np.complex64), "tiff"), "stack.tif": saved(np.stack([GREY] * 5), "tiff"),
    "five_axes.tif": saved(np.zeros((2, 2, 2, 4, 4), np.uint8), "tiff"), "line.tif": saved(GREY[0], "tiff"),
    "channels.tif": saved(np.stack([GREY] * 4), "tiff", ome=True, metadata={"axes": "CYX"}),
    "planes.tif": saved(np.stack([GREY] * 3), "tiff", ome=True, metadata={"axes": "ZYX"}, photometric="minisblack"),
    "times.tif": saved(np.stack([GREY] * 3), "tiff", ome=True, metadata={"axes": "TYX"}, photometric="minisblack"),
    "tiff_as.png": b"II*\0" + bytes(30), "cut.tif": saved(GREY, "tiff", compression="zlib")[:-40],
    "wrong_strip.tif": saved(GREY, "tiff", compression="zlib").replace(b"\x78\x9c", b"\xff\xff"),
    "half_rgb.png": saved(RGB, "png")[:70], "gif.gif": b"GIF89a", "webp.webp": b"RIFF\0\0\0\0WEBP",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_wrong_images(name, capsys, tmp_path, model):  # noqa: F811
    write_image(tmp_path / "scans" / "good.tif")
    (tmp_path / "scans" / name).write_bytes(FILES[name])
    status, lines = run("predict", tmp_path / "scans", "--model", model, "--out", tmp_path / "out", capsys=capsys)
    assert status == 1
    assert lines[-3:-1] == ["embedseg-ops: 1 of 2 images done", "embedseg-ops: 1 of 2 failed:"]
    assert name in lines[-1]
    assert (tmp_path / "out" / "good.tif").exists()
    assert not (tmp_path / "out" / name).with_suffix(".tif").exists()


def metadata(**changes):
    settings = {"channels": 1, "dim": 2, "filters": 2, "percentiles": [1, 99], "postprocess": {}} | changes
    return {"format": "embedseg-ops 1", "settings": json.dumps(settings)}


MODELS = {
    "no metadata": (None, "has format None"), "other format": ({"format": "x"}, "has format 'x'"),
    "no settings": ({"format": "embedseg-ops 1"}, "settings"),
    "settings no JSON": ({"format": "embedseg-ops 1", "settings": "{"}, "settings"),
    "settings a list": ({"format": "embedseg-ops 1", "settings": "[1]"}, "settings"),
    "settings without percentiles": ({"format": "embedseg-ops 1", "settings": "{}"}, "model file"),
    "unknown settings": (metadata(future=1), "unknown settings future"),
    "negative filters": (metadata(filters=-1), "model file"),
    "filters in words": (metadata(filters="many"), "model file"),
    "four axes": (metadata(spatial_dims=4), "model file"), "no weights": (metadata(), "does not fit its settings"),
    "huge": (metadata(filters=2**40), "model file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("command", ["predict", "train"])
def test_wrong_models(kind, command, places, capsys, tmp_path):
    content, said = MODELS[kind]
    path = tmp_path / "wrong.safetensors"
    save_file({"weight": torch.zeros(2)}, path, content)
    words = {
        "predict": ["predict", places["IMAGE"], "--model", path],
        "train": ["train", places["DATA"], "--init", path],
    }[command]
    status, lines = run(*words, "--out", tmp_path / "out", capsys=capsys)
    assert status == 2
    assert len(lines) == 1
    assert "wrong.safetensors" in lines[0]
    assert said in lines[0]


LABELS = {
    "text.tif": b"hello", "half.tif": saved(GREY, "tiff")[:200], "empty.png": b"", "jpeg.jpg": saved(GREY, "jpeg"),
    "colours.png": saved(np.random.default_rng(0).integers(0, 255, (16, 24, 3)).astype(np.uint8), "png"),
    "fractions.tif": saved(GREY * 0.3, "tiff"), "small.tif": saved(GREY[:3], "tiff"),
    "negative.tif": saved(GREY.astype(np.int16) - 5, "tiff"), "nan.tif": saved(GREY * np.float32("nan"), "tiff"),
    "volume.tif": saved(np.stack([GREY] * 5), "tiff"),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_wrong_labels(name, capsys, tmp_path):
    good = cells((16, 24), 4, gap=0.4).numpy().astype(np.uint8)
    for folder in ("truth", "prediction"):
        (tmp_path / folder).mkdir()
        for stem in ("good", name.partition(".")[0]):
            tifffile.imwrite(tmp_path / folder / f"{stem}.tif", good)
    (tmp_path / "prediction" / f"{name.partition('.')[0]}.tif").unlink()
    (tmp_path / "prediction" / name).write_bytes(LABELS[name])
    status, lines = run("evaluate", tmp_path / "truth", tmp_path / "prediction", capsys=capsys)
    assert status == 1
    assert lines[-2] == "embedseg-ops: 1 of 2 failed:"
    assert name in lines[-1]


CONFIGURATIONS = {
    "steps = ": "no TOML", "steps = 2\nsteps = 3": "no TOML", "stepps = 2": "unknown key stepps",
    "stepps = 2\n[model]\nfliters = 3": "unknown keys fliters, stepps", "training = 3": "expected a table",
    "[training.augmentation]\nflop = 1": "unknown key augmentation_flop", "batch = 0": "argument --batch: expected 1",
    "batch = 'many'": "argument --batch: invalid int", "help = true": "unknown key help", "\xff": "no TOML",
    "weights = 'equal'": "argument --weights: invalid choice", "postprocess = 3": "argument --postprocess: invalid",
}  # fmt: skip


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_wrong_configurations(text, places, capsys, tmp_path):
    (tmp_path / "run.toml").write_bytes(text.encode("latin-1"))
    words = ["train", places["DATA"], "--out", tmp_path / "out", "--config", tmp_path / "run.toml"]
    status, lines = run(*words, capsys=capsys)
    assert status == 2
    assert len(lines) == 1
    assert CONFIGURATIONS[text] in lines[0]
    assert not (tmp_path / "out").exists()


def test_there_are_many():
    assert sum(map(len, (OPTIONS, FILES, MODELS, MODELS, LABELS, CONFIGURATIONS))) >= 150
