"""Which images the names on the command line stand for."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from embedseg_ops.data.errors import DataError
from embedseg_ops.data.formats import SUFFIXES, ZARRS
from embedseg_ops.data.ome_zarr import is_zarr


class Found(NamedTuple):
    """An image.

    Args:
        path: of the file.
        name: what its outputs are called: its path below the folder that was given, without extension.
    """

    path: Path
    name: Path


def find_images(names: Sequence[str], out: Path, recursive: bool = True) -> list[Found]:
    """Return the images that names of files and folders, and patterns, stand for, in order.

    A name that exists is taken as it is, brackets and all. In folders, hidden files and the folder `out` are left out.

    Raises:
        DataError: a name stands for nothing, or two images would have outputs of the same name.
    """
    found: dict[Path, Found] = {}
    for name in names:
        hits = [name] if os.path.lexists(name) else sorted(glob.glob(name, recursive=True))
        paths = [Path(hit) for hit in hits]
        if not paths:
            raise DataError(f"{name}: no such file or folder, and no file that fits this pattern")
        images = [one for path in paths for one in images_of(path, out, recursive)]
        if not images:
            raise DataError(f"{name}: no image there ({', '.join(sorted(SUFFIXES))})")
        for one in images:
            first = found.setdefault(one.name, one)
            if os.path.abspath(first.path) != os.path.abspath(one.path):
                raise DataError(f"{one.path}: its labels would overwrite those of {first.path}")
    return list(found.values())


def images_of(path: Path, out: Path, recursive: bool) -> Iterator[Found]:
    """Return a file, or the images of a folder and, if it is `recursive`, of the folders in it."""
    if not is_folder_of_images(path):
        yield Found(path, without_ending(Path(path.name)))
        return
    for folder, inner, files in os.walk(path):
        here = Path(folder)
        seen = [name for name in sorted(inner) if not name.startswith(".")]
        folders = [name for name in seen if is_folder_of_images(here / name)]
        inner[:] = [name for name in folders if recursive and not is_same(here / name, out)]
        for name in sorted([*files, *(set(seen) - set(folders))]):
            one = here / name
            if not name.startswith(".") and (one.suffix.lower() in SUFFIXES or one.is_dir()):
                yield Found(one, without_ending(one.relative_to(path)))


def is_folder_of_images(path: Path) -> bool:
    """Return whether a path is a folder that is not one image itself, as those of Zarr are."""
    return path.is_dir() and path.suffix.lower() not in ZARRS and not is_zarr(path)


def without_ending(path: Path) -> Path:
    """Return a path without the ending that says what is in the file."""
    return path.with_suffix("") if path.suffix.lower() in SUFFIXES else path


def is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file or folder, by links or by another spelling."""
    try:
        return one.samefile(other)
    except OSError:
        return False
