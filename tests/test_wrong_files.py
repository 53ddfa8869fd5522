"""Wrong images and label maps: the others are done, one line names the file and says what is wrong; no traceback."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from commands import model, run, write_image  # noqa: F401  # fixtures
from PIL import Image
from samples import cells


def png_of(width, height, bits, colour, rows=b"\0\0"):
    """A PNG whose header says what it likes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def saved(array, kind, **options):
    buffer = io.BytesIO()
    if kind == "tiff":
        tifffile.imwrite(buffer, array, **options)
    else:
        Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


GREY = np.arange(384, dtype=np.uint8).reshape(16, 24)
RGB = np.stack([GREY, GREY, GREY], -1)
FILES = {
    "empty.png": b"", "empty.tif": b"", "text.png": b"hello", "text.tif": b"hello", "zeros.tif": bytes(100),
    "zeros.png": bytes(100), "magic.tif": b"II*\0", "magic.png": b"\x89PNG\r\n\x1a\n", "page.html.png": b"<html>",
    "big_magic.tif": b"II+\0\x08\0\0\0", "half.png": saved(GREY, "png")[:60], "half.tif": saved(GREY, "tiff")[:200],
    "half.jpg": saved(GREY, "jpeg")[:100], "half.bmp": saved(GREY, "bmp")[:60], "no_size.png": png_of(0, 0, 8, 0),
    "no_width.png": png_of(0, 5, 8, 0), "huge.png": png_of(100_000, 100_000, 8, 0), "short.png": png_of(9, 9, 8, 0),
    "odd_bits.png": png_of(2, 1, 3, 0), "odd_colour.png": png_of(2, 1, 8, 7), "wide.png": png_of(2**31 - 1, 1, 1, 0),
    "nan.tif": saved(np.full((16, 24), np.nan, np.float32), "tiff"),
    "inf.tif": saved(np.where(GREY == 3, np.inf, GREY).astype(np.float32), "tiff"),
    "complex.tif": saved(GREY.astype(np.complex64), "tiff"), "stack.tif": saved(np.stack([GREY] * 5), "tiff"),
    "five_axes.tif": saved(np.zeros((2, 2, 2, 4, 4), np.uint8), "tiff"), "line.tif": saved(GREY[0], "tiff"),
    "channels.tif": saved(np.stack([GREY] * 4), "tiff", ome=True, metadata={"axes": "CYX"}),
    "planes.tif": saved(np.stack([GREY] * 3), "tiff", ome=True, metadata={"axes": "ZYX"}, photometric="minisblack"),
    "times.tif": saved(np.stack([GREY] * 3), "tiff", ome=True, metadata={"axes": "TYX"}, photometric="minisblack"),
    "tiff_as.png": b"II*\0" + bytes(30), "cut.tif": saved(GREY, "tiff", compression="zlib")[:-40],
    "wrong_strip.tif": saved(GREY, "tiff", compression="zlib").replace(b"\x78\x9c", b"\xff\xff"),
    "half_rgb.png": saved(RGB, "png")[:70], "gif.gif": b"GIF89a", "webp.webp": b"RIFF\0\0\0\0WEBP",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_wrong_images(name, capsys, tmp_path, model):  # noqa: F811
    write_image(tmp_path / "scans" / "good.tif")
    (tmp_path / "scans" / name).write_bytes(FILES[name])
    status, lines = run("predict", tmp_path / "scans", "--model", model, "--out", tmp_path / "out", capsys=capsys)
    assert status == 1
    assert lines[-3:-1] == ["embedseg-ops: 1 of 2 images done", "embedseg-ops: 1 of 2 failed:"]
    assert name in lines[-1]
    assert (tmp_path / "out" / "good.tif").exists()
    assert not (tmp_path / "out" / name).with_suffix(".tif").exists()


LABELS = {
    "text.tif": b"hello", "half.tif": saved(GREY, "tiff")[:200], "empty.png": b"", "jpeg.jpg": saved(GREY, "jpeg"),
    "colours.png": saved(np.random.default_rng(0).integers(0, 255, (16, 24, 3)).astype(np.uint8), "png"),
    "fractions.tif": saved(GREY * 0.3, "tiff"), "small.tif": saved(GREY[:3], "tiff"),
    "negative.tif": saved(GREY.astype(np.int16) - 5, "tiff"), "nan.tif": saved(GREY * np.float32("nan"), "tiff"),
    "volume.tif": saved(np.stack([GREY] * 5), "tiff"),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_wrong_labels(name, capsys, tmp_path):
    good = cells((16, 24), 4, gap=0.4).numpy().astype(np.uint8)
    for folder in ("truth", "prediction"):
        (tmp_path / folder).mkdir()
        for stem in ("good", name.partition(".")[0]):
            tifffile.imwrite(tmp_path / folder / f"{stem}.tif", good)
    (tmp_path / "prediction" / f"{name.partition('.')[0]}.tif").unlink()
    (tmp_path / "prediction" / name).write_bytes(LABELS[name])
    status, lines = run("evaluate", tmp_path / "truth", tmp_path / "prediction", capsys=capsys)
    assert status == 1
    assert lines[-2] == "embedseg-ops: 1 of 2 failed:"
    assert name in lines[-1]
