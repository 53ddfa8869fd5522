"""Formats: a file of every kind is read as it was meant, or refused in words; docs/files.md has the table of them.

``python tests/test_formats.py`` writes the table.
"""

import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.images import read

DOCUMENT = Path(__file__).parents[1] / "docs" / "files.md"
START, END = "<!-- formats -->\n", "<!-- end of formats -->"
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (13, 18), np.uint8)
DEEP = RANDOM.integers(0, 2**16, (13, 18), np.uint16)
COLOUR = RANDOM.integers(0, 256, (13, 18, 3), np.uint8)
DEEP_COLOUR = RANDOM.integers(0, 2**16, (13, 18, 3), np.uint16)
ALPHA = np.concatenate([COLOUR, GREY[..., None]], -1)
SMOOTH = (np.indices((13, 18))[..., None] * [3, 5, 9]).sum(0).astype(np.uint8)
BITS = GREY > 99
STACK = RANDOM.integers(0, 2**16, (2, 3, 13, 18), np.uint16)
TABLE = RANDOM.integers(0, 256, (256, 3), np.uint8)
PALETTED = Image.fromarray(GREY)
PALETTED.putpalette(TABLE.ravel().tolist())
INKS = Image.fromarray(COLOUR).convert("CMYK")
PICTURES = [Image.fromarray(np.kron(plane, np.ones((9, 9), np.uint8))) for plane in (BITS * GREY, GREY, GREY // 3)]
TURNED = Image.Exif()
TURNED[0x0112] = 6  # a camera held upright
TAG = [(274, 3, 1, 6, True)]


def picture(array, **options):
    return lambda path: Image.fromarray(array).save(path, **options)


def tiff(array, **options):
    return lambda path: tifffile.imwrite(path, array, **options)


def several(*arrays, **options):
    def write(path):
        with tifffile.TiffWriter(path) as writer:
            for array, more in arrays:
                writer.write(array, **more, **options)

    return write


def pyramid(path):
    with tifffile.TiffWriter(path) as writer:
        writer.write(COLOUR, subifds=1, photometric="rgb")
        writer.write(COLOUR[::2, ::2], subfiletype=1, photometric="rgb")


def last(array):
    return np.moveaxis(array, -1, 0)


def grey_tiff(array, **options):
    return tiff(array, photometric="minisblack", **options)


def encoded(encode, array):
    return lambda path: path.write_bytes(encode(array))


def animation(path):
    PICTURES[0].save(path, save_all=True, append_images=PICTURES[1:])


def nearly(array):
    return lambda pixels: pixels.shape == array.shape and np.abs(pixels.astype(float) - array).mean() < 4


LOSSY, UPRIGHT = nearly(last(SMOOTH)), nearly(last(np.rot90(SMOOTH, -1)))
# What the table says, the file's name, how it is written, how it is read, and the pixels or the words of the refusal.
CASES = [
    ("PNG, grey, 1 bit: 0 and 1", "a.png", picture(BITS), {}, BITS[None]),
    ("PNG, grey, 8 bits", "a.png", picture(GREY), {}, GREY[None]),
    ("PNG, grey, 16 bits", "a.png", picture(DEEP), {}, DEEP[None]),
    ("PNG, colours, 8 bits", "a.png", picture(COLOUR), {}, last(COLOUR)),
    ("PNG, colours, 16 bits", "a.png", encoded(imagecodecs.png_encode, DEEP_COLOUR), {}, last(DEEP_COLOUR)),
    ("PNG, a colour table: its colours", "a.png", lambda path: PALETTED.save(path), {}, last(TABLE[GREY])),
    ("PNG, alpha: left out", "a.png", picture(ALPHA), {}, last(COLOUR)),
    ("JPEG, grey or colours", "a.jpg", picture(SMOOTH, quality=95), {}, LOSSY),
    ("JPEG, EXIF orientation: upright", "a.jpg", picture(SMOOTH, quality=95, exif=TURNED), {}, UPRIGHT),
    ("BMP, grey, colours, a colour table", "a.bmp", lambda path: PALETTED.save(path), {}, last(TABLE[GREY])),
    ("GIF: its colours", "a.gif", lambda path: PALETTED.save(path), {}, last(TABLE[GREY])),
    ("GIF, animated: frames are time points", "a.gif", animation, {"time": 1}, np.stack([PICTURES[1]] * 3)),
    ("GIF, animated, no `time`", "a.gif", animation, {}, "choose one plane with time"),
    ("WebP, lossless", "a.webp", picture(COLOUR, lossless=True), {}, last(COLOUR)),
    *[(f"TIFF, {dtype}", "a.tif", tiff(DEEP.astype(dtype)), {}, DEEP.astype(dtype)[None])
      for dtype in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32", "float64")],
    *[(f"TIFF, {kind}", "a.tif", tiff(DEEP, compression=kind, predictor=kind != "packbits", tile=(16, 16)), {},
       DEEP[None]) for kind in ("lzw", "deflate", "zstd", "lzma", "packbits")],
    ("TIFF, JPEG", "a.tif", tiff(SMOOTH, compression="jpeg", compressionargs={"level": 95}), {}, LOSSY),
    ("TIFF, JPEG 2000", "a.tif", tiff(DEEP, compression="jpeg2000"), {}, DEEP[None]),
    ("TIFF, 12 bits", "a.tif", tiff(DEEP >> 4, bitspersample=12, compression="none"), {}, (DEEP >> 4)[None]),
    ("TIFF, 1 bit, CCITT", "a.tif", picture(BITS, compression="group4"), {}, BITS[None]),
    ("TIFF, big-endian, BigTIFF", "a.tif", tiff(DEEP, byteorder=">", bigtiff=True), {}, DEEP[None]),
    ("TIFF, white is zero: black is", "a.tif", tiff(DEEP, photometric="miniswhite"), {}, 65535 - DEEP[None]),
    ("TIFF, a colour table: its colours", "a.tif",
     tiff(GREY, photometric="palette", colormap=TABLE.T.astype(np.uint16) * 257), {}, last(TABLE[GREY])),
    ("TIFF, CMYK: its colours", "a.tif", lambda path: INKS.save(path), {}, last(np.asarray(INKS.convert("RGB")))),
    ("TIFF, colours, interleaved", "a.tif", tiff(DEEP_COLOUR, photometric="rgb"), {}, last(DEEP_COLOUR)),
    ("TIFF, colours, in planes", "a.tif", tiff(last(COLOUR), photometric="rgb", planarconfig="separate"), {},
     last(COLOUR)),
    ("TIFF, alpha: left out", "a.tif", tiff(ALPHA, photometric="rgb", extrasamples=["unassalpha"]), {}, last(COLOUR)),
    ("TIFF, orientation: upright", "a.tif", tiff(DEEP, extratags=TAG), {}, np.rot90(DEEP, -1)[None]),
    ("TIFF, a thumbnail before the image: left out", "a.tif",
     several((DEEP[::4, ::4], {"subfiletype": 1}), (DEEP, {}), metadata=None), {}, DEEP[None]),
    ("TIFF, several images", "a.tif", several((DEEP, {}), (DEEP[1:], {}), metadata=None), {},
     "holds 2 images; choose one"),
    ("TIFF, several images, `series=1`", "a.tif", several((DEEP, {}), (DEEP[1:], {}), metadata=None), {"series": 1},
     DEEP[None, 1:]),
    ("TIFF, a pyramid, `level=1`", "a.tif", pyramid, {"level": 1}, last(COLOUR[::2, ::2])),
    ("TIFF, unnamed pages", "a.tif", grey_tiff(STACK[0], metadata=None), {}, "some without a name; name them"),
    ("TIFF, unnamed pages, `axes='CYX'`", "a.tif", grey_tiff(STACK[0], metadata=None), {"axes": "CYX"}, STACK[0]),
    ("TIFF, unnamed pages, a volume", "a.tif", grey_tiff(STACK[0], metadata=None), {"spatial_dims": 3}, STACK[:1]),
    ("TIFF of tifffile, axes in its description", "a.tif", grey_tiff(STACK, metadata={"axes": "ZCYX"}),
     {"spatial_dims": 3}, STACK.swapaxes(0, 1)),
    ("OME-TIFF", "a.ome.tif", grey_tiff(STACK, metadata={"axes": "TCYX"}), {"time": 1}, STACK[1]),
    ("ImageJ's hyperstacks", "a.tif", tiff(STACK, imagej=True, metadata={"axes": "TZYX"}),
     {"spatial_dims": 3, "time": 0}, STACK[None, 0]),
    ("TIFF, CIELAB", "a.tif", tiff(COLOUR, photometric="cielab"), {}, "are not read; save it as RGB or grey"),
    ("JPEG 2000, JPEG XL and others", "a.jp2", encoded(imagecodecs.jpeg2k_encode, DEEP), {},
     "of a format that is not read; save it as TIFF or PNG"),
    ("an empty file", "a.png", lambda path: path.write_bytes(b""), {}, "empty"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "name", "write", "choice", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_file_of_each_kind(tmp_path, title, name, write, choice, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the writers
        write(tmp_path / name)
    if isinstance(expected, str):
        with pytest.raises(DataError, match=rf"{name}: .*{expected}"):
            read(tmp_path / name, **choice)
        return
    pixels = read(tmp_path / name, **choice).pixels
    if callable(expected):
        assert expected(pixels)
    else:
        np.testing.assert_array_equal(pixels, expected)


def table():
    """Return the table of the document."""
    rows = ["| file | read |", "| --- | --- |"]
    for title, _, _, _, expected in CASES:
        rows.append(f"| {title} | {f'refused: {expected}' if isinstance(expected, str) else 'yes'} |")
    return "\n".join(rows) + "\n"


def test_the_document_has_the_table():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.partition(START)[2].partition(END)[0].strip() == table().strip()


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(START)
    DOCUMENT.write_text(f"{before}{START}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
