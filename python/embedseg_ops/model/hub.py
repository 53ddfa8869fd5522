"""Model files from the Hugging Face Hub, through its own client and its own cache."""

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedseg_ops.version import __version__

PREFIX = "hf://"
EXPECTED = f"{PREFIX}user/repo[/file][@revision]"
ADDRESS = re.compile(PREFIX + r"(?P<repo>[^/@]+/[^/@]+)(?:/(?P<file>[^@]+))?(?:@(?P<revision>.+))?")
DEFAULT_FILE = "model.safetensors"  # what files of one model are called there


def download(address: str) -> Path:
    """Return the file of an address, from the client's cache where it is there already.

    The client writes atomically. Without a network, what was downloaded before is used. The cache is the client's:
    ``HF_HOME`` says where, as ``HF_ENDPOINT`` says which server, and ``hf auth login`` opens private repositories.

    Args:
        address: ``hf://user/repo[/file][@revision]``: the file is model.safetensors without a name, the
            revision (a branch, a tag or a commit) is main without one.

    Raises:
        ModuleNotFoundError: huggingface_hub is missing: ``pip install "embedseg-ops[hub]"``.
        ValueError: that is no such address, or the file's content does not match its SHA-256.
        OSError: the file cannot be had: the server knows no such repository, revision or file, or is not reached.
    """
    parts = ADDRESS.fullmatch(address)
    if parts is None:
        raise ValueError(f"model {address}: expected {EXPECTED}")
    try:
        import huggingface_hub
    except ImportError as error:
        raise ModuleNotFoundError(f'model {address} needs huggingface_hub: pip install "embedseg-ops[hub]"') from error
    wanted = {"repo_id": parts["repo"], "revision": parts["revision"]}
    client = huggingface_hub.HfApi(library_name="embedseg-ops", library_version=__version__)
    try:
        with quiet():
            path = Path(client.hf_hub_download(filename=parts["file"] or DEFAULT_FILE, **wanted))
    except Exception as error:  # the client's own errors, and those of whatever speaks HTTP for it
        raise OSError(f"model {address}: {reason(error, client, wanted)}") from error
    check_hash(path, hash_of_link(path), f"model {address}")
    return path


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the client from telling of every attempt, and from drawing bars: a library says nothing unless asked."""
    from huggingface_hub import utils

    logger, bars = logging.getLogger("huggingface_hub"), not utils.are_progress_bars_disabled()
    level = logger.level
    logger.setLevel(logging.ERROR)
    if bars:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            utils.enable_progress_bars()


def reason(error: Exception, client: Any, wanted: dict[str, str | None]) -> str:
    """Return in one line why there is no file."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"its owner must let you in: ask on its page, then log in with `hf auth login` ({first_line(error)})"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"there is no revision {wanted['revision']}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or it is private: log in with `hf auth login`"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        why = first_line(error.__cause__ or error)
        return f"it was never downloaded before, and {client.endpoint} cannot be reached ({why})"
    if isinstance(error, errors.EntryNotFoundError):
        files = [name for name in client.list_repo_files(**wanted) if name.endswith(".safetensors")]
        return f"there is no such file; the repository has {', '.join(files) or 'no model'}"
    return first_line(error)


def first_line(error: BaseException) -> str:
    """Return what an error says first, or its name."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def hash_of_link(path: Path) -> str | None:
    """Return the SHA-256 that the server told: the client links to a file of that name where it can make links."""
    name = Path(os.readlink(path)).name if path.is_symlink() else ""
    return name if re.fullmatch("[0-9a-f]{64}", name) else None


def check_hash(path: Path, expected: str | None, name: str) -> None:
    """Raise a ValueError if a file has another SHA-256 than is expected."""
    if expected is None:
        return
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise ValueError(
            f"{name}: the file was damaged or changed: its SHA-256 is {found}, expected {expected}; delete {path}"
        )
