"""What is wrong with a file, said in one line that names it."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_allowed: ContextVar[int | None] = ContextVar("allowed", default=None)


class DataError(ValueError):
    """A file or folder that cannot be used; the message names it and says what is wrong and what was expected."""


class DataWarning(UserWarning):
    """A file that can be used, though it looks like a mistake, or something about it had to be guessed."""


def needed(module: str, extra: str, path: Path) -> Any:
    """Return a module that only some files need; without it, say which extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise DataError(f"{path}: is read by {module}: pip install 'embedseg-ops[{extra}]'") from None


@contextmanager
def allowing(size: int) -> Iterator[None]:
    """Let `check_memory` refuse files whose pixels are more than `size` bytes, in this thread."""
    token = _allowed.set(size)
    try:
        yield
    finally:
        _allowed.reset(token)


def check_memory(path: Path, size: int) -> None:
    """Refuse a file whose pixels, of `size` bytes, are more than allowed, or than this machine's memory.

    It is asked before pixels are decoded: a damaged file, or one made for harm, may say that it has any number of them.
    """
    allowed = _allowed.get()
    if allowed is not None and size > allowed:
        raise DataError(f"{path}: has {size / 1e6:,.0f} MB of pixels, and {allowed / 1e6:,.0f} MB are allowed")
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if size > memory:
            raise DataError(f"{path}: needs {size / 2**30:,.1f} GiB of memory, and there are {memory / 2**30:,.1f}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a `DataError` that names the file."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except PermissionError:
        raise DataError(f"{path}: may not be read") from None
    except MemoryError as error:
        raise DataError(f"{path}: does not fit into memory") from error
    except Exception as error:  # decoders of damaged files raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: not a readable image: {reason}") from error
