"""Writing files such that nobody ever sees half of one."""

import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a writer that needs a path one beside `path`; what it wrote there takes the place of `path` at the end.

    Another process, or this one after a crash, sees all of the new file or what was there before. A link at `path` is
    replaced, not followed. After an error nothing stays, and an OSError names `path`. The writer may make a folder in
    place of a file.

    Args:
        path: where the file goes; its folder exists.

    Yields:
        the path to write to: in the same folder, with the same extension, and no such file yet.
    """
    path = Path(path)
    part = path.with_name(f".embedseg-{HOST}-{os.getpid()}-{secrets.token_hex(8)}.part{path.suffix}")
    try:
        yield part
        for file in part.rglob("*") if part.is_dir() else [part]:
            if file.is_file():
                with open(file, "rb+") as written:
                    os.fsync(written.fileno())
        if part.is_dir():
            remove(path)  # a folder with files in it cannot be replaced in one step
        os.replace(part, path)
    except OSError as error:  # of a full disk, which names no file, or the one that nobody knows
        if error.filename is None or part.name in str(error.filename):
            error.filename = str(path)
        raise
    finally:
        remove(part)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file such that another process, or this one after a crash, sees all of it or what was there before."""
    with atomic_path(path) as part:
        part.write_bytes(content)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left half written in a folder."""
    for part in folder.glob(f".embedseg-{HOST}-*.part*"):
        process = re.match(rf"\.embedseg-{HOST}-(\d+)-", part.name)
        if process and not is_running(int(process[1])):
            remove(part)


def is_running(process: int) -> bool:
    """Return whether there is a process of this number."""
    if sys.platform == "win32":  # where signal 0 is Ctrl-C, and does not ask: it may be running
        return True
    try:
        os.kill(process, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except OSError:  # of somebody else
        return True
    return True
