"""Wrong options, in the command and in a file of them: one line that says what is wrong, and exit status 2."""

import importlib.util

import pytest
from commands import model, places, run, volume_model  # noqa: F401  # fixtures

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
predict IMAGE --out OUT --percentiles [99,1] | percentiles must be from 0 to 100, the lower one first, got (99, 1)
predict IMAGE --out OUT --percentiles 1,99 | argument --percentiles: invalid JSON list
predict IMAGE --out OUT --diameter 0 | argument --diameter: expected a finite number above 0
predict IMAGE --out OUT --diameter -3 | argument --diameter: expected a finite number above 0
predict IMAGE --out OUT --diameter nan | argument --diameter: expected a finite number
predict IMAGE --out OUT --diameter 9 | this model has none of its own
predict IMAGE --out OUT --diameter 8px | expected a number of pixels, or a length such as 8um, got '8px'
predict IMAGE --out OUT --diameter 8e | argument --diameter: expected a number of pixels
predict IMAGE --out OUT --diameter big | argument --diameter: expected a number of pixels
predict IMAGE --out OUT --memory 3 | memory must be at least 0.5 GiB for blocks of 512 pixels, got 3, which is 3 bytes
predict IMAGE --out OUT --memory 0 | which is 0 bytes
predict IMAGE --out OUT --memory 3MB | got 3MB, which is 3000000 bytes
predict IMAGE --out OUT --memory 1..5 | argument --memory: expected bytes, such as 4GiB, got '1..5'
predict IMAGE --out OUT --memory much | argument --memory: expected bytes
predict IMAGE --out OUT --device tpu | argument --device: expected cpu, cuda, cuda:N or mps, got 'tpu'
predict IMAGE --out OUT --device cuda:99 | finds no device cuda:99
predict IMAGE --out OUT --device cpu:1 | finds no device cpu:1
predict IMAGE --out OUT --device mps:7 | finds no device mps:7
predict IMAGE --out OUT --device CUDA | argument --device: expected
predict IMAGE --out OUT --write picture | argument --write: unknown 'picture'; expected labels
predict IMAGE --out OUT --write labels,,table | argument --write: unknown ''
predict IMAGE --out OUT --tile 100 | tile must be 152 or more, for tiles that overlap by 144 pixels, got 100
predict IMAGE --out OUT --tile 200 --overlap 300 | tile must be 308 or more
predict IMAGE --out OUT --axes QYX | argument --axes: expected letters of TZCYXS, each once, with Y and X, got 'QYX'
predict IMAGE --out OUT --axes YXYX | argument --axes: expected letters of TZCYXS, each once
predict IMAGE --out OUT --axes CZ | argument --axes: expected letters of TZCYXS, each once, with Y and X
predict IMAGE --out OUT --axes CYX --time 2 | --time 2 needs an axis T, which --axes CYX lacks
predict IMAGE --out OUT --axes cyx --z 2 | --z 2 needs an axis Z, which --axes cyx lacks
predict IMAGE --out OUT --model VOLUMES --z 0 | --z 0 is for models of planes; this one takes volumes
predict IMAGE --out OUT --model VOLUMES --axes CYX | --axes CYX: this model takes volumes, whose axes are Z, Y and X
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
train DATA --out OUT --axes QYX | argument --axes: expected letters of TZCYXS, each once, with Y and X, got 'QYX'
train DATA --out OUT --percentiles [99,1] | percentiles must be from 0 to 100, the lower one first, got (99, 1)
train DATA --out OUT --percentiles [1] | percentiles must be two numbers, in percent, got (1,)
train DATA --out OUT --percentiles 1,99 | argument --percentiles: invalid JSON list
train DATA --out OUT --postprocess seed | argument --postprocess: invalid JSON object
train DATA --out OUT --postprocess [1] | argument --postprocess: invalid JSON object
train DATA --out OUT --augmentation-scale -1 | argument --augmentation-scale: expected a finite number
train DATA --out OUT --augmentation-noise nan | argument --augmentation-noise
train DATA --out OUT --device gpu | argument --device: expected cpu
train DATA --out OUT --bf16 yes | unrecognized arguments: yes
train DATA --out OUT --init NOTHING | nothing.tif does not exist
train NOTHING --out OUT --spacing [1] | spacing must have
train NOTHING --out OUT --postprocess {"seed":1} | postprocess has no option seed
train NOTHING --out OUT --percentiles [99,1] | percentiles must be from 0 to 100
train DATA --out OUT --init IMAGE | not a readable safetensors file
train DATA --out OUT --init nuclei --filters 8 | --filters is 8, but
train DATA --out OUT --init nuclei --filters 8 | nuclei.safetensors, to start from, has 16
train DATA --out OUT --init nuclei --channels 3 | --channels is 3, but
train DATA --out OUT --init nuclei-crowded --no-foreground | --foreground is no, but
train DATA --out OUT --init nuclei-crowded --residual 0 | --residual is 0, but
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


@pytest.mark.parametrize("line", OPTIONS)
def test_wrong_options(line, places, capsys, tmp_path, model, volume_model):  # noqa: F811
    command, _, said = line.partition("|")
    places["VOLUMES"] = volume_model
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


CONFIGURATIONS = {
    "steps = ": "no TOML", "steps = 2\nsteps = 3": "no TOML", "stepps = 2": "unknown key stepps",
    "stepps = 2\n[model]\nfliters = 3": "unknown keys fliters, stepps", "training = 3": "expected a table",
    "[training.augmentation]\nflop = 1": "unknown key augmentation_flop", "batch = 0": "argument --batch: expected 1",
    "batch = 'many'": "argument --batch: invalid int", "help = true": "unknown key help", "\xff": "no TOML",
    "weights = 'equal'": "argument --weights: invalid choice", "postprocess = 3": "argument --postprocess: invalid",
}  # fmt: skip


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_wrong_configurations(text, places, capsys, tmp_path):  # noqa: F811
    (tmp_path / "run.toml").write_bytes(text.encode("latin-1"))
    words = ["train", places["DATA"], "--out", tmp_path / "out", "--config", tmp_path / "run.toml"]
    status, lines = run(*words, capsys=capsys)
    assert status == 2
    assert len(lines) == 1
    assert CONFIGURATIONS[text] in lines[0]
    assert not (tmp_path / "out").exists()
