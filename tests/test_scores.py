"""Scores of objects: each feature against its definition, and probabilities that come out as they went in."""

import csv
import dataclasses

import numpy as np
import pytest
import torch
from benchmarks.scores import auroc, cross_validated, error, fit, reliability
from commands import model, run, write_image  # noqa: F401  # a fixture
from samples import FLOAT_DTYPES, INTEGER_DTYPES, cells, embedding_for

from embedseg_ops import (
    export,
    load_model,
    neighbor_pairs,
    object_features,
    postprocess,
    save_model,
    segment,
    segment_with_scores,
)
from embedseg_ops.predict.prediction import predict_image
from embedseg_ops.predict.scores import calibrated

CALIBRATION = {"intercept": -1.0, "peak": 3.0, "log_size": 0.1}


def by_definition(labels, embedding, distance):
    """The features of every label, in float64, one object after the other."""
    directions = torch.nn.functional.normalize(embedding.double(), dim=0)
    known = {k: directions[:, labels == k] for k in labels.unique().tolist() if k >= 0}
    means = {k: torch.nn.functional.normalize(v.sum(1), dim=0) for k, v in known.items()}
    near = neighbor_pairs(labels[None], spatial_dims=labels.ndim).tolist()
    for k in range(1, int(labels.max()) + 1):
        if k not in known:
            yield [np.nan] * 5
            continue
        inside = distance.double()[labels == k]
        apart = [1 - means[k] @ means[n] for _, one, n in near if one == k]
        yield [
            inside.mean(), inside.max(), (means[k] @ known[k]).mean(), min(apart, default=1.0), np.log(len(inside)),
        ]  # fmt: skip


@pytest.mark.parametrize("shape", [(30, 40), (8, 16, 20)])
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
@pytest.mark.parametrize("background", [True, False])
def test_features_are_what_they_are_called(shape, dtype, background):
    labels = cells(shape, 9, gap=0.4 if background else 0.0)
    labels[labels == 3] = -1
    labels[labels == 5] = 0 if background else 6
    embedding = embedding_for(labels[None], 6, dtype=dtype)[0]
    distance = torch.rand(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = object_features(labels, embedding, distance)
    expected = np.array([[float(value) for value in row] for row in by_definition(labels, embedding, distance)])
    assert np.isnan(expected[4]).all()
    tolerance = 1e-5 if dtype != torch.float64 else 1e-6
    np.testing.assert_allclose(np.stack(list(found.values()), 1), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
def test_arrays_and_label_types_make_no_difference(dtype):
    labels = cells((20, 20), 4, gap=0.3)
    embedding, distance = embedding_for(labels[None], 4)[0], torch.rand(20, 20)
    found = object_features(labels.to(dtype), embedding, distance)
    again = object_features(labels.to(dtype).numpy(), embedding.numpy(), distance.numpy())
    for name, values in found.items():
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values, again[name])


def test_no_objects_no_neighbours_and_no_numbers():
    embedding = torch.ones(2, 4, 4)
    assert object_features(torch.zeros(4, 4, dtype=torch.int32), embedding, torch.ones(4, 4))["depth"].shape == (0,)
    everything = object_features(torch.ones(4, 4, dtype=torch.int32), embedding, torch.full((4, 4), torch.nan))
    assert {name: values[0] for name, values in everything.items()} == pytest.approx(
        {"depth": 0, "peak": 0, "agreement": 1, "margin": 1, "log_size": np.log(16)}
    )
    with pytest.raises(ValueError, match="labels must be"):
        object_features(torch.ones(4, 5, dtype=torch.int32), embedding, torch.ones(4, 4))
    with pytest.raises(TypeError, match="distance must be a float"):
        object_features(torch.ones(4, 4, dtype=torch.int32), embedding, torch.ones(4, 4, dtype=torch.int32))


def test_a_fit_finds_the_probabilities_that_made_the_answers():
    random = np.random.default_rng(0)
    features = {"peak": random.uniform(0, 1, 20_000), "log_size": random.uniform(2, 8, 20_000)}
    truly = calibrated(features, CALIBRATION)
    right = random.random(20_000) < truly
    found = calibrated(features, fit(features, right))
    np.testing.assert_allclose(found, truly, atol=0.03)
    scores = cross_validated(features, right, np.arange(20_000) // 100)
    assert error(reliability(scores, right)) < 0.02
    better = (scores[~right][:500, None] < scores[right][None, :500]).mean()
    assert auroc(~right[:], -scores) == pytest.approx(better, abs=0.03)
    with pytest.raises(ValueError, match="calibration has colour; expected intercept and peak, log_size"):
        calibrated(features, {"colour": 1.0})


def test_the_model_that_ships_scores_its_objects():
    image = (cells((64, 64), 12, gap=0.5) > 0).numpy() * np.float32(200)
    labels, scores = segment_with_scores(image)
    np.testing.assert_array_equal(labels, segment(image))
    assert scores.shape == (labels.max(),)
    assert ((scores > 0) & (scores < 1)).all()
    prediction = predict_image(image[None], load_model())
    np.testing.assert_array_equal(prediction.label(), labels)
    np.testing.assert_array_equal(prediction.scores(labels), scores)
    paper = prediction.label({})  # no options: the paper's
    assert torch.equal(paper, postprocess(prediction.embedding, prediction.distance)[0])
    assert not torch.equal(paper, prediction.label())


def test_the_model_for_volumes_scores_its_objects():
    z, y, x = np.mgrid[:14, :36, :36]
    balls = [(2.24 * (z - 7)) ** 2 + (y - row) ** 2 + (x - 18) ** 2 < 50 for row in (9, 27)]
    labels, scores = segment_with_scores(np.logical_or(*balls) * np.uint8(200), "nuclei-3d", diameter=14)
    assert scores.shape == (labels.max(),)
    assert len(scores) > 0
    assert ((scores > 0) & (scores < 1)).all()


def test_tables_have_scores_where_the_model_has_a_calibration(model, tmp_path, capsys):  # noqa: F811
    network, settings = load_model(model)
    with pytest.raises(ValueError, match="has no calibration"):
        segment_with_scores(np.zeros((8, 8)), model)
    every = {**settings.postprocess, "seed_threshold": -1.0, "background_threshold": None, "min_depth_pixels": 0.0}
    for name, calibration in {"with": CALIBRATION, "without": {}}.items():
        changed = dataclasses.replace(settings, calibration=calibration, postprocess=every)
        save_model(tmp_path / f"{name}.safetensors", network, changed)
        image = write_image(tmp_path / "images" / "image.tif")
        status, _ = run("predict", image, "--out", tmp_path / name, "--model", tmp_path / f"{name}.safetensors",
                        "--write", "labels,table", capsys=capsys)  # fmt: skip
        assert status == 0
        with open(tmp_path / name / "tables" / "image.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert all(("score" in row) == bool(calibration) for row in rows)
        assert not calibration or all(0 < float(row["score"]) < 1 for row in rows)


def test_scores_follow_the_ids():
    labels = np.array([[0, 2, 2], [4, 4, 0]])
    table = export.object_table(labels, scores=[0.1, 0.2, 0.3, 0.4])
    assert list(table)[:2] == ["id", "score"]
    assert table["score"].tolist() == [0.2, 0.4]
    with pytest.raises(ValueError, match=r"scores must be \[4\]"):
        export.object_table(labels, scores=[0.1, 0.2])
