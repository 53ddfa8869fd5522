"""What is known of training samples, kept in a file, so that the next start need not read every image again."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from embedseg_ops.data.errors import DataError, reading
from embedseg_ops.data.folders import Source
from embedseg_ops.data.processes import Group
from embedseg_ops.data.progress import steps
from embedseg_ops.data.writing import write_atomically
from embedseg_ops.version import __version__

HEADER = b"embedseg-ops wrote here what it found out about the training images; without it, they are read again\n"
FORMAT = 1  # one more when what a fact means changes
SETTLED = 2.0  # seconds; within the tick of its file system's clock, a file may change and keep its time
UNSETTLED = "-"  # the key of what is not kept
Facts = dict[str, Any]
Survey = Callable[[Source], Facts]


class Known:
    """What is known of samples, shared among processes that train together.

    As a context, it is read from a file at the beginning, and written at the end: atomically, by the first process,
    only with what was asked for. What changed on the disk, is broken or cannot be read is not known; a file that
    cannot be written is none.

    Args:
        path: the file; None: nothing is kept.
        group: the processes, each of which finds out a part.
    """

    def __init__(self, path: str | Path | None = None, group: Group | None = None):
        self.path = None if path is None else Path(path)
        self.group = group or Group()
        self.before: dict[str, bytes] = {}
        self.now: dict[str, bytes] = {}

    def __enter__(self) -> "Known":
        """Read the file."""
        self.before, self.now = {} if self.path is None else read_lines(self.path), {}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write the file if there is something new; after an error, also what was not asked for."""
        lines = self.now if kind is None else {**self.before, **self.now}
        changed = lines.keys() != self.before.keys()
        self.before, self.now = {}, {}
        if self.path is None or self.group.rank or not changed:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, HEADER + b"".join(lines.values()))
        except OSError:
            return  # the next start will take longer

    def facts(self, sources: Sequence[Source], how: object, survey: Survey, **bar: Any) -> list[Facts]:
        """Return what is known of each of `sources`.

        Args:
            sources: what it is asked of; the same in every process.
            how: the images are looked at; facts found otherwise do not count. Its `repr` tells it from any other.
            survey: finds out what is not known yet, as a dict of numbers, text, bytes, arrays and tuples of them.
            bar: the progress bar, as of `embedseg_ops.data.progress.steps`.

        Raises:
            DataError: of `survey`, in every process.
        """
        own: list[bytes | DataError] = []
        for source in steps(sources[self.group.rank :: self.group.size], unit="image", **bar):
            try:
                own.append(self.line(source, how, survey))
            except DataError as error:
                own.append(error)
                break
        lines = self.group.gather(own)
        for line in lines:
            if isinstance(line, bytes):
                self.keep(line)
        for line in lines:
            if isinstance(line, DataError):
                raise line
        return [decoded(line) for line in lines if isinstance(line, bytes)]

    def line(self, source: Source, how: object, survey: Survey) -> bytes:
        """Return the line of a sample in the file: a checksum of the rest, its key, what is known of it."""
        key = key_of(source, how)
        if key in self.before:
            return self.before[key]
        line = f"{key} {json.dumps(survey(source), default=encoded)}".encode()
        line = checksum(line) + b" " + line + b"\n"
        self.keep(line)
        return line

    def keep(self, line: bytes) -> None:
        """Remember a line, if it has a key."""
        key = line.split(b" ", 2)[1].decode()
        if key != UNSETTLED:
            self.now[key] = line


def read_lines(path: Path) -> dict[str, bytes]:
    """Return the unbroken lines of a file by their keys; none if it cannot be read."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError:
        return {}
    parts = [(line, line.rstrip(b"\n").partition(b" ")) for line in lines]
    return {rest.partition(b" ")[0].decode(): line for line, (check, _, rest) in parts if check == checksum(rest)}


def checksum(content: bytes) -> bytes:
    """Return a checksum of a line."""
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()


def key_of(source: Source, how: object) -> str:
    """Return a digest of where the files of a sample are, of their sizes and times, and of how they are looked at."""
    files = [(str(path), *stamp(path)) for path in files_of(source)]
    if time.time() - max(changed for _, _, changed in files) / 1e9 < SETTLED:
        return UNSETTLED
    return checksum(repr((FORMAT, __version__, how, source.masks, files)).encode()).decode()


def files_of(source: Source) -> Iterator[Path]:
    """Yield the files of a sample, and all that are in its folders (Zarr); they are absolute."""
    for path in map(Path, map(os.path.abspath, (source.image, *source.labels))):
        yield path
        if path.is_dir():
            yield from sorted(path.rglob("*"))


def stamp(path: Path) -> tuple[int, int]:
    """Return a file's size, in bytes, and the time of its last change, in nanoseconds."""
    with reading(path):
        found = path.stat()
    return found.st_size, found.st_mtime_ns


def encoded(value: Any) -> Any:
    """Return what JSON has no form for as something that `decoded` understands."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray):
        return {"array": base64.b64encode(value.tobytes()).decode(), "dtype": value.dtype.str, "shape": value.shape}
    return value.item()  # a NumPy number


def decoded(line: bytes) -> Facts:
    """Return what a line says, as it was found out."""
    facts: Facts = json.loads(line.split(b" ", 2)[2], object_hook=restored)
    return {name: in_tuples(value) for name, value in facts.items()}


def restored(value: dict[str, Any]) -> Any:
    """Return what `encoded` was given; another dict as it is."""
    if "bytes" in value:
        return base64.b64decode(value["bytes"])
    if "array" in value:
        return np.frombuffer(base64.b64decode(value["array"]), value["dtype"]).reshape(value["shape"])
    return value


def in_tuples(value: Any) -> Any:
    """Return JSON's lists as tuples."""
    return tuple(map(in_tuples, value)) if isinstance(value, list) else value
