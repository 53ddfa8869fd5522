"""Images: what a file says decides what is read, and errors name the file and what it holds."""

import struct
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from embedseg_ops.data.errors import DataError, DataWarning
from embedseg_ops.data.images import open_image, read, read_image
from embedseg_ops.data.units import micrometres, per_unit

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (12, 17, 3), np.uint8)
STACK = RANDOM.integers(0, 9999, (2, 3, 30, 40), np.uint16)


@pytest.fixture
def tiff(tmp_path):
    """Write a TIFF file and return its path."""

    def write(array, **options):
        tifffile.imwrite(tmp_path / "image.tif", array, **options)
        return tmp_path / "image.tif"

    return write


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_images_are_read_as_they_are(tmp_path, suffix, dtype):
    pixels = RANDOM.integers(0, np.iinfo(dtype).max, (6, 9)).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / f"image{suffix}")
    image = read_image(tmp_path / f"image{suffix}")
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, pixels[None])


@pytest.mark.parametrize("size", [(1, 9), (2, 9), (9, 2), (1, 1)])
def test_pictures_are_channels_last_however_small(tmp_path, size):
    pixels = RANDOM.integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    np.testing.assert_array_equal(read_image(tmp_path / "small.png"), np.moveaxis(pixels, -1, 0))


@pytest.mark.parametrize(
    ("options", "choice", "axes", "expected"),
    [
        ({"metadata": {"axes": "CZYX"}}, {"spatial_dims": 3}, "CZYX", STACK),
        ({"imagej": True, "metadata": {"axes": "ZCYX"}}, {"spatial_dims": 3}, "CZYX", STACK.swapaxes(0, 1)),
        ({"ome": True, "metadata": {"axes": "TCYX"}}, {"time": 1}, "CYX", STACK[1]),
        ({"ome": True, "metadata": {"axes": "TZYX"}}, {"time": "all", "z": 2}, "TCYX", STACK[:, 2:3]),
        ({"ome": True, "metadata": {"axes": "TZYX"}}, {"time": "all", "z": "all"}, "TZCYX", STACK[:, :, None]),
        ({"ome": True, "metadata": {"axes": "ZCYX"}}, {"z": "all", "channel": 1}, "ZCYX", STACK[:, 1:2]),
        ({}, {"axes": "ZCYX", "z": 0}, "CYX", STACK[0]),
        ({}, {"time": 1, "channel": 2}, "CYX", STACK[1, 2:3]),
    ],
)
def test_axes_are_what_the_file_or_the_caller_says(tiff, options, choice, axes, expected):
    path = tiff(STACK, photometric="minisblack", **options)
    opened = open_image(path, **choice)
    assert (opened.axes, opened.pixels.shape, opened.pixels.dtype) == (axes, expected.shape, np.uint16)
    np.testing.assert_array_equal(read(path, **choice).pixels, expected)
    np.testing.assert_array_equal(opened.pixels[..., 3:7, -5], expected[..., 3:7, -5])


@pytest.mark.parametrize(
    ("shape", "choice", "axes", "message"),
    [
        (
            (5, 30, 40),
            {},
            None,
            r"axes \? 5, Y 30, X 40, some without a name; name them with axes .--axes., such as ZYX",
        ),
        ((3, 30, 40), {"channel": 1, "z": 0}, None, "such as CYX"),
        ((30, 40), {"spatial_dims": 3}, "YX", "has axes Y 30, X 40; expected a volume with axes Z, Y and X$"),
        ((5, 30, 40), {}, "TYX", r"has axes T 5, Y 30, X 40; choose one plane with time \(--time\)"),
        ((5, 30, 40), {"time": 5}, "TYX", r"there is no time \(--time\) 5; expected one from 0 to 4"),
        ((5, 30, 40), {"spatial_dims": 3}, "TYX", "expected a volume with axes Z, Y and X; name them"),
        ((5, 30, 40), {"spatial_dims": 3, "z": 1}, "ZYX", "z .--z. is for models of planes"),
        ((5, 30, 40), {"channels": 1}, "CYX", r"5 channels, expected 1; choose one with channel \(--channel\)"),
        ((5, 30, 40), {"channel": "DAPI"}, "CYX", "no channel 'DAPI'; it has 5, from 0"),
        ((5, 30, 40), {"axes": "YX"}, "CYX", "axes='YX' does not fit"),
        ((5, 30, 40), {"series": 1}, "CYX", "no series 1; it has 1, from 0"),
        ((5, 30, 40), {"level": 1}, "CYX", "no level 1; it has 1, from 0"),
        ((5, 30, 40), {}, "RYX", "and R is not understood"),
    ],
)
def test_what_nobody_chose_is_refused(tiff, shape, choice, axes, message):
    path = tiff(np.zeros(shape, np.uint8), photometric="minisblack", metadata={"axes": axes} if axes else {})
    with pytest.raises(DataError, match=message):
        read(path, **choice)


def test_a_guess_is_said(tiff):
    last = np.ascontiguousarray(np.moveaxis(STACK[0], 0, -1))
    for array, taken in ((STACK[0], "CYX"), (last, "YXC")):
        with pytest.warns(DataWarning, match=f"does not name its axes of .* they are taken as {taken}"):
            np.testing.assert_array_equal(read_image(tiff(array, photometric="minisblack")), STACK[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_image(tiff(STACK[0], photometric="minisblack"), 3), STACK[:1])


def test_colours_and_channels_meet(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "colour.png")
    Image.fromarray(COLOUR[..., 0]).save(tmp_path / "grey.png")
    grey = read_image(tmp_path / "colour.png", channels=1)
    np.testing.assert_allclose(grey[0], COLOUR @ np.array([0.299, 0.587, 0.114]), atol=1e-4)
    np.testing.assert_array_equal(read_image(tmp_path / "colour.png", channel="Green")[0], COLOUR[..., 1])
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png", channels=3), [COLOUR[..., 0]] * 3)
    with pytest.raises(DataError, match=r"colour\.png: 3 channels, expected 2"):
        read_image(tmp_path / "colour.png", channels=2)


def test_blank_colour_images_stay_colour_and_alpha_is_dropped(tmp_path):
    Image.new("RGBA", (6, 4), (9, 9, 9, 77)).save(tmp_path / "blank.png")
    assert read_image(tmp_path / "blank.png").shape == (3, 4, 6)


def test_sizes_and_names_are_kept(tiff):
    metadata = {"axes": "ZCYX", "PhysicalSizeX": 500.0, "PhysicalSizeXUnit": "nm", "Channel": {"Name": ["a", "b", "c"]}}
    image = read(tiff(STACK, ome=True, metadata=metadata), 3, channel="B")
    assert (image.pixel_size, image.channel_names) == ({"X": 0.5}, ("a", "b", "c"))
    np.testing.assert_array_equal(image.pixels[0], STACK[:, 1])
    path = tiff(STACK, imagej=True, resolution=(4, 2), metadata={"axes": "ZCYX", "unit": "um", "spacing": 3.0})
    assert read(path, 3).pixel_size == {"Z": 3.0, "Y": 0.5, "X": 0.25}
    path = tiff(STACK[0, 0], resolution=(20000, 10000), resolutionunit="CENTIMETER")
    assert read(path).pixel_size == {"Y": 1.0, "X": 0.5}
    assert read(tiff(STACK[0, 0], resolution=(300, 300), resolutionunit="INCH")).pixel_size == {}


@pytest.mark.parametrize("size", [0.325, 0.65, 0.1, 0.1083333, 2.5, 12.0, 1 / 3.1, 0.2071602])
def test_sizes_are_the_numbers_that_were_written(tiff, size):
    resolutions = {
        "tifffile's fraction": 1 / size,
        "ImageJ's, of which it cuts the end off": (int(1 / size * 1_000_000), 1_000_000),
    }
    for resolution in resolutions.values():
        path = tiff(STACK[0, 0], imagej=True, resolution=(resolution, resolution), metadata={"unit": "micron"})
        expected = pytest.approx(size, rel=2e-6) if size == 1 / 3.1 else size
        assert read(path).pixel_size == {"Y": expected, "X": expected}
    path = tiff(STACK[0, 0], resolution=(1e4 / size, 1e4 / size), resolutionunit="CENTIMETER")
    assert read(path).pixel_size == ({"Y": size, "X": size} if size < 10 else {})


def test_lengths_are_decimals():
    assert [micrometres(length, unit) for length, unit in (("3.25e-07", "m"), (0.1, "mm"), (2.3, "inch"))] == [
        0.325, 100, 58420,
    ]  # fmt: skip
    assert micrometres(" 0.5 ", "\u00b5m") == 0.5
    assert [micrometres(length, "µm") for length in ("nan", "inf", "-1", "0", "", "wide", None)] == [None] * 7
    assert [per_unit(*number, "µm") for number in ((0, 1), (1, 0), (-3, 1), (4, 1))] == [None, None, None, 0.25]


@pytest.mark.parametrize("name", ["broken.png", "broken.tif"])
def test_unreadable_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a picture")
    with pytest.raises(DataError, match=f"{name}: damaged, or of a format that is not read"):
        read_image(tmp_path / name)
    with pytest.raises(DataError, match=r"nothing\.png: no such file"):
        read_image(tmp_path / "nothing.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".tif", ".webp"])
@pytest.mark.parametrize("part", [0, 0.02, 0.5, 0.9])
def test_truncated_files_are_named(tmp_path, suffix, part):
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(RANDOM.integers(0, 255, (50, 50), np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match=rf"cut\{suffix}: \w+"):
        read_image(path)


def test_pictures_of_any_size_are_read(tmp_path, monkeypatch):
    Image.fromarray(COLOUR).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert read_image(tmp_path / "large.png").shape == (3, 12, 17)
    assert Image.MAX_IMAGE_PIXELS == 50


def test_more_than_the_memory_is_refused(tmp_path):
    header = struct.pack("<2sIHHI IiiHHIIiiII", b"BM", 99, 0, 0, 54, 40, 3_000_000, 2_000_000, 1, 24, 0, 0, 0, 0, 0, 0)
    (tmp_path / "huge.bmp").write_bytes(header + bytes(45))
    with pytest.raises(DataError, match=r"huge\.bmp: needs [\d,.]+ GiB of memory, and there are"):
        read_image(tmp_path / "huge.bmp")


@pytest.mark.parametrize(
    "options",
    [
        {"byteorder": ">"},
        {"compression": "deflate", "tile": (16, 16)},
        {"imagej": True, "metadata": {"axes": "ZCYX"}},
        {"ome": True, "metadata": {"axes": "ZCYX"}, "compression": "lzw"},
    ],
)
def test_large_tiffs_are_read_lazily(tiff, monkeypatch, options):
    if "compression" in options:
        pytest.importorskip("zarr")
    path = tiff(STACK, photometric="minisblack", **{"metadata": {"axes": "ZCYX"}, **options})
    monkeypatch.setattr("embedseg_ops.data.tiff.LAZY_BYTES", 0)
    image = open_image(path, 3)
    assert not isinstance(image.pixels.pixels, np.ndarray) or isinstance(image.pixels.pixels, np.memmap)
    np.testing.assert_array_equal(image.pixels[1:, 1, 5:20, -9:], STACK[1, 1:, 5:20, -9:])
    np.testing.assert_array_equal(image.pixels[...], STACK.swapaxes(0, 1))
    np.testing.assert_array_equal(read(path, 3).pixels, STACK.swapaxes(0, 1))


def test_pyramids_are_read_lazily(tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    colours = RANDOM.integers(0, 256, (64, 96, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "slide.tif") as writer:
        writer.write(colours, subifds=1, photometric="rgb", tile=(16, 16), compression="deflate")
        writer.write(colours[::2, ::2], subfiletype=1, photometric="rgb", tile=(16, 16), compression="deflate")
    monkeypatch.setattr("embedseg_ops.data.tiff.LAZY_BYTES", 0)
    grey = open_image(tmp_path / "slide.tif", channels=1, level=1)
    assert (grey.pixels.shape, grey.pixels.dtype) == ((1, 32, 48), np.float32)
    np.testing.assert_array_equal(
        grey.pixels[:, 3:9, 40:], read(tmp_path / "slide.tif", channels=1).pixels[:, 6:18:2, 80::2]
    )


@pytest.mark.parametrize("key", [(0, 0, 0, 0), (slice(None, None, 2),), (Ellipsis, slice(5, 1)), (9, 0, 0, 0)])
def test_slices_are_those_of_an_array(tiff, key):
    view = open_image(tiff(STACK, photometric="minisblack", metadata={"axes": "ZCYX"}), 3).pixels
    if key[0] == 9 or (isinstance(key[0], slice) and key[0].step):
        with pytest.raises(IndexError):
            view[key]
    else:
        np.testing.assert_array_equal(view[key], STACK.swapaxes(0, 1)[key])
