"""An image block by block: the network, the percentiles, the stores, and what a kill leaves behind."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import UNTRAINED

from embedseg_ops import segment, segment_blocks
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.blocks.grid import Grid
from embedseg_ops.predict.blocks.maps import TileGrid, TileMaps
from embedseg_ops.predict.blocks.percentiles import image_percentiles
from embedseg_ops.predict.blocks.seeds import first_pixels
from embedseg_ops.predict.blocks.sizes import choose_core, read_bytes
from embedseg_ops.predict.tiles import tiles
from embedseg_ops.predict.zoom import Zoom


def small_model(spatial_dims=2, channels=1):
    """A network that has learned nothing, with thresholds that split its outputs."""
    torch.manual_seed(3)
    architecture = Settings(channels, dim=4, filters=4, spatial_dims=spatial_dims, **UNTRAINED)
    network = architecture.build().eval()
    with torch.inference_mode():
        network.head.distance.bias.fill_(50.0)
        distance = network(torch.rand(1, channels, *[32] * spatial_dims))[1]
    low, high = (float(distance.quantile(share)) for share in (0.2, 0.8))
    options = {"seed_threshold": high, "seed_smoothing": 1.0, "background_threshold": low, "max_cosine_distance": 0.9}
    return network, dataclasses.replace(architecture, postprocess=options)


def image_of(shape, dtype=np.uint16, seed=0):
    smooth = np.random.default_rng(seed).random(shape)
    for axis in range(len(shape)):
        smooth = smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)
    return (smooth / smooth.max() * 250).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize(
    ("shape", "tile", "overlap"), [((61, 90), 40, 16), ((2, 40, 33), 32, 8), ((20, 26, 30), 16, 8), ((30, 20), 64, 16)]
)
def test_equals_segment(shape, tile, overlap, dtype):
    dims = 2 if len(shape) == 2 or shape[0] == 2 else 3
    model = small_model(dims, 2 if shape[0] == 2 else 1)
    image = image_of(shape, dtype)
    expected = segment(image, model, tile=tile, overlap=overlap)
    assert expected.max() >= 2
    out = np.zeros(expected.shape, np.uint32)
    segment_blocks(image, out, model, tile=tile, overlap=overlap, block=16, halo=4, progress=False)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(("shape", "tile", "overlap"), [((61, 90), 40, 16), ((20, 26, 30), 16, 8), ((30, 20), 64, 16)])
def test_equals_segment_in_bfloat16(shape, tile, overlap):
    model, image = small_model(len(shape)), image_of(shape)
    how = {"tile": tile, "overlap": overlap, "precision": "bfloat16"}
    out = np.zeros(shape, np.uint32)
    segment_blocks(image, out, model, block=16, halo=4, progress=False, **how)
    np.testing.assert_array_equal(out, segment(image, model, **how))
    assert (out != segment(image, model, tile=tile, overlap=overlap)).any()  # it was another precision


@pytest.mark.parametrize(
    ("shape", "diameter"),
    [((61, 90), 13), ((2, 40, 33), 17.3), ((14, 18, 20), 20), ((30, 20), 25), ((30, 20), 60), ((61, 90), 99)],
)
def test_equals_segment_of_a_resampled_image(shape, diameter):
    network, settings = small_model(3 if shape[0] == 14 else 2, 2 if shape[0] == 2 else 1)
    model = network, dataclasses.replace(settings, diameter=26)
    how = {"diameter": diameter, "tile": 40 if len(shape) == 2 else 32, "overlap": 16}
    expected = segment(image_of(shape), model, **how)
    assert expected.max() >= 2
    out = np.zeros(expected.shape, np.uint32)
    segment_blocks(image_of(shape), out, model, block=16, halo=4, progress=False, **how)
    np.testing.assert_array_equal(out, expected)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 60), st.integers(1, 50), st.integers(0, 99))
def test_windows_of_a_zoomed_image_are_those_of_the_whole(height, width, rows, columns, seed):
    random = np.random.default_rng(seed)
    image = torch.from_numpy(random.random((3, height, width), np.float32))
    zoom = Zoom((height, width), (rows, columns))
    whole = zoom(image)
    expected = torch.nn.functional.interpolate(image[None], zoom.size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-5)
    top, left = random.integers(0, rows), random.integers(0, columns)
    window = (slice(top, random.integers(top, rows) + 1), slice(left, random.integers(left, columns) + 1))
    assert torch.equal(zoom(image[(slice(None), *zoom.source(window))], window), whole[(slice(None), *window)])


def test_a_run_keeps_to_its_precision(tmp_path):
    out = tmp_path / "labels.npy"
    segment_blocks(image_of((20, 20)), out, small_model(), block=16, progress=False)
    with pytest.raises(ValueError, match="precision was float32 and is bfloat16"):
        segment_blocks(image_of((20, 20)), out, small_model(), block=16, precision="bfloat16", progress=False)
    with pytest.raises(ValueError, match='precision must be "float32" or "bfloat16" with a client'):
        segment_blocks(image_of((20, 20)), out, small_model(), precision="auto", client=object(), progress=False)


@settings(max_examples=30)
@given(st.integers(1, 70), st.integers(1, 50), st.integers(8, 40), st.integers(0, 30), st.integers(0, 99))
def test_tiles_are_blended_as_in_one_piece(tmp_path_factory, height, width, tile, overlap, seed):
    overlap = min(overlap, tile - 8)
    grid = TileGrid.over((height, width), tile, overlap, 8)
    stored = TileMaps(tmp_path_factory.mktemp("tiles"), grid, 2)
    halves = TileMaps(tmp_path_factory.mktemp("tiles"), grid, 2, "float16")
    random = np.random.default_rng(seed)
    embedding, distance = torch.zeros(2, height, width), torch.zeros(height, width)
    for number, (inside, weights) in enumerate(tiles((height, width), tile, overlap, 8)):
        outputs = torch.from_numpy(random.random((3, *weights.shape), np.float32))
        embedding[(slice(None), *inside)] += outputs[:2] * weights
        distance[inside] += outputs[2] * weights
        for maps in (stored, halves):
            maps.write(number, outputs[:2], outputs[2])
    top, left = random.integers(0, height), random.integers(0, width)
    window = (slice(top, random.integers(top, height) + 1), slice(left, random.integers(left, width) + 1))
    assert torch.equal(stored.embedding(window), embedding[(slice(None), *window)])
    assert torch.equal(stored.distance(window), distance[window])
    assert torch.equal(halves.distance(window), distance[window])
    torch.testing.assert_close(halves.embedding(window), stored.embedding(window), rtol=1e-3, atol=1e-6)


def test_a_scratch_of_halves(tmp_path):
    maps = TileMaps(tmp_path, TileGrid.over((9, 9), 16, 8, 8), 3, "float16")
    maps.write(0, torch.full((3, 9, 9), -1e9), torch.rand(9, 9))
    assert maps.file(0).stat().st_size == 128 + 81 * (3 * 2 + 4)
    assert maps.embedding((slice(2, 4), slice(5, 6))).tolist() == [[[-65504.0]] * 2] * 3
    image, model = image_of((61, 90)), small_model()
    how = {"tile": 40, "overlap": 16, "progress": False, "block": 32}
    found, expected = np.zeros((2, 61, 90), np.uint32)
    segment_blocks(image, found, model, scratch_dtype="float16", **how)
    segment_blocks(image, expected, model, **how)
    assert np.count_nonzero(found != expected) <= 0.02 * found.size
    with pytest.raises(ValueError, match="scratch_dtype must be one of float32, float16, got 'int8'"):
        segment_blocks(image, found, model, scratch_dtype="int8", **how)


@given(
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.float32, np.float64, np.int32]),
    st.integers(1, 60), st.integers(0, 1000), st.tuples(st.floats(0, 100), st.floats(0, 100)),
)  # fmt: skip
def test_percentiles_are_numpys(dtype, size, seed, wanted):
    image = np.random.default_rng(seed).normal(0, 60, (2, size, 3)).astype(np.int8).astype(dtype)
    low, high = image_percentiles(image, wanted)
    expected = np.percentile(image, wanted, axis=(1, 2), keepdims=True)
    np.testing.assert_array_equal(low, expected[0])
    np.testing.assert_array_equal(high, expected[1])


def test_values_that_are_not_finite_are_refused():
    image = np.ones((20, 20), np.float32)
    image[3, 4:7] = np.nan
    with pytest.raises(ValueError, match="3 or more values that are not finite: give nan="):
        segment_blocks(image, np.zeros((20, 20), np.uint32), small_model(), block=16, progress=False)
    with pytest.raises(ValueError, match='nan must be "error" or "zero", got 0'):
        segment_blocks(image, np.zeros((20, 20), np.uint32), small_model(), nan=0)


def test_values_that_are_not_finite_are_taken_as_zero():
    image, model = image_of((40, 50), np.float32), small_model()
    image[3, 4:7], image[30, ::2] = np.nan, np.inf
    out = np.zeros(image.shape, np.uint32)
    segment_blocks(image, out, model, nan="zero", block=16, progress=False)
    np.testing.assert_array_equal(out, segment(image, model, nan="zero"))


@pytest.mark.parametrize("name", ["labels.npy", "labels.tif", "labels.zarr"])
def test_what_no_run_made_is_not_written_into(tmp_path, name):
    if name.endswith(".zarr"):
        pytest.importorskip("zarr")
    image, model = image_of((40, 40)), small_model()
    segment_blocks(image, tmp_path / name, model, block=32, progress=False)
    files = {file: file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file()}
    files |= {} if (tmp_path / name).is_dir() else {tmp_path / name: (tmp_path / name).read_bytes()}
    with pytest.raises(FileExistsError, match=f"{name} exists already"):
        segment_blocks(255 - image, tmp_path / name, model, block=32, folder=tmp_path / "run", progress=False)
    assert all(file.read_bytes() == before for file, before in files.items())


def test_a_npy_file_is_made(tmp_path):
    image = image_of((40, 50))
    np.save(tmp_path / "image.npy", image)
    segment_blocks(tmp_path / "image.npy", tmp_path / "labels.npy", small_model(), block=16, progress=False)
    labels = np.load(tmp_path / "labels.npy")
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels, segment(image, small_model()))


def test_ome_zarr_with_a_pyramid_of_nearest_pixels(tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3.1")
    image = np.kron(image_of((50, 61)), np.ones((24, 24), np.uint16))
    array = zarr.create_array(tmp_path / "image.zarr", shape=image.shape, dtype=image.dtype, chunks=(256, 256))
    array[:] = image
    segment_blocks(tmp_path / "image.zarr", tmp_path / "labels.zarr", small_model(), block=512, progress=False)
    group = zarr.open_group(tmp_path / "labels.zarr", mode="r")
    said = group.attrs["ome"]
    assert said["version"] == "0.5"
    assert "image-label" in said
    assert "unit" not in said["multiscales"][0]["axes"][0]
    names = [level["path"] for level in said["multiscales"][0]["datasets"]]
    assert names == ["0", "1"]
    labels = group["0"][:]
    np.testing.assert_array_equal(labels, segment(image, small_model()))
    np.testing.assert_array_equal(group["1"][:], labels[::2, ::2])
    assert group["0"].dtype == np.uint32
    assert group["0"].shards == (512, 512)
    assert (tmp_path / "labels.zarr" / ".run" / "summary.json").exists()


def test_more_than_two_to_the_31_pixels_are_counted_right():
    grid = Grid((70_000, 50_000), (2048, 2048))
    assert len(grid) == 35 * 25
    last = len(grid) - 1
    assert grid.box(last) == (slice(69632, 70000), slice(49152, 50000))
    assert grid.over(grid.box(last, 64)) == [last - 26, last - 25, last - 1, last]


def test_first_pixels_beyond_2_to_the_31():
    side = 1 << 17
    grid = Grid((side, side), (8, 8))
    job = SimpleNamespace(grid=grid)
    block = grid.number(((side - 8) // 8, 3))
    labels = np.zeros((8, 8), np.int32)
    labels[1, 5], labels[2, 5], labels[7, 7] = 2, 2, 1
    assert first_pixels(labels, job, block).tolist() == [(side - 1) * side + 31, (side - 7) * side + 29]


def test_memory_decides_the_size_of_a_block():
    assert read_bytes("4GiB") == 4 << 30
    assert read_bytes("1.5 GB") == 1_500_000_000
    assert read_bytes(17) == 17
    assert choose_core((100_000, 100_000), 16, 64, "4GiB") == (4096, 4096)
    assert choose_core((100_000, 100_000), 16, 64, "1GiB") == (1536, 1536)
    assert choose_core((600, 1100), 16, 64, "4GiB") == (1024, 1536)
    assert choose_core((900, 900, 900), 16, 16, "2GiB") == (128, 128, 128)
