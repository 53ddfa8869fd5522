"""NumPy files: arrays, and Cellpose's ``_seg.npy``, whose pickle is read with nothing in it that could do harm."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from embedseg_ops.data.errors import DataError, reading
from embedseg_ops.data.numpy_files import OPENING, load_npy
from embedseg_ops.data.stored import Stored

BEGINNING = b"\x93NUM"
ALLOWED = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}  # fmt: skip


class Unpickler(pickle.Unpickler):
    """Reads dicts, lists, numbers, text and arrays, and nothing that runs code."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what arrays are made of; a path becomes a tuple of its parts."""
        if (module, name) in ALLOWED:
            return super().find_class(module, name)
        if module.startswith("pathlib"):
            return lambda *parts: parts
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not read, as it could run code")


def read_array(path: Path, windows: bool = False) -> np.ndarray:
    """Return the labels of a ``_seg.npy`` (``masks``), or of an array: mapped into memory for `windows`, or read."""
    with reading(path), path.open("rb") as file:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        with OPENING:
            _, _, dtype = header(file)
        if not dtype.hasobject:
            return np.asarray(load_npy(path, "r" if windows else None))
        content = Unpickler(file).load()
        content = content.item() if isinstance(content, np.ndarray) and content.ndim == 0 else content
        if not isinstance(content, dict) or "masks" not in content:
            raise DataError(f"{path}: expected Cellpose's masks in it")
        return np.asarray(content["masks"])


def open_array(path: Path) -> Stored:
    """Map an image into memory, whose last axes are Y and X; the others have no names."""
    array = load_npy(path)
    if array.ndim < 2:
        raise DataError(f"{path}: an array of shape {array.shape}, expected an image")
    return Stored(path, array, "Q" * (array.ndim - 2) + "YX")
