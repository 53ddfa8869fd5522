"""Many files, of which a bad one ends nothing but itself."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedseg_ops.command.speech import one_line, reason, say
from embedseg_ops.data.errors import DataError

ENDS_ALL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no other file can be written, either


class Batch:
    """The files that failed, each with its reason.

    Args:
        debug: show the traceback of every error.
    """

    def __init__(self, debug: bool = False):
        self.debug = debug
        self.failures: list[str] = []

    @contextmanager
    def attempt(self, path: Path) -> Iterator[None]:
        """Work on one file; note an error, and go on."""
        try:
            yield
        except Exception as error:
            if self.debug:
                traceback.print_exc()
            if isinstance(error, OSError) and error.errno in ENDS_ALL:
                error.filename = error.filename or path
                raise
            said, name = reason(error), one_line(path)
            named = isinstance(error, DataError) or name in said
            self.failures.append(said if named else f"{name}: {said}")

    def finish(self, count: int) -> int:
        """Say which of `count` files failed, and why; return the exit status."""
        if self.failures:
            say(f"{len(self.failures)} of {count} failed:")
            for failure in self.failures:
                say(failure)
        return 1 if self.failures else 0
