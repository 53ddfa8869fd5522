"""The folder of a run: what it was started with, and one file for each thing that is done."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedseg_ops.data.numpy_files import load_npy, load_npz
from embedseg_ops.data.writing import write_atomically


@dataclass(frozen=True)
class Folder:
    """Files that are there only once they are whole, so that their being there says that the work is done.

    Args:
        path: of the folder.
    """

    path: Path

    def start(self, run: dict[str, Any], resume: bool) -> None:
        """Begin a run, or go on with the same.

        Raises:
            ValueError: the folder holds a run that was started with something else, or `resume` is False.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.path / "run.json"
        if not file.exists():
            write_atomically(file, json.dumps(run, indent=1).encode())
            return
        if not resume:
            raise ValueError(f"{self.path} holds a run already: remove it, or give resume=True to go on")
        self._refuse_others(dict.fromkeys(run) | self.run(), run)

    def run(self) -> dict[str, Any]:
        """Return what the run was started with, and what it noted."""
        return json.loads((self.path / "run.json").read_text())  # type: ignore[no-any-return]

    def note(self, facts: dict[str, Any]) -> None:
        """Add what the run has found out to that which another must share to go on with it.

        Raises:
            ValueError: something else was noted.
        """
        before = self.run()
        self._refuse_others(before, facts)
        if facts.keys() - before.keys():
            write_atomically(self.path / "run.json", json.dumps(before | facts, indent=1).encode())

    def _refuse_others(self, before: dict[str, Any], facts: dict[str, Any]) -> None:
        now = json.loads(json.dumps(facts))
        other = sorted(key for key in now if key in before and before[key] != now[key])
        if other:
            changes = ", ".join(f"{key} was {before[key]} and is {now[key]}" for key in other)
            raise ValueError(f"{self.path} holds another run: {changes}. Remove the folder to start anew")

    def file(self, *names: object) -> Path:
        """Return the path of a file, in a folder that is there."""
        path = self.path.joinpath(*map(str, names))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def save(self, array: np.ndarray, *names: object) -> None:
        """Write an array as a .npy file."""
        with self._writing(self.file(*names)) as part, open(part, "wb") as file:
            np.save(file, array)

    def save_table(self, table: dict[str, np.ndarray], *names: object) -> None:
        """Write named arrays as a .npz file."""
        with self._writing(self.file(*names)) as part, open(part, "wb") as file:
            np.savez(file, **table)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options

    def load(self, *names: object) -> np.ndarray:
        """Return an array that stays on the disk until it is read."""
        return load_npy(self.path.joinpath(*map(str, names)))

    def load_table(self, *names: object) -> dict[str, np.ndarray]:
        """Return the named arrays of a .npz file."""
        return load_npz(self.path.joinpath(*map(str, names)))

    def load_entry(self, entry: str, *names: object) -> np.ndarray:
        """Return one of the named arrays of a .npz file."""
        return load_npz(self.path.joinpath(*map(str, names)), entry)[entry]

    def mark(self, *names: object) -> None:
        """Say that something is done that leaves no file here."""
        with self._writing(self.file(*names)) as part:
            part.touch()

    def has(self, *names: object) -> bool:
        """Return whether a file is there."""
        return self.path.joinpath(*map(str, names)).exists()

    def clear(self) -> None:
        """Remove all folders in it; files stay."""
        for child in self.path.iterdir():
            if child.is_dir():
                shutil.rmtree(child)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[Path]:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        yield part
        sync(part)
        part.replace(path)


def sync(path: Path) -> None:
    """Bring a file's bytes onto the disk, before anything says that they are there: a power cut keeps no order."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
