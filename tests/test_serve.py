"""The page of `embedseg-ops serve`: what it answers, what it refuses."""

import io
import json
import re
import threading
import zipfile
import zlib

import numpy as np
import pytest
import tifffile
from commands import model as model_file  # noqa: F401  # a fixture
from commands import run, volume_model  # noqa: F401  # a fixture
from PIL import Image

import embedseg_ops
from embedseg_ops.command import serve
from embedseg_ops.command.web.limits import Limits
from embedseg_ops.command.web.work import Worker
from embedseg_ops.data.drawn import cells
from embedseg_ops.model.files import load_model

testclient = pytest.importorskip("starlette.testclient")
pytest.importorskip("httpx")
HOME = "http://127.0.0.1:8477"


@pytest.fixture(scope="module")
def shipped():
    return load_model()


def client(model, token=None, base=HOME, **limits):
    from embedseg_ops.command.web.app import make_app

    app = make_app(Worker(model, Limits(**limits)), token)
    return testclient.TestClient(app, base, raise_server_exceptions=False, follow_redirects=False)


@pytest.fixture
def small(model_file):  # noqa: F811
    return load_model(model_file)


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="minisblack", **options)
    return file.getvalue()


def upload(asked, content=None, name="nuclei.tif", **query):
    content = tiff(np.zeros((24, 32), np.uint8)) if content is None else content
    return asked.post("/images", content=content, params={"name": name, **query})


def test_the_page_needs_nothing_from_elsewhere(small):
    asked = client(small)
    for path, kind in {"/": "text/html", "/page.js": "text/javascript", "/page.css": "text/css"}.items():
        answer = asked.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"https?://|\son\w+=|style=", answer.text)


def test_sliders_are_the_options_of_the_postprocessing(small):
    told = client(small).get("/options").json()
    assert {slider["name"] for slider in told["sliders"]} == set(
        embedseg_ops.options.PostprocessOptions.__annotations__
    )
    assert all(slider["help"] and slider["low"] <= slider["when_on"] <= slider["high"] for slider in told["sliders"])


def test_an_image_is_segmented_and_labelled_again(shipped):
    image, _ = cells(seed=3, size=96, count=20)
    asked = client(shipped)
    told = upload(asked, tiff(image)).json()
    expected = embedseg_ops.segment(image, shipped)
    assert (told["objects"], told["width"], told["height"]) == (expected.max(), 96, 96)

    def labels():
        return tifffile.imread(io.BytesIO(asked.get(f"/images/{told['id']}/download/labels").content))

    np.testing.assert_array_equal(labels(), expected)
    asked.app.state.worker.network = None  # only the postprocessing is done again
    again = asked.post(f"/images/{told['id']}/labels", content=json.dumps({"min_object_size": 150})).json()
    sizes = np.bincount(expected[expected > 0])
    assert again["objects"] == (sizes >= 150).sum() < expected.max()
    assert labels().max() == again["objects"]


def test_downloads_are_those_of_the_command_line(shipped):
    image, _ = cells(seed=3, size=96, count=20)
    asked = client(shipped)
    told = upload(asked, tiff(image), name='my "cells" ä.tif').json()
    folder = f"/images/{told['id']}"
    answers = {kind: asked.get(f"{folder}/download/{kind}") for kind in asked.get("/options").json()["downloads"]}
    assert len(zipfile.ZipFile(io.BytesIO(answers["rois"].content)).namelist()) == told["objects"]
    assert len(json.loads(answers["geojson"].content)["features"]) == told["objects"]
    rows = [row.split(",") for row in answers["table"].text.splitlines()]
    scores = [float(row[rows[0].index("score")]) for row in rows[1:]]
    np.testing.assert_allclose(scores, embedseg_ops.segment_with_scores(image, shipped)[1], rtol=1e-6)
    assert Image.open(io.BytesIO(answers["overlay"].content)).size == (96, 96)
    name = "attachment; filename*=UTF-8''my%20%22cells%22%20%C3%A4-rois.zip"
    assert answers["rois"].headers["content-disposition"] == name
    outlines = np.asarray(Image.open(io.BytesIO(asked.get(f"{folder}/outlines.png").content)))
    assert outlines.shape == (192, 192, 4)
    assert 0 < (outlines[..., 3] > 0).mean() < 0.5
    assert Image.open(io.BytesIO(asked.get(f"{folder}/image.png").content)).size == (96, 96)


def huge_png(side):
    """A PNG of a few bytes that says it has many pixels."""

    def chunk(kind, content):
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("content", "name", "status", "message"),
    [
        (b"", "a.tif", 400, "a.tif: empty"),
        (b"no image", "a.png", 400, "a.png: damaged, or of a format that is not read"),
        (b"PK", "a.zip", 400, "a.zip: not one of .png"),
        (b"II*\0" + bytes(40), "a.tif", 400, "a.tif: "),
        (huge_png(60_000), "a.png", 400, "a.png: has 14,400 MB of pixels, and 16 MB are allowed"),
        (tiff(np.zeros((1001, 1000), np.uint8)), "a.tif", 413, "1.0 megapixels; 1 are allowed"),
        (tiff(np.zeros((3, 20, 20), np.uint8), metadata={"axes": "ZYX"}), "a.tif", 400, "a.tif: "),
        (tiff(np.full((20, 20), np.nan, np.float32)), "a.tif", 400, "400 values that are not finite"),
        (bytes(2_000_001), "a.tif", 413, "the file is larger than the 2 MB that are allowed"),
    ],
)
def test_files_that_cannot_be_used_are_said_in_one_line(small, content, name, status, message):
    answer = upload(client(small, max_megapixels=1, max_upload=2), content, name)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert "/tmp" not in answer.json()["error"]


def test_a_plane_of_a_stack_can_be_chosen(small):
    stack = tiff(np.zeros((3, 20, 30), np.uint8), metadata={"axes": "ZYX"})
    assert upload(client(small), stack, z="1").json()["width"] == 30
    answer = upload(client(small), stack, z="-1")
    assert (answer.status_code, answer.json()["error"]) == (400, "z must be a whole number from 0, got '-1'")
    assert "no channel" in upload(client(small), stack, z="1", channel="red").json()["error"]


def test_a_model_of_volumes_shows_the_middle_plane(volume_model):  # noqa: F811
    asked = client(load_model(volume_model))
    told = upload(asked, tiff(np.zeros((9, 20, 30), np.uint8), metadata={"axes": "ZYX"})).json()
    assert (told["height"], told["width"]) == (20, 30)
    picture = Image.open(io.BytesIO(asked.get(f"/images/{told['id']}/image.png").content))
    assert picture.size == (30, 20)
    labels = tifffile.imread(io.BytesIO(asked.get(f"/images/{told['id']}/download/labels").content))
    assert labels.shape == (9, 20, 30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('{"min_object_size": 2.5}', "min_object_size must be a whole number from 1 to 1000"),
        ('{"seed_smoothing": 1000}', "seed_smoothing must be a number from 0 to 5"),
        ('{"seed_threshold": NaN}', "seed_threshold must be a number from 0 to 1"),
        ('{"seed_threshold": null}', "seed_threshold must be a number from 0 to 1"),
        ('{"seed_threshold": true}', "seed_threshold must be a number from 0 to 1"),
        ('{"threshold": 1}', "options must be some of seed_threshold"),
        ("[]", "options must be some of seed_threshold"),
        ("{", "Expecting property name"),
        (" " * 10_001, "options of more than 10000 bytes"),
    ],
)
def test_options_that_no_slider_shows_are_refused(small, options, message):
    asked = client(small)
    answer = asked.post(f"/images/{upload(asked).json()['id']}/labels", content=options)
    assert answer.status_code in (400, 413)
    assert message in answer.json()["error"]


def test_only_so_many_images_are_kept(small):
    asked = client(small, max_images=2)
    names = [upload(asked).json()["id"] for _ in range(2)]
    asked.get(f"/images/{names[0]}/image.png")  # used since, so the other one goes
    names.append(upload(asked).json()["id"])
    found = [asked.get(f"/images/{name}/image.png").status_code for name in names]
    assert found == [200, 404, 200]
    large = tiff(np.zeros((800, 800), np.uint8))
    asked = client(small, max_megapixels=1)
    names = [upload(asked, large).json()["id"] for _ in range(2)]
    answer = asked.post(f"/images/{names[0]}/labels", content="{}")
    assert (answer.status_code, answer.json()["error"]) == (404, "this image is not kept any more; open it again")


def test_long_work_ends(small):
    asked = client(small)
    asked.app.state.worker.limits = Limits(max_seconds=-1)
    answer = upload(asked)
    assert answer.status_code == 413
    assert re.search("not (here within|done within)", answer.json()["error"])


def test_others_wait_for_their_turn(small):
    worker = Worker(small, Limits(max_seconds=0))
    with worker.one_at_a_time(), pytest.raises(RuntimeError, match="try again in a minute"), worker.one_at_a_time():
        pass
    assert worker.turn.acquire(blocking=False)


def test_only_so_many_may_wait(small):
    asked = client(small)
    asked.app.state.worker.places = threading.Semaphore(0)
    answer = upload(asked)
    assert (answer.status_code, answer.json()["error"]) == (503, "too many images are waiting; try again in a minute")


def test_another_server_s_pages_may_not_ask(small):
    assert client(small, base="http://evil.example").get("/options").status_code == 403
    asked = client(small)
    assert asked.get("/options", headers={"origin": "http://evil.example"}).status_code == 403
    assert asked.get("/options", headers={"origin": "null"}).status_code == 403
    assert asked.get("/options", headers={"origin": HOME}).status_code == 200
    assert client(small, base="http://[::1]:80").get("/options").status_code == 200


def test_a_token_is_asked_for_and_does_not_stay_in_the_address(small):
    asked = client(small, token="a token of the test", base="http://microscope:80")
    for path in ("/", "/options", "/?token=another"):
        answer = asked.get(path)
        assert answer.status_code == 401
        assert "open the address with the token" in answer.json()["error"]
    assert asked.get("/options", headers={"authorization": "Bearer a token of the test"}).status_code == 200
    answer = asked.get("/", params={"token": "a token of the test"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert all(word in answer.headers["set-cookie"].lower() for word in ("httponly", "samesite=strict"))
    assert asked.get("/options").status_code == 200  # with the cookie


def test_an_address_for_others_gets_a_token():
    assert serve.choose_token("127.0.0.1", None) is None
    made = serve.choose_token("0.0.0.0", None)
    assert len(made) >= 32
    assert made != serve.choose_token("0.0.0.0", None)
    assert serve.choose_token("localhost", "sixteen letters.") == "sixteen letters."
    assert serve.address("::", 80, "t") == "http://[::]:80/?token=t"


def test_wrong_options_of_the_command_are_said(capsys):
    assert "--port: expected 65535 or less, got 65536" in run("serve", "--port", "65536", capsys=capsys)[1][0]
    status, said = run("serve", "--token", "short", capsys=capsys)
    assert status == 2
    assert said == ["embedseg-ops: --token must have 16 letters or more, got 5"]


def test_the_command_serves_until_it_is_interrupted(model_file, capsys, monkeypatch):  # noqa: F811
    import httpx
    import uvicorn

    answers = []

    def ask(server, sockets):
        address = capsys.readouterr().out.split()[1]
        runner = threading.Thread(target=lambda: answers.append(httpx.get(f"{address}options").status_code))
        runner.start()
        original(server, sockets)

    original = uvicorn.Server.run
    monkeypatch.setattr(uvicorn.Server, "run", ask)
    monkeypatch.setattr(uvicorn.Server, "on_tick", stop_when(answers))
    status, _ = run("serve", "--model", model_file, "--port", "0", capsys=capsys)
    assert (status, answers) == (0, [200])


def stop_when(answers):
    async def on_tick(server, counter):
        return bool(answers)

    return on_tick
