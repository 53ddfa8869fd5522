"""Wrong model files: one line that names the file and says what is wrong, and exit status 2."""

import json

import pytest
import torch
from commands import model, places, run  # noqa: F401  # fixtures
from safetensors.torch import save_file


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
def test_wrong_models(kind, command, places, capsys, tmp_path):  # noqa: F811
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
