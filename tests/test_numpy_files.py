"""One thread at a time opens NumPy's files: CPython up to 3.11 cannot parse their headers in two."""

import ast
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from embedseg_ops.data.arrays import open_array, read_array
from embedseg_ops.predict.blocks.arrays import Stored
from embedseg_ops.predict.blocks.folder import Folder
from embedseg_ops.predict.blocks.maps import TileGrid, TileMaps


@pytest.fixture
def most_at_once(monkeypatch):
    """Return how many threads parsed Python at the same time, so far."""
    inside, most = 0, 0
    counting, parse = threading.Lock(), ast.literal_eval

    def slowly(text):
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        time.sleep(0.02)
        found = parse(text)
        with counting:
            inside -= 1
        return found

    monkeypatch.setattr(ast, "literal_eval", slowly)
    return lambda: most


@pytest.mark.parametrize("way", ["image", "labels", "windows", "stored", "array", "table", "entry", "maps"])
def test_headers_are_parsed_by_one_thread_at_a_time(tmp_path, way, most_at_once):
    labels = np.arange(12, dtype=np.int32).reshape(3, 4)
    np.save(tmp_path / "labels.npy", labels)
    np.savez(tmp_path / "table.npz", one=labels, two=labels)
    folder, maps = Folder(tmp_path), TileMaps(tmp_path, TileGrid.over((3, 4), 8, 4, 1), 1)
    np.save(tmp_path / "0.npy", np.concatenate([labels.ravel(), labels.ravel()]).astype(np.float32))
    opened = {
        "image": lambda: open_array(tmp_path / "labels.npy").pixels,
        "labels": lambda: read_array(tmp_path / "labels.npy"),
        "windows": lambda: read_array(tmp_path / "labels.npy", windows=True),
        "stored": Stored(str(tmp_path / "labels.npy"), "r"),
        "array": lambda: folder.load("labels.npy"),
        "table": lambda: folder.load_table("table.npz")["two"],
        "entry": lambda: folder.load_entry("one", "table.npz"),
        "maps": lambda: maps.embedding((slice(0, 3), slice(0, 4)))[0],
    }[way]
    with ThreadPoolExecutor(4) as threads:
        for found in [threads.submit(opened) for _ in range(4)]:
            np.testing.assert_array_equal(found.result(), labels)
    assert most_at_once() == 1
