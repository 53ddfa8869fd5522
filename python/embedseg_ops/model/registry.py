"""The models that have names, and the one way to say which model is meant: a name, a file, or an address."""

import os
from pathlib import Path
from typing import NamedTuple

from embedseg_ops.model.hub import EXPECTED, PREFIX, check_hash, download

ModelName = str | os.PathLike[str]
SHIPPED = Path(__file__).parent / "shipped"
DEFAULT, VOLUMES = "nuclei", "nuclei-3d"
MODEL_HELP = f"a name (embedseg-ops models lists them), a file, or {EXPECTED}"


class Registered(NamedTuple):
    """A model that has a name.

    Args:
        sha256: of its file.
        address: where on the Hub it is; empty: it comes with the package, as shipped/NAME.safetensors.
    """

    sha256: str
    address: str = ""


MODELS = {
    "nuclei": Registered("38a872512d52c3b8b757c4723e69fcc8c16344028e4419178d25fb68b4af9607"),
    "nuclei-crowded": Registered("49beb99f667dd5a889f3da729b50c7735dee71f8280d9bc9af3f3e3cc78a8c18"),
    "nuclei-3d": Registered("ef8be8f4d2b76b17c1afa68171876b024ebe8528b520a39c632d74b0d0512854"),
}


def find_model(model: ModelName | None = None) -> Path:
    """Return the file of a model. Nothing is downloaded but a model whose address, or whose name, is given.

    Args:
        model: a name of `MODELS`, the path of a file, or an address on the Hugging Face Hub,
            ``hf://user/repo[/file][@revision]``. A name goes before a file that is called so: that is ./NAME, or a
            `pathlib.Path`. None: nuclei, which comes with the package.

    Raises:
        FileNotFoundError: there is neither such a file nor such a name.
        ModuleNotFoundError: an address needs huggingface_hub: ``pip install "embedseg-ops[hub]"``.
        ValueError: an address is malformed, or the file's SHA-256 is another.
        OSError: an address cannot be had.
    """
    name = DEFAULT if model in (None, "shipped") else model  # "shipped" is what older runs wrote
    if isinstance(name, str) and name in MODELS:
        entry = MODELS[name]
        path = download(entry.address) if entry.address else SHIPPED / f"{name}.safetensors"
        check_hash(path, entry.sha256, f"model {name}")
        return path
    if isinstance(name, str) and name.startswith(PREFIX):
        return download(name)
    if not os.path.isfile(name):
        there = "" if os.path.dirname(name) else f", and the models that have names are: {', '.join(MODELS)}"
        raise FileNotFoundError(f"model file {os.fspath(name)} does not exist{there}")
    return Path(name)


def is_name(model: str | None) -> bool:
    """Return whether a model is given by what means the same everywhere: a name, an address, or nothing."""
    return model in (None, "shipped", *MODELS) or str(model).startswith(PREFIX)
