"""NumPy's files, which one thread at a time opens.

NumPy parses their headers as Python. CPython up to 3.11 fails at random if two threads do so at once: "SystemError: AST
constructor recursion depth mismatch".
"""

import os
from threading import Lock

import numpy as np

OPENING = Lock()


def load_npy(path: str | os.PathLike[str], mode: str | None = "r") -> np.ndarray:
    """Return the array of a .npy file, which holds no Python objects.

    Args:
        path: of the file.
        mode: ``"r"`` or ``"r+"``: the array stays on the disk until it is read; None: it is read.
    """
    with OPENING:
        return np.load(path, mmap_mode=mode, allow_pickle=False)  # type: ignore[no-any-return, arg-type]


def load_npz(path: str | os.PathLike[str], *names: str) -> dict[str, np.ndarray]:
    """Return the arrays of a .npz file, all of them or those of these names."""
    with OPENING, np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names or file}
