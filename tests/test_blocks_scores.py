"""Scores block by block are those of the whole image."""

import csv
import dataclasses

import numpy as np
import pytest
import torch
from commands import model, run, write_image  # noqa: F401  # fixtures
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import cells, embedding_for
from test_blocks_segment import image_of, small_model

from embedseg_ops import load_model, object_features, save_model, segment_blocks, segment_with_scores
from embedseg_ops.predict.blocks import passes
from embedseg_ops.predict.blocks.arrays import run_folder
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.grid import Grid
from embedseg_ops.predict.blocks.job import Job
from embedseg_ops.predict.blocks.maps import ArrayMaps
from embedseg_ops.predict.blocks.scores import add_features, measure_block

CALIBRATION = {"intercept": -1.0, "peak": 0.02, "depth": 0.01, "agreement": 2.0, "margin": 1.0, "log_size": 0.1}


@settings(max_examples=25)
@given(
    st.sampled_from([(40, 52), (7, 60), (12, 14, 20)]), st.integers(0, 9), st.integers(4, 30),
    st.sampled_from([0.0, 0.3, 0.9]), st.booleans(),
)  # fmt: skip
def test_features_are_those_of_the_whole_image(tmp_path_factory, shape, seed, block, gap, missing):
    labels = cells(shape, 12, seed, gap)
    if missing:
        labels[labels == 3] = 0
        labels[0, 0] = 15
    embedding, distance = embedding_for(labels[None], 5, seed, noise=0.5)[0], torch.rand(shape) - 0.2
    distance[..., ::5] = torch.nan
    maps = ArrayMaps(lambda: embedding.numpy(), lambda: distance.numpy())
    grid = Grid(shape, (block,) * len(shape))
    job = Job(Folder(tmp_path_factory.mktemp("run")), grid, 4, maps, {}, lambda: labels.numpy().astype(np.uint32))
    for number in range(len(grid)):
        measure_block(job, number)()
    found, expected = add_features(job, int(labels.max())), object_features(labels, embedding, distance)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-7, atol=1e-7 if name == "margin" else 0, err_msg=name)


def scoring_model(**changes):
    network, settings = small_model()
    return network, dataclasses.replace(settings, calibration=CALIBRATION, **changes)


@pytest.mark.parametrize("changes", [{}, {"diameter": 26}])
def test_scores_are_those_of_segment_with_scores(tmp_path, changes):
    model, image, how = scoring_model(**changes), image_of((61, 90)), {"tile": 40, "overlap": 16}  # noqa: F811
    labels, scores = segment_with_scores(image, model, **how)
    summary = segment_blocks(
        image, tmp_path / "labels.npy", model, block=16, halo=4, scores=True, progress=False, **how
    )
    found = np.load(tmp_path / "labels.npy.run" / "scores.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), labels)
    assert len(found) == summary.objects > 1
    np.testing.assert_allclose(found, scores, rtol=1e-7)


def test_scores_that_cannot_be_had(tmp_path):
    image, out = image_of((30, 30)), np.zeros((30, 30), np.uint32)
    with pytest.raises(ValueError, match="model has no calibration"):
        segment_blocks(image, tmp_path / "a.npy", small_model(), scores=True)
    with pytest.raises(ValueError, match="scores are kept in the run's folder: give folder="):
        segment_blocks(image, out, scoring_model(), scores=True)


@pytest.mark.parametrize("suffix", [".npy", ".zarr"])
def test_a_run_that_is_over_gets_its_scores(tmp_path, suffix, monkeypatch):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    image, how = image_of((61, 90)), {"block": 16, "halo": 4, "tile": 40, "overlap": 16, "progress": False}
    at_once, later = tmp_path / f"at_once{suffix}", tmp_path / f"later{suffix}"
    expected = segment_blocks(image, at_once, scoring_model(), scores=True, **how)
    summary = segment_blocks(image, later, scoring_model(), **how)
    monkeypatch.setattr(passes, "find_seeds", None)  # labels are not made again
    assert segment_blocks(image, later, scoring_model(), scores=True, **how) == summary == expected
    folders = [run_folder(out, None) for out in (at_once, later)]
    np.testing.assert_array_equal(*(np.load(folder / "scores.npy") for folder in folders))
    assert {path.name for path in folders[0].iterdir()} == {path.name for path in folders[1].iterdir()}
    monkeypatch.setattr(passes, "measure_block", None)  # nor are the scores
    assert segment_blocks(image, later, scoring_model(), scores=True, **how) == summary


def test_the_table_of_a_large_image_has_scores(model, tmp_path, capsys):  # noqa: F811
    parquet = pytest.importorskip("pyarrow.parquet")
    network, own = load_model(model)
    every = {**own.postprocess, "seed_threshold": -1.0, "background_threshold": None, "min_depth_pixels": 0.0}
    changed = dataclasses.replace(own, calibration=CALIBRATION, postprocess=every)
    save_model(tmp_path / "scoring.safetensors", network, changed)
    image = write_image(tmp_path / "image.tif")
    for kinds, names in (("labels", ["labels.npy"]), ("labels,table,parquet", ["whole", "labels.npy"])):
        for out in names:  # a run that is over has its labels, and no scores yet
            asked = ["--out", tmp_path / out, "--model", tmp_path / "scoring.safetensors", "--write", kinds]
            assert run("predict", image, *asked, capsys=capsys) == (
                0,
                ["embedseg-ops: 1 of 1 images done"][: out == "whole"],
            )
    tables = [tmp_path / "whole" / "tables" / "image.csv", tmp_path / "labels.csv"]
    rows = [list(csv.DictReader(table.read_text(encoding="utf-8").splitlines())) for table in tables]
    assert rows[0]
    assert rows[0] == rows[1]
    assert [str(one) for one in parquet.read_table(tmp_path / "labels.parquet")["score"].to_pylist()] == [
        row["score"] for row in rows[1]
    ]
