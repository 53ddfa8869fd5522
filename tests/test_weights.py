"""Model files: what is saved is loaded, and what cannot be loaded says why."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from embedseg_ops.data.writing import write_atomically
from embedseg_ops.model.files import load_model, save_model, start_from
from embedseg_ops.model.settings import Settings

SETTINGS = Settings(
    channels=2, dim=4, filters=4, foreground=False, postprocess={"seed_threshold": 0.5}, provenance="noise",
    scores={"AP50": 0.25},
)  # fmt: skip


@pytest.mark.parametrize(
    "settings", [SETTINGS, Settings(filters=2, spatial_dims=3, distance_features=True, foreground=True)]
)
def test_a_file_is_all_that_is_needed(tmp_path, settings):
    model = settings.build().eval()
    save_model(tmp_path / "model.safetensors", model, settings)
    loaded, loaded_settings = load_model(tmp_path / "model.safetensors")
    assert loaded_settings == settings
    assert not loaded.training
    image = torch.randn(1, settings.channels, *[8] * settings.spatial_dims)
    torch.testing.assert_close(loaded(image), model(image), rtol=0, atol=0)


def test_half_precision_halves_the_file(tmp_path):
    model = SETTINGS.build()
    save_model(tmp_path / "full", model, SETTINGS)
    save_model(tmp_path / "half", model, SETTINGS, torch.float16)
    assert (tmp_path / "half").stat().st_size < 0.7 * (tmp_path / "full").stat().st_size
    loaded, _ = load_model(tmp_path / "half")
    assert next(loaded.parameters()).dtype == torch.float32


def test_a_model_starts_from_a_files_weights(tmp_path):
    begun = SETTINGS.build()
    save_model(tmp_path / "model", begun, SETTINGS)
    larger = replace(SETTINGS, foreground=True).build()
    start_from(larger, tmp_path / "model")
    weights = larger.state_dict()
    assert set(weights) - set(begun.state_dict()) == {"head.foreground.weight", "head.foreground.bias"}
    for name, value in begun.state_dict().items():
        assert torch.equal(weights[name], value)
    for other in (replace(SETTINGS, filters=8), replace(SETTINGS, batch_norm=False)):
        with pytest.raises(ValueError, match="has another architecture"):
            start_from(other.build(), tmp_path / "model")


def test_a_broken_file_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors does not exist"):
        load_model(tmp_path / "nothing.safetensors")
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(ValueError, match="text is not a readable safetensors file"):
        load_model(tmp_path / "text")
    save_file({"weight": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(ValueError, match="foreign has format None, expected"):
        load_model(tmp_path / "foreign")
    save_model(tmp_path / "other", Settings(filters=2).build(), SETTINGS)
    with pytest.raises(ValueError, match="other does not fit its settings"):
        load_model(tmp_path / "other")


def test_settings_of_a_newer_version_are_named():
    with pytest.raises(ValueError, match="unknown settings colour"):
        Settings.from_json('{"colour": 1}')


def test_a_file_from_before_a_setting_means_what_it_meant():
    fields = json.loads(Settings().to_json())
    assert fields.pop("batch_norm")
    assert fields.pop("foreground")
    before = Settings.from_json(json.dumps(fields))
    assert (before.batch_norm, before.foreground) == (False, False)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_atomically(tmp_path / "file", b"old")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
