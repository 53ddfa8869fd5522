"""One run a folder: a lock that ends with the process that holds it, however that ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder.

    Raises:
        ValueError: another run holds it.
    """
    with open(folder / ".lock", "a+", encoding="utf-8") as file:
        if not take(file):
            file.seek(0)
            raise ValueError(f"{folder} is in use by another run, process {file.read().strip() or 'unknown'}")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield  # closing the file gives the lock back, and so does the end of the process


def take(file: IO[str]) -> bool:
    """Take the lock of an open file; return False if another has it. Without such locks, nobody has."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
