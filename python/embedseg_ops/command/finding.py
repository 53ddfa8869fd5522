"""Which images the names on the command line stand for."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from embedseg_ops.command.outputs import is_ours
from embedseg_ops.command.speech import say
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.formats import SUFFIXES, ZARRS
from embedseg_ops.data.names import LABEL_FOLDERS, labels_among
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

    A name that exists is taken as it is, brackets and all. In folders, hidden files and the folder `out` are left out,
    and, which is said, files and folders of labels beside their images, and folders that this program wrote.

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
        inner[:] = [one.name for one in to_look_into([here / name for name in folders], out)] if recursive else []
        named = [here / name for name in sorted([*files, *(set(seen) - set(folders))]) if not name.startswith(".")]
        images = [one for one in named if one.suffix.lower() in SUFFIXES or one.is_dir()]
        for one in without_labels(images):
            yield Found(one, without_ending(one.relative_to(path)))


def without_labels(files: Sequence[Path]) -> list[Path]:
    """Return the files of one folder but those that hold labels of another; say how many these are."""
    labels = labels_among(files)
    if labels:
        say(f"{min(labels)}: left out as labels of an image beside it, one of {len(labels)} such files there")
    return [path for path in files if path not in labels]


def to_look_into(folders: Sequence[Path], out: Path) -> list[Path]:
    """Return the folders of one folder but the outputs, of this run and of others, and those of labels."""
    has_images = any(folder.name == "images" for folder in folders)
    kept = []
    for folder in folders:
        if is_same(folder, out):
            continue
        if has_output(folder):
            say(f"{folder}: left out, as this program wrote it")
        elif has_images and folder.name in LABEL_FOLDERS:
            say(f"{folder}: left out, as labels beside images/")
        else:
            kept.append(folder)
    return kept


def has_output(folder: Path) -> bool:
    """Return whether this program has written to a folder, of which its records tell."""
    record = next((folder / "records").rglob("*.json"), folder / "record.json")
    return is_ours(record)


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
