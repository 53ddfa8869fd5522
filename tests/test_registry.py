"""Models by name, by file and by address: what is found, and what is said where nothing is."""

import dataclasses
import hashlib
import importlib.util
import json
import re
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tifffile
import torch
from commands import run, write_image

from embedseg_ops import load_model, models, save_model, segment
from embedseg_ops.command.main import main
from embedseg_ops.model import registry
from embedseg_ops.model.settings import CARD, Settings

needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed"
)
REVISION = "0123456789abcdef0123456789abcdef01234567"
SETTINGS = Settings(dim=2, filters=2, about="dots", licence="CC0-1.0", scores={"AP50": 0.5})


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    save_model(tmp_path / "mine.safetensors", SETTINGS.build(), SETTINGS)
    return tmp_path / "mine.safetensors"


class Hub(BaseHTTPRequestHandler):
    """Answers as the Hugging Face Hub does, for one repository with one file."""

    content = b""
    etag = ""
    requests: ClassVar[list[str]] = []
    is_down = False

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.requests.append(f"{self.command} {self.path}")
        revision = next((name for name in ("main", "v1", REVISION) if name in re.split("[/?]", self.path)), None)
        if self.is_down:
            self.answer(503, {})
        elif "/user/repo/" not in f"{self.path}/":
            self.answer(404, {"X-Error-Code": "RepoNotFound"})
        elif revision is None:
            self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        elif self.path.startswith("/api/"):
            files = [{"type": "file", "path": "other.safetensors", "size": 1, "oid": "0" * 40}]
            self.answer(200, {"Content-Type": "application/json"}, json.dumps(files).encode())
        elif self.path.endswith(("/model.safetensors", "/sub/mine.safetensors")):
            self.answer(200, {"X-Repo-Commit": REVISION, "ETag": f'"{self.etag}"'}, self.content)
        else:
            self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": REVISION})

    def answer(self, status, headers, content=b""):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    """One for all tests: versions of the client remember the first address that they were told."""
    started = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=started.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{started.server_port}"
    started.shutdown()
    started.server_close()


@pytest.fixture
def hub(server, file, tmp_path, monkeypatch):
    """The server with a file, and an empty cache: what HF_ENDPOINT and HF_HOME do when the client is imported."""
    from huggingface_hub import constants

    content = file.read_bytes()
    state = {"content": content, "etag": hashlib.sha256(content).hexdigest(), "requests": [], "is_down": False}
    for name, value in state.items():
        monkeypatch.setattr(Hub, name, value)
    monkeypatch.setattr(constants, "ENDPOINT", server)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    return Hub


def test_every_model_with_a_name_is_what_it_should_be_and_says_where_it_comes_from():
    for name, entry in models.NAMED.items():
        if not entry.address:
            content = models.find(name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == entry.sha256
            assert len(content) <= 10e6
        card = models.card(name)
        assert all(card[field] for field in ("about", "provenance", "licence", "scores", "training", "version"))
        assert card["parameters"] == sum(p.numel() for p in load_model(name)[0].state_dict().values())
    assert models.find() == models.find("nuclei") == models.find("shipped")
    assert set(CARD) < {field.name for field in dataclasses.fields(Settings)}


def test_a_model_that_was_changed_is_refused(tmp_path, monkeypatch):
    shutil.copy(models.find("nuclei"), tmp_path / "nuclei.safetensors")
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    assert models.find("nuclei").parent == tmp_path
    with open(tmp_path / "nuclei.safetensors", "r+b") as written:
        written.seek(1000)
        written.write(b"?")
    with pytest.raises(ValueError, match="model nuclei: the file was damaged or changed: its SHA-256 is"):
        load_model("nuclei")


def test_a_name_goes_before_a_file_and_a_path_is_always_a_file(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(file, "nuclei")
    assert load_model("nuclei")[1].filters == 16
    for model in ("./nuclei", Path("nuclei"), str(file), file):
        assert load_model(model)[1] == SETTINGS


def test_an_unknown_name_lists_those_there_are(capsys, tmp_path):
    image = write_image(tmp_path / "image.tif")
    for arguments in (["models", "nuclear"], ["predict", image, "--out", tmp_path / "out", "--model", "nuclear"],
                      ["train", tmp_path, "--out", tmp_path / "run", "--init", "nuclear"]):  # fmt: skip
        status, said = run(*arguments, capsys=capsys)
        assert status == 2
        assert said == [
            "embedseg-ops: model file nuclear does not exist, and the models that have names are: "
            + ", ".join(models.NAMED)
        ]
    with pytest.raises(FileNotFoundError, match="does not exist, and the models that have names are: nuclei"):
        segment(np.zeros((8, 8)), "nuclear")


def test_the_command_lists_the_names_and_shows_cards(file, capsys):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(models.NAMED)
    assert "CC0-1.0" in listed[0]
    assert main(["models", str(file)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {"about: dots", "licence: CC0-1.0", "  AP50: 0.5", "filters: 2"} <= set(shown)
    assert "provenance: " not in shown


def test_an_address_needs_the_client_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r'hf://user/repo needs .*: pip install "embedseg-ops\[hub\]"'):
        load_model("hf://user/repo")
    for wrong in ("hf://", "hf://user", "hf://user/", "hf://user/repo/", "hf://user/repo@"):
        with pytest.raises(ValueError, match=r"expected hf://user/repo\[/file\]\[@revision\]"):
            load_model(wrong)


@needs_hub
@pytest.mark.parametrize("address", ["", "@v1", f"@{REVISION}", "/sub/mine.safetensors", "/sub/mine.safetensors@v1"])
def test_an_address_is_downloaded_once_and_works_without_a_network(hub, file, address):
    assert load_model(f"hf://user/repo{address}")[1] == SETTINGS
    assert sum(request.startswith("GET /user") for request in hub.requests) == 1
    assert models.find(f"hf://user/repo{address}").read_bytes() == file.read_bytes()
    assert sum(request.startswith("GET /user") for request in hub.requests) == 1
    hub.is_down = True
    assert load_model(f"hf://user/repo{address}")[1] == SETTINGS


@needs_hub
def test_the_commands_take_addresses(hub, tmp_path, capsys):
    image = write_image(tmp_path / "images" / "image.tif")
    status, _ = run("predict", image, "--out", tmp_path / "out", "--model", "hf://user/repo@v1", capsys=capsys)
    assert status == 0
    tifffile.imread(tmp_path / "out" / "image.tif")
    write_image(tmp_path / "data" / "train" / "images" / "1.tif")
    write_image(tmp_path / "data" / "train" / "labels" / "1.tif")
    few = ("--steps", 1, "--batch", 1, "--crop", 16)
    status, _ = run(
        "train", tmp_path / "data", "--out", tmp_path / "run", "--init", "hf://user/repo", *few, capsys=capsys
    )
    assert status == 0
    assert 'init = "hf://user/repo"' in (tmp_path / "run" / "run.toml").read_text()


@needs_hub
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hf://user/nothing", "there is no such repository, or it is private"),
        ("hf://user/repo@v2", "there is no revision v2"),
        ("hf://user/repo/my.safetensors", "there is no such file; the repository has other.safetensors"),
        ("hf://us er/repo", "Repo id must"),
    ],
)  # fmt: skip
def test_what_the_hub_has_not_is_said_in_one_line(hub, address, said, capsys):
    status, lines = run("models", address, capsys=capsys)
    assert status == 2
    assert len(lines) == 1
    assert lines[0].startswith(f"embedseg-ops: model {address}: ")
    assert said in lines[0]


@needs_hub
def test_without_a_network_it_says_so(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="it was never downloaded before, and http://127"):
        load_model("hf://user/repo")
    assert hub.requests == []


@needs_hub
def test_a_download_with_another_hash_is_refused(hub, monkeypatch):
    hub.etag = "0" * 64
    with pytest.raises(ValueError, match=r"hf://user/repo: the file was damaged .* expected 0000"):
        load_model("hf://user/repo")


@needs_hub
def test_a_name_may_stand_for_an_address(hub, file, monkeypatch):
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(registry.MODELS, "dots", registry.Registered(right, "hf://user/repo@v1"))
    assert load_model("dots")[1] == SETTINGS
    monkeypatch.setitem(registry.MODELS, "dots", registry.Registered("0" * 64, "hf://user/repo@v1"))
    with pytest.raises(ValueError, match="model dots: the file was damaged or changed"):
        load_model("dots")
