"""Scores of objects, calibrated and judged on images and volumes; embryos drawn anew."""

import dataclasses

import numpy as np
import pytest
import torch
from benchmarks import embryos, scores
from benchmarks.resampling import draws, interval, times_drawn
from test_blocks_segment import small_model
from test_volumes import write_volume

from embedseg_ops import load_model, save_model
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.predict.scale import predict_scaled


def test_few_images_are_cut_into_parts_of_neighbouring_objects():
    groups = scores.grouped([20])
    assert groups.tolist() == np.repeat(range(10), 2).tolist()
    assert len(np.unique(scores.grouped([9, 0, 7, 30]))) == 9
    assert scores.grouped([2] * 12).tolist() == np.repeat(range(12), 2).tolist()


def test_intervals_and_the_error_of_true_scores():
    random = np.random.default_rng(0)
    found = random.random(4000)
    right = random.random(4000) < found
    groups = np.arange(4000) // 40
    measure = scores.MEASURES["calibration error"]
    low, high = scores.varies(measure, found, right, groups)
    assert low < measure(found, right) < high < 0.05
    assert scores.expected_error(found) == pytest.approx(measure(found, right), abs=0.01)
    assert scores.expected_error(found[:40]) > 2 * scores.expected_error(found)


def test_volumes_are_judged_with_their_spacing(tmp_path, capsys):
    write_volume(tmp_path / "data")
    write_volume(tmp_path / "data", "b", 1, size=(4.0, 1.0, 1.0))
    network, settings = small_model(3)
    spaced = dataclasses.replace(settings, spacing=(2.0, 1.0, 1.0))
    save_model(tmp_path / "model.safetensors", network, spaced, torch.float16)
    asked = [str(tmp_path / "data"), "--model", str(tmp_path / "model.safetensors")]
    scores.main([*asked, "--write", str(tmp_path / "with.safetensors")])
    assert "objects, " in capsys.readouterr().out
    assert load_model(tmp_path / "with.safetensors")[1].calibration.keys() >= {"intercept", "peak"}
    assert scores.stored_dtype(tmp_path / "with.safetensors") == torch.float16
    network, settings = load_model(tmp_path / "model.safetensors")
    samples = scores.load_samples(tmp_path / "data", settings)
    first, second = (output.distance for output in scores.predict_each(samples, network, settings))
    assert torch.equal(first, predict_scaled(samples[0].image, network, settings)[1])
    assert torch.equal(second, predict_scaled(samples[1].image, network, settings, spacing=(4, 1, 1))[1])
    assert not torch.equal(second, predict_scaled(samples[1].image, network, settings)[1])
    scores.main([str(tmp_path / "data"), "--model", str(tmp_path / "with.safetensors"), "--own"])
    with pytest.raises(ValueError, match="no calibration"):
        scores.main([*asked, "--own"])


def test_embryos_are_drawn_with_their_images():
    drawn = times_drawn(["a", "a", "b", "b", "b"], 500, within=True)
    assert drawn.shape == (500, 5)
    assert set(drawn[:, :2].sum(1)) == {0, 2, 4}
    assert (drawn[:, :2].sum(1) // 2 + drawn[:, 2:].sum(1) // 3 == 2).all()
    assert (drawn[:, 0] != drawn[:, 1]).any()
    whole = times_drawn(["b", "a", "b"], 500)
    assert (whole[:, 0] == whole[:, 2]).all()
    assert set(whole[:, 0]) == {0, 1, 2}


def test_the_draws_of_published_intervals_stay_what_they_are():
    drawn = np.random.default_rng(0).integers(0, 30, (50, 30))
    assert np.array_equal([*draws(range(30), 50)], drawn)
    assert np.array_equal(interval(drawn), np.percentile(drawn, (2.5, 97.5), axis=0))


def test_the_difference_is_that_of_the_pooled_precision():
    random = np.random.default_rng(0)
    truth = [random.integers(0, 5, (30, 30)) for _ in range(4)]
    changed = [np.where(random.random((30, 30)) < 0.2, 0, one) for one in truth]
    worse = [np.where(random.random((30, 30)) < 0.5, 0, one) for one in truth]
    first, second = (average_precision(truth, one) for one in (changed, worse))
    found = embryos.ahead(embryos.counted(first), embryos.counted(second), times_drawn("aabb", 500, within=True))
    expected = first.pooled - second.pooled
    assert found["AP50"][0] == pytest.approx(expected[0], abs=1e-4)
    assert found["mean AP"][0] == pytest.approx(expected.mean(), abs=1e-4)
    assert found["mean AP"][1] <= found["mean AP"][0] <= found["mean AP"][2]
