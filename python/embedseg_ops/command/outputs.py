"""Checks that what is written harms nothing that is there."""

import os
from collections.abc import Iterable
from pathlib import Path

from embedseg_ops.data.errors import DataError

OURS = b"embedseg-ops "  # in the first line or lines of the text files that this program writes


def check_outputs(
    outputs: Iterable[Path], inputs: Iterable[Path], root: Path, ours: Iterable[Path] = (), overwrite: bool = False
) -> None:
    """Refuse outputs that are an input, a link, or a file that somebody else wrote.

    Args:
        outputs: what is to be written.
        inputs: files that are read.
        root: the folder of the outputs, which may itself be a link.
        ours: outputs that an earlier run of this program wrote, unchanged since.
        overwrite: others may be replaced, too; inputs and links never.

    Raises:
        DataError: naming the first output that is refused.
    """
    read: dict[object, Path] = {identity: path for path in inputs if (identity := identity_of(path))}
    own = {os.path.abspath(path) for path in ours}
    if os.path.lexists(root) and not root.is_dir():
        raise DataError(f"{root}: is a file, expected a folder to write to")
    for path in outputs:
        for part in (path, *(folder for folder in path.parents if root in folder.parents)):
            if part.is_symlink():
                raise DataError(f"{part}: is a link; outputs are not written through links")
        if not path.exists():
            continue
        identity = identity_of(path)
        if identity in read:
            raise DataError(f"{path}: is an input ({read[identity]}); choose another place for the output")
        if path.is_dir() and path.suffix != ".zarr":
            raise DataError(f"{path}: is a folder, expected a file to write")
        if not overwrite and os.path.abspath(path) not in own:
            raise DataError(f"{path}: is there, and not as this program wrote it; --overwrite replaces it")


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from every other, whatever its name; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_ours(path: Path) -> bool:
    """Return whether a text file says that this program wrote it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return OURS in file.read(300)
