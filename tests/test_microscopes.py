"""OME-Zarr and the files of microscopes: read lazily, through extras that errors name."""

import importlib

import numpy as np
import pytest

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.images import open_image, read
from embedseg_ops.data.labels import read_labels
from embedseg_ops.data.names import find_files

STACK = np.random.default_rng(0).integers(0, 9999, (2, 3, 8, 20, 30)).astype(np.uint16)  # T, C, Z, Y, X


def axes(names):
    kinds = {"t": "time", "c": "channel"}
    return [
        {"name": name, "type": kinds.get(name, "space"), **({"unit": "nanometer"} if name in "zyx" else {})}
        for name in names
    ]


@pytest.fixture(params=[2, 3])
def scan(request, tmp_path):
    """Write an OME-Zarr of two levels, in version 0.4 (Zarr 2) and 0.5 (Zarr 3)."""
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "scan.zarr", mode="w", zarr_format=request.param)
    datasets = []
    for level in range(2):
        pixels = STACK[..., :: level + 1, :: level + 1]
        group.create_array(str(level), data=pixels, chunks=(1, 1, 4, 10, 10))
        scale = [1.0, 1.0, 2000.0, 500.0 * (level + 1), 250.0 * (level + 1)]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    multiscales = {"multiscales": [{"axes": axes("tczyx"), "datasets": datasets}]}
    multiscales["omero"] = {"channels": [{"label": name} for name in ("DAPI", "GFP", "RFP")]}
    group.attrs.update({"ome": {"version": "0.5", **multiscales}} if request.param == 3 else multiscales)
    return tmp_path / "scan.zarr"


def test_ome_zarr_is_one_image(scan):
    assert find_files(scan.parent) == [scan]
    image = read(scan, 3, time=1)
    np.testing.assert_array_equal(image.pixels, STACK[1])
    assert (image.axes, image.channel_names) == ("CZYX", ("DAPI", "GFP", "RFP"))
    assert image.pixel_size == {"Z": 2.0, "Y": 0.5, "X": 0.25}
    half = open_image(scan, time=0, z="all", channel="gfp", level=1)
    assert (half.axes, half.pixels.shape, half.pixel_size["X"]) == ("ZCYX", (8, 1, 10, 15), 0.5)
    np.testing.assert_array_equal(half.pixels[2:4, 0, 5, ::1], STACK[0, 1, 2:4, 10, ::2])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"level": 2}, "no level 2; it has 2, from 0"),
        ({}, "has axes T 2, C 3, Z 8, Y 20, X 30; choose one plane with time"),
    ],
)
def test_what_is_not_there_is_said(scan, choice, message):
    with pytest.raises(DataError, match=rf"scan\.zarr: {message}"):
        read(scan, **choice)


def test_other_zarr_groups_and_arrays(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.save_array(tmp_path / "plain.zarr", STACK[0, 0, 0])
    np.testing.assert_array_equal(read(tmp_path / "plain.zarr").pixels[0], STACK[0, 0, 0])
    assert read_labels(tmp_path / "plain.zarr").max() == len(np.unique(STACK[0, 0, 0][STACK[0, 0, 0] > 0]))
    group = zarr.open_group(tmp_path / "group.zarr", mode="w")
    group.create_array("raw", data=STACK[0, 0])
    with pytest.raises(DataError, match=r"without OME's multiscales; give one of its arrays: raw"):
        read(tmp_path / "group.zarr")
    group.attrs["ome"] = {"plate": {}}
    with pytest.raises(DataError, match="a plate of many images; give one of them"):
        read(tmp_path / "group.zarr")
    (tmp_path / "folder.zarr").mkdir()
    with pytest.raises(DataError, match="a folder without Zarr's metadata"):
        read(tmp_path / "folder.zarr")
    (tmp_path / "plain.zarr" / "zarr.json").write_text("{")
    with pytest.raises(DataError, match=r"plain\.zarr: not a readable image"):
        read(tmp_path / "plain.zarr")


def test_czi_is_read(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    pytest.importorskip("bioio_czi")
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for channel in range(2):
            for plane in range(4):
                file.write(data=STACK[0, channel, plane][..., None], plane={"C": channel, "Z": plane, "T": 0})
        file.write_metadata("a", channel_names={0: "DAPI", 1: "GFP"}, scale_x=2.5e-7, scale_y=5e-7, scale_z=2e-6)
    image = read(tmp_path / "a.czi", 3)
    np.testing.assert_array_equal(image.pixels, STACK[0, :2, :4])
    assert image.pixel_size == pytest.approx({"Z": 2.0, "Y": 0.5, "X": 0.25})
    np.testing.assert_array_equal(read(tmp_path / "a.czi", z=2, channel="GFP").pixels, STACK[0, 1:2, 2])


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("a.nd2", "bioio", "bio"), ("a.czi", "bioio", "bio"), ("a.lif", "bioio", "bio"), ("a.zarr", "zarr", "zarr")],
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, name, module, extra):
    def without(wanted, *rest):
        if wanted == module:
            raise ImportError(wanted)
        return imported(wanted, *rest)

    imported = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", without)
    if extra == "zarr":
        (tmp_path / name).mkdir()
        (tmp_path / name / "zarr.json").write_text("{}")
    else:
        (tmp_path / name).write_bytes(b"something")
    with pytest.raises(DataError, match=rf"{name}: is read by {module}: pip install 'embedseg-ops\[{extra}\]'"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nd2", "a.czi", "a.lif"])
def test_damaged_files_of_microscopes_are_named(tmp_path, name):
    pytest.importorskip(f"bioio_{name[2:]}")
    (tmp_path / name).write_bytes(b"something else" * 100)
    with pytest.raises(DataError, match=rf"{name}: not a readable image"):
        read(tmp_path / name)
