"""What was done before: beside the outputs of each image, a small JSON file that says how they came about."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from embedseg_ops.data.writing import write_atomically
from embedseg_ops.version import __version__

Made = dict[str, Any]


def made_from(image: Path, model: str, options: dict[str, Any]) -> Made:
    """Return what the outputs of an image depend on.

    Args:
        image: the file; its size and its time of change tell one version from another.
        model: the hash of the model's file.
        options: that change the outputs; what JSON can hold.
    """
    return {
        "software": f"embedseg-ops {__version__}", "image": {"path": os.path.abspath(image), **stamp(image)},
        "model": model, "options": json.loads(json.dumps(options)),
    }  # fmt: skip


class Record:
    """What is known about the outputs of one image.

    Args:
        path: the JSON file.
    """

    def __init__(self, path: Path):
        self.path = path
        self.known: dict[str, Any] = {}
        try:
            known = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(known, dict) and isinstance(known.get("outputs"), dict):
            self.known = known

    def is_done(self, made: Made, outputs: Iterable[Path]) -> bool:
        """Return whether all these outputs are there, made from the same."""
        done = self.known.get("state") == "done" and self.known.get("made from") == made
        return done and all(self.name(path) in self.known["outputs"] and path.exists() for path in outputs)

    def ours(self) -> list[Path]:
        """Return the outputs that are as they were written, and those of a run that was killed at it."""
        begun = self.known.get("state") == "begun"
        files = [(self.path.parent / name, written) for name, written in self.known.get("outputs", {}).items()]
        return [path for path, written in files if begun or stamp(path) == written]

    def begin(self, made: Made, outputs: Iterable[Path]) -> None:
        """Note which files will be written, so that a run that is killed knows them as its own."""
        self.write({"state": "begun", "made from": made, "outputs": {self.name(path): {} for path in outputs}})

    def finish(self, made: Made, outputs: Iterable[Path], objects: int) -> None:
        """Note what was written."""
        written = {self.name(path): stamp(path) for path in outputs}
        self.write({"state": "done", "made from": made, "outputs": written, "objects": objects})

    def write(self, known: dict[str, Any]) -> None:
        """Write the JSON file."""
        self.known = known
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(known, indent=1).encode())

    def name(self, path: Path) -> str:
        """Return an output's name as seen from the record."""
        return os.path.relpath(path, self.path.parent)


def stamp(path: Path) -> dict[str, int]:
    """Return the size and the time of change of a file, of a folder those of all files in it; nothing without one."""
    try:
        statuses = [file.stat() for file in (path.rglob("*") if path.is_dir() else [path])]
    except OSError:
        return {}
    return {
        "size": sum(status.st_size for status in statuses),
        "changed": max((status.st_mtime_ns for status in statuses), default=0),
    }


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
