"""The page of `embedseg-ops serve` in a real browser."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from browser import CHROMIUM, chromium
from PIL import Image

import embedseg_ops
from embedseg_ops.data.drawn import cells

for needed in ("starlette", "uvicorn", "tornado", "roifile"):
    pytest.importorskip(needed)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore"),  # tornado's, of loops that are closed
]
STATUS = "document.getElementById('status').textContent"


@pytest.fixture
def address():
    command = [sys.executable, "-m", "embedseg_ops", "serve", "--port", "0", "--token", "token-of-the-test"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().split()[1]
        server.terminate()


def move(page, slider, value):
    page.run(f"""{{ const line = document.getElementById('{slider}'); line.value = {value};
                 line.dispatchEvent(new Event('input')); }}""")


def download(page, kind):
    return bytes(
        page.run(f"""fetch(document.querySelector('[data-kind={kind}]').href).then((answer) =>
                              answer.arrayBuffer()).then((all) => Array.from(new Uint8Array(all)))""")
    )


def objects(page, pattern):
    text = page.until(f"{STATUS}.match(/{pattern}/) && {STATUS}")
    return int(re.search(r"(\d+) objects", text)[1])


def test_drop_an_image_move_a_slider_download(address, tmp_path):
    image, _ = cells(seed=3, size=160, count=45)
    tifffile.imwrite(tmp_path / "cells.tif", image)
    (tmp_path / "wrong.png").write_bytes(b"no image")
    expected = embedseg_ops.segment(image)
    with chromium(tmp_path / "profile") as open_page:
        page = open_page(address)
        page.resize(1280, 800)
        page.until("document.querySelectorAll('.option').length == 8")
        assert page.run("location.search") == ""  # the token does not stay in the address
        page.drop(tmp_path / "cells.tif", 150, 120)
        assert objects(page, "objects in cells.tif") == expected.max()
        labels = tifffile.imread(io.BytesIO(download(page, "labels")))
        np.testing.assert_array_equal(labels, expected)
        assert page.until("document.getElementById('outlines').naturalWidth") == 320
        before = np.asarray(Image.open(io.BytesIO(page.picture())))

        move(page, "min_object_size", 250)
        fewer = int((np.bincount(expected[expected > 0]) >= 250).sum())
        assert objects(page, f"^{fewer} objects, \\d+ ms") == fewer < expected.max()
        page.until("document.getElementById('outlines').complete")
        after = np.asarray(Image.open(io.BytesIO(page.picture())))
        assert (before[:, 500:] != after[:, 500:]).any()
        page.run("document.getElementById('reset').click()")
        assert objects(page, f"^{expected.max()} objects, \\d+ ms") == expected.max()

        assert page.errors == []
        page.drop(tmp_path / "wrong.png", 150, 120)
        page.until(f"{STATUS}.startsWith('wrong.png: damaged')")
        assert page.run("document.getElementById('status').className") == "wrong"
