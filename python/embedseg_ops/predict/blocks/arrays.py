"""Arrays that tasks open for themselves: whatever has a shape, a dtype and slices, or a path to it."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from embedseg_ops.data.numpy_files import load_npy
from embedseg_ops.predict.blocks.folder import sync
from embedseg_ops.predict.blocks.grid import Box

TIFF = (".tif", ".tiff")
GIVE_ONE = "give the path of a zarr array or of a .npy file, a zarr array, a dask array or a numpy.memmap"


@dataclass(frozen=True)
class Held:
    """An array of this process, as it is.

    Args:
        array: has shape, dtype and slices.
    """

    array: Any

    def __call__(self) -> Any:
        """Return the array."""
        return self.array


@dataclass(frozen=True)
class Mapped:
    """A file whose bytes are an array: opened again where it is needed, instead of copied there.

    Args:
        path: of the file.
        dtype: as NumPy spells it.
        shape: of the array.
        offset: in bytes.
        mode: ``r`` or ``r+``.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    mode: str

    def __call__(self) -> Any:
        """Return the array."""
        return np.memmap(self.path, self.dtype, self.mode, self.offset, self.shape)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Stored:
    """An array in a zarr store, a .npy file, or a TIFF that is not compressed.

    Args:
        path: of the array.
        mode: ``r`` or ``r+``.
    """

    path: str
    mode: str

    def __call__(self) -> Any:
        """Return the array."""
        if self.path.endswith(".npy"):
            return load_npy(self.path, self.mode)
        if self.path.endswith(TIFF):
            return tifffile.memmap(self.path, mode=self.mode)  # type: ignore[arg-type]
        return import_zarr().open_array(self.path, mode=self.mode)


def handle(array: Any, name: str, mode: str = "r") -> Callable[[], Any]:
    """Return what opens an array in any process.

    Raises:
        TypeError: it is no path and has no shape, dtype or slices.
    """
    if isinstance(array, str | os.PathLike):
        return Stored(str(array), mode)
    if isinstance(array, np.memmap) and array.base is not None and array.filename and array.flags.c_contiguous:
        writable = "r+" if mode == "r+" else "r"
        return Mapped(str(array.filename), array.dtype.str, array.shape, place_in_file(array), writable)
    if not all(hasattr(array, attribute) for attribute in ("shape", "dtype", "__getitem__")):
        raise TypeError(f"{name} must have a shape, a dtype and slices, got {type(array).__name__}: {GIVE_ONE}")
    if mode == "r+" and not hasattr(array, "__setitem__"):
        raise TypeError(f"{name} must take values, got {type(array).__name__}: {GIVE_ONE}")
    return Held(array)


def place_in_file(array: "np.memmap[Any, Any]") -> int:
    """Return at which byte of its file an array begins: a part of a memory map has the whole's ``offset``."""
    whole = array
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    return whole.offset + array.ctypes.data - whole.ctypes.data


def check_shared(opens: Callable[[], Any], name: str) -> None:
    """Raise a ValueError for an array that lives in this process alone, where workers must see it."""
    if isinstance(opens, Held) and isinstance(opens.array, np.ndarray):
        raise ValueError(f"{name} is in this process's memory, which a client's workers do not see: {GIVE_ONE}")


def check_chunks(out: Any, core: Sequence[int]) -> None:
    """Raise a ValueError where two blocks would write into the same chunk (shard) of an array: one would be lost."""
    stored = getattr(out, "shards", None) or getattr(out, "chunks", None)
    if stored is not None and any(
        side % chunk for side, chunk, size in zip(core, stored, out.shape, strict=True) if side < size
    ):
        raise ValueError(f"out is stored in pieces of {list(stored)}, and blocks of {list(core)} cut through them")


def sync_box(opens: Callable[[], Any], box: Box) -> None:
    """Bring what was written into a box of an array onto the disk, where it lies in files of this machine."""
    array = opens()
    if isinstance(array, np.memmap):
        array.flush()
        return
    if not isinstance(opens, Stored):
        return
    spans = [
        range(part.start // side, -(-part.stop // side))
        for part, side in zip(box, array.shards or array.chunks, strict=True)
    ]
    for place in itertools.product(*spans):
        file = Path(opens.path, array.metadata.encode_chunk_key(place))
        if file.exists():  # a piece without an object is none
            sync(file)


def import_zarr() -> Any:
    """Return the zarr package, version 3.1 or later.

    Raises:
        ModuleNotFoundError: it is not there; the message says how to install it.
    """
    try:
        import zarr
    except ModuleNotFoundError:
        message = "zarr 3.1 or later is needed for this: pip install 'embedseg-ops[slides]'"
        raise ModuleNotFoundError(message) from None
    return zarr


def run_folder(out: Any, folder: str | os.PathLike[str] | None) -> Path | None:
    """Return where a run keeps its files: `folder`, or beside or in `out` where that has a path; else None."""
    if folder is not None:
        return Path(folder)
    if isinstance(out, str | os.PathLike):
        path = Path(out)
        return path / ".run" if path.suffix == ".zarr" else path.with_name(f"{path.name}.run")
    return None
