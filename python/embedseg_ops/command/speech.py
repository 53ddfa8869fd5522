"""What the command line says: every message is one line, whatever is in it."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from embedseg_ops.data.errors import DataWarning
from embedseg_ops.data.processes import is_first_to_say

NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "unable to allocate")


def one_line(text: object) -> str:
    """Return a text as one line that any terminal can show; names that are not UTF-8 have escapes."""
    return " ".join(str(text).encode("utf-8", "backslashreplace").decode("utf-8").split())


def say(text: object) -> None:
    """Write one line to the terminal, above a progress bar."""
    tqdm.write(f"embedseg-ops: {one_line(text)}", file=sys.stderr)


def say_once(text: object) -> None:
    """Write one line, unless another of the processes that train together has said the same."""
    if is_first_to_say(one_line(text)):
        say(text)


def reason(error: BaseException) -> str:
    """Return what an error says to somebody who does not know the program, in one line."""
    text = one_line(error)
    if is_out_of_memory(error):
        return f"not enough memory ({text or 'no more could be had'})"
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    if isinstance(error, ValueError | ImportError | OSError):
        return text or type(error).__name__
    return f"{type(error).__name__}: {text}; --debug shows where"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory has run out; PyTorch says it with a RuntimeError."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in said for words in NO_MEMORY)
    )


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Say warnings as everything else is said."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = lambda message, *_: say_once(f"warning: {message}")
        yield
