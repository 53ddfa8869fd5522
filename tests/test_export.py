"""Exports: other programs read what was written, and it is the same."""

import csv
import importlib.util
import json
from itertools import pairwise

import numpy as np
import pytest
import tifffile
from PIL import Image
from samples import cells
from skimage.measure import perimeter

import embedseg_ops
from embedseg_ops.export import (
    geojson,
    object_table,
    outlines,
    write_geojson,
    write_labels,
    write_overlay,
    write_rois,
    write_seg,
    write_table,
    write_zarr,
)  # fmt: skip

LABELS = cells((60, 80), 30, gap=0.3).numpy()
VOLUME = cells((3, 20, 30), 6, gap=0.3).numpy()


def needs(module):
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


def drawn(rings, shape):
    """Tell which pixels lie inside of closed rings (x, y), where an even number of rings is outside."""
    crossed = np.zeros((shape[0], shape[1] + 1), bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in pairwise(ring):
            if x0 == x1:
                crossed[min(y0, y1) : max(y0, y1), x0] ^= True
    return np.logical_xor.accumulate(crossed, 1)[:, :-1]


def random_labels(seed):
    random = np.random.default_rng(seed)
    return random.integers(0, random.integers(2, 5), random.integers(1, 14, 2))


@pytest.mark.parametrize("seed", range(40))
def test_outlines_drawn_again_give_the_same_labels(seed):
    labels = random_labels(seed)
    again = np.zeros_like(labels)
    for number, polygons in outlines(labels).items():
        inside = drawn([ring for polygon in polygons for ring in polygon], labels.shape)
        assert not again[inside].any()
        again[inside] = number
        for polygon in polygons:
            assert all(len(np.unique(ring[:-1], axis=0)) == len(ring) - 1 for ring in polygon)
    np.testing.assert_array_equal(again, labels)


@needs("shapely")
@pytest.mark.parametrize("seed", range(40))
def test_outlines_are_valid_polygons_of_the_objects_areas(seed):
    import shapely

    labels = random_labels(seed)
    for number, polygons in outlines(labels).items():
        shape = shapely.MultiPolygon([shapely.Polygon(ring, holes) for ring, *holes in polygons])
        assert shape.is_valid
        assert shape.area == (labels == number).sum()


def test_outlines_of_nothing_and_of_ignored_pixels():
    assert outlines(np.zeros((0, 4), int)) == {}
    [[[ring]]] = outlines(np.array([[-1, 7], [-1, -1]])).values()
    assert ring.tolist() == [[1, 0], [2, 0], [2, 1], [1, 1], [1, 0]]


def test_geojson_holds_every_pixel_and_names_its_objects(tmp_path):
    labels = np.kron(LABELS, np.ones((1, 1), int))
    labels[30:40, 30:40], labels[33:36, 33:36] = 500, 0  # a hole
    write_geojson(tmp_path / "a.geojson", labels)
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    again = np.zeros_like(labels)
    for feature in features:
        assert feature["properties"]["objectType"] == "detection"
        shape = feature["geometry"]["coordinates"]
        polygons = shape if feature["geometry"]["type"] == "MultiPolygon" else [shape]
        again[drawn([ring for polygon in polygons for ring in polygon], labels.shape)] = int(
            feature["properties"]["name"]
        )
    np.testing.assert_array_equal(again, labels)


def test_geojson_of_a_volume_tells_the_plane():
    planes = {feature["geometry"]["plane"]["z"] for feature in geojson(VOLUME)["features"]}
    assert planes == {0, 1, 2}


@needs("roifile")
@pytest.mark.parametrize("labels", [LABELS, VOLUME])
def test_roifile_reads_the_rois(tmp_path, labels):
    import roifile

    labels = labels.copy()
    labels[..., 5:15, 5:15], labels[..., 8:10, 8:11] = 99, 0  # a hole
    write_rois(tmp_path / "a.zip", labels)
    again = np.zeros_like(labels)
    for roi in roifile.roiread(tmp_path / "a.zip"):
        rings = [ring.astype(int).tolist() for ring in roi.coordinates(multi=True)]
        plane = again if labels.ndim == 2 else again[roi.position - 1]
        plane[drawn([[*ring, ring[0]] for ring in rings], plane.shape)] = int(roi.name.split("-")[0])
    np.testing.assert_array_equal(again, labels)


@pytest.mark.parametrize(("labels", "axes"), [(LABELS, "YX"), (VOLUME, "ZYX"), (VOLUME[:1], "ZYX"), (VOLUME, "TYX")])
def test_labels_keep_their_axes_and_pixel_size(tmp_path, labels, axes):
    sizes = (2.0, 0.5, 0.25)[-3 if "Z" in axes else -2 :]
    write_labels(tmp_path / "a.tif", labels, sizes, axes=axes)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_ome
        assert not file.pages[0].samplesperpixel > 1
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.MINISBLACK
        series = file.series[0]
        assert np.squeeze(series.asarray()).shape == np.squeeze(labels).shape
        np.testing.assert_array_equal(np.squeeze(series.asarray()), np.squeeze(labels))
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        assert pixels["PhysicalSizeX"] == 0.25
        assert pixels["PhysicalSizeXUnit"] == "µm"
        assert pixels[f"Size{axes[0]}"] == len(labels)
        assert ("PhysicalSizeZ" in pixels) == ("Z" in axes)
        resolution = file.pages[0].resolution
        assert resolution == pytest.approx((40000, 20000))


def test_labels_are_written_in_the_smallest_type_that_holds_them(tmp_path):
    for largest, dtype in ((2**16 - 1, np.uint16), (2**16, np.uint32)):
        labels = np.zeros((100, 100), np.int32)
        labels[0] = largest
        write_labels(tmp_path / "labels.tif", labels)
        read = tifffile.imread(tmp_path / "labels.tif")
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, labels)
        assert (tmp_path / "labels.tif").stat().st_size < labels.nbytes / 10
    with pytest.raises(ValueError, match="below 2³²"):
        write_labels(tmp_path / "labels.tif", np.full((2, 2), 2**32))


def test_the_table_measures_objects_in_pixels_and_in_units(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (2, *LABELS.shape)).astype(np.uint8)
    table = object_table(LABELS, image, (0.5, 0.5), channels=["dapi", "gfp"])
    assert table["id"].tolist() == [number for number in np.unique(LABELS) if number > 0]
    for row, number in enumerate(table["id"]):
        y, x = np.nonzero(number == LABELS)
        assert table["area"][row] == len(y)
        assert table["area_µm²"][row] == len(y) / 4
        assert table["centroid_y"][row] == pytest.approx(y.mean())
        assert table["centroid_x_µm"][row] == pytest.approx(x.mean() / 2)
        assert table["mean_dapi"][row] == pytest.approx(image[0, y, x].mean())
        assert table["max_gfp"][row] == image[1, y, x].max()
        assert table["perimeter_µm"][row] == pytest.approx(perimeter(np.pad(number == LABELS, 1), 4) / 2)
        assert 0 <= table["eccentricity"][row] <= 1
        assert 0 < table["solidity"][row] <= 1
    write_table(tmp_path / "a.csv", table)
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mean_gfp"]) for row in rows] == table["mean_gfp"].tolist()


def test_the_table_of_a_volume_and_of_nothing():
    table = object_table(VOLUME, VOLUME, (2, 1, 1))
    assert table["volume_µm³"].tolist() == (2 * table["volume"]).tolist()
    assert "equivalent_diameter" in table
    assert "equivalent_diameter_µm" not in table
    empty = object_table(np.zeros((4, 5), int), np.zeros((4, 5)))
    assert list(empty) == list(object_table(LABELS, LABELS))
    assert all(len(column) == 0 for column in empty.values())
    for labels in (np.ones((1, 1), int), np.ones((1, 9, 1), int), np.ones((1, 7), np.uint64)):
        assert object_table(labels)["id"].tolist() == [1]


@needs("pyarrow")
def test_the_table_as_parquet(tmp_path):
    from pyarrow import parquet

    table = object_table(LABELS)
    write_table(tmp_path / "a.parquet", table)
    read = parquet.read_table(tmp_path / "a.parquet").to_pydict()
    assert read == {name: column.tolist() for name, column in table.items()}


@needs("zarr")
@pytest.mark.parametrize("labels", [np.kron(LABELS, np.ones((8, 8), np.int32)), VOLUME])
def test_zarr_reads_the_labels(tmp_path, labels):
    import zarr

    write_zarr(tmp_path / "a.zarr", labels, (0.5,) * labels.ndim)
    write_zarr(tmp_path / "a.zarr", labels, (0.5,) * labels.ndim)  # takes the place of the first
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][...], labels)
    [scales] = group.attrs["ome"]["multiscales"]
    for number, dataset in enumerate(scales["datasets"]):
        step = 2**number
        np.testing.assert_array_equal(group[dataset["path"]][...], labels[..., ::step, ::step])
        assert dataset["coordinateTransformations"][0]["scale"][-1] == 0.5 * step
    assert [axis["name"] for axis in scales["axes"]] == list("zyx"[-labels.ndim :])
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_cellpose_file_holds_consecutive_ids_and_outlines(tmp_path):
    labels = np.where(LABELS == 3, 0, LABELS)
    write_seg(tmp_path / "a_seg.npy", labels, "a.tif")
    content = np.load(tmp_path / "a_seg.npy", allow_pickle=True).item()
    assert (content["masks"] > 0).tolist() == (labels > 0).tolist()
    assert set(np.unique(content["masks"])) == set(range(len(np.unique(labels))))
    outline = content["outlines"] > 0
    assert (content["masks"][outline] == content["outlines"][outline]).all()
    assert len(content["ismanual"]) == content["masks"].max()
    assert content["filename"] == "a.tif"


def test_the_overlay_shows_dim_objects_and_numbers(tmp_path):
    image = np.full((1, *LABELS.shape), 20.0)
    image[0, :30], image[0, :2] = 1000, 0
    for name, options in {"plain": {"gamma": 1}, "light": {}, "numbered": {"numbers": True}}.items():
        write_overlay(tmp_path / f"{name}.png", image, np.where(LABELS == 7, 7, 0), **options)
    plain, light, numbered = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("plain", "light", "numbered"))
    assert light[50, 5, 0] > 30 > 10 > plain[50, 5, 0]
    changed = np.argwhere((light != numbered).any(-1))
    middle = np.argwhere(LABELS == 7).mean(0)
    assert len(changed) > 5
    assert np.abs(changed.mean(0) - middle).max() < 4


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: outlines(VOLUME), ValueError, "labels must have 2 axes"),
        (lambda: geojson(LABELS * 1.0), TypeError, "labels must be integers, got float64"),
        (lambda: object_table(LABELS, LABELS[1:]), ValueError, r"image must be \[C"),
        (lambda: object_table(LABELS, LABELS, channels=["a", "b"]), ValueError, "channels must be 1 different names"),
        (lambda: object_table(LABELS, pixel_size=(1, 0)), ValueError, "pixel_size must be 2 lengths above 0"),
        (lambda: object_table(LABELS[0]), ValueError, "labels must have 2 or 3 axes"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_is_not_installed_is_named(monkeypatch, tmp_path):
    import sys

    for module in ("roifile", "zarr", "pyarrow"):
        monkeypatch.setitem(sys.modules, module, None)
    for call in (
        lambda: write_rois(tmp_path / "a.zip", LABELS),
        lambda: write_zarr(tmp_path / "a.zarr", LABELS),
        lambda: write_table(tmp_path / "a.parquet", object_table(LABELS)),
    ):
        with pytest.raises(ModuleNotFoundError, match=r"embedseg-ops\[export\]"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_the_package_offers_the_exports():
    assert embedseg_ops.export.write_labels is write_labels
