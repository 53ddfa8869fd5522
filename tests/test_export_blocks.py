"""Tables and outlines of labels of any size, block by block."""

import csv
import json

import numpy as np
import pytest
from samples import cells

from embedseg_ops.export import geojson, object_table, write_objects, write_rois, write_table


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: int(row["id"]))


def drawn(shape, seed=0):
    labels = cells(shape, 12, seed).numpy().astype(np.uint32)
    return labels * 7  # ids with gaps


@pytest.mark.parametrize(("shape", "block"), [((70, 90), 16), ((70, 90), 500), ((20, 26, 30), 9)])
def test_every_object_once_and_as_in_the_whole(tmp_path, shape, block):
    labels = drawn(shape)
    image = np.random.default_rng(0).random((2, *shape))
    pixel_size = [0.5] * len(shape)
    write_objects(
        labels, image, table=tmp_path / "a.csv", outlines=tmp_path / "a.geojson", pixel_size=pixel_size, block=block,
        channels=["DAPI", "GFP"],
    )  # fmt: skip
    write_table(tmp_path / "b.csv", object_table(labels, image, pixel_size, channels=["DAPI", "GFP"]))
    found, expected = read_csv(tmp_path / "a.csv"), read_csv(tmp_path / "b.csv")
    assert [row["id"] for row in found] == [row["id"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert list(row) == list(other)
        np.testing.assert_allclose([*map(float, row.values())], [*map(float, other.values())], rtol=1e-9)
    found = json.loads((tmp_path / "a.geojson").read_text())
    assert set(found) == {"type", "features"}
    key = lambda feature: (int(feature["properties"]["name"]), str(feature["geometry"].get("plane")))  # noqa: E731
    assert sorted(found["features"], key=key) == sorted(geojson(labels)["features"], key=key)


@pytest.mark.parametrize("shape", [(70, 90), (20, 26, 30)])
def test_rois_and_scores(tmp_path, shape):
    roifile = pytest.importorskip("roifile")
    labels, scores = drawn(shape), np.random.default_rng(1).random(84)
    write_objects(labels, table=tmp_path / "a.csv", rois=tmp_path / "a.zip", block=16, scores=scores)
    assert all(float(row["score"]) == scores[int(row["id"]) - 1] for row in read_csv(tmp_path / "a.csv"))
    write_rois(tmp_path / "b.zip", labels)
    found, expected = (
        {roi.name: (roi.position, *roi.coordinates().astype(int).ravel()) for roi in roifile.roiread(tmp_path / name)}
        for name in ("a.zip", "b.zip")
    )
    assert found == expected


@pytest.mark.parametrize("kept", [84, 0])
def test_parquet_is_the_table_once_more(tmp_path, kept):
    parquet = pytest.importorskip("pyarrow.parquet")
    labels, scores = np.where(drawn((70, 90)) > kept, 0, drawn((70, 90))), np.random.default_rng(1).random(84)
    files = {"table": tmp_path / "a.csv", "parquet": tmp_path / "a.parquet"}
    write_objects(labels, labels[None], **files, block=16, scores=scores)
    found = parquet.read_table(files["parquet"]).to_pylist()
    rows = list(csv.DictReader(files["table"].read_text(encoding="utf-8").splitlines()))
    assert [{name: str(value) for name, value in row.items()} for row in found] == rows
    assert len(rows) == len(np.unique(labels[labels > 0]))
    write_objects(labels, labels[None], parquet=tmp_path / "b.parquet", block=16, scores=scores)
    assert (tmp_path / "b.parquet").read_bytes() == files["parquet"].read_bytes()


def test_rois_end_where_their_format_does(tmp_path):
    pytest.importorskip("roifile")
    labels = np.zeros((1, 40_000), np.uint8)
    labels[0, 32_760:32_767] = 1
    write_rois(tmp_path / "a.zip", labels)
    labels[0, 32_767] = 1
    with pytest.raises(ValueError, match="object 1 reaches beyond 32767 pixels"):
        write_rois(tmp_path / "b.zip", labels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_no_object(tmp_path):
    write_objects(np.zeros((9, 9), np.uint32), table=tmp_path / "a.csv", outlines=tmp_path / "a.geojson", block=4)
    assert (tmp_path / "a.csv").read_text().startswith("id,centroid_y,centroid_x,area")
    assert json.loads((tmp_path / "a.geojson").read_text()) == {"type": "FeatureCollection", "features": []}


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="channels must be"):
        write_objects(drawn((20, 20)), np.zeros((1, 20, 20)), table=tmp_path / "a.csv", channels=["a", "b"])
    assert not list(tmp_path.iterdir())
