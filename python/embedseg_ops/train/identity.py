"""What tells one training run from another: all that its weights depend on."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embedseg_ops.data.sample_files import AnySample
from embedseg_ops.data.samples import feed
from embedseg_ops.model.files import load_model
from embedseg_ops.model.settings import CARD, OLD_SETTINGS, Settings
from embedseg_ops.train.options import Options

EACH = "each "  # begins a digest of digests
WEIGHTS = "weights "  # begins a digest of weights
OLD = {"optimizer": "adamw", **OLD_SETTINGS}  # what runs had before there was a choice, where the default is another


def identity(
    settings: Settings, options: Options, images: Sequence[AnySample] = (), init: str | Path | None = None
) -> dict[str, Any]:
    """Return what a run must have in common with the checkpoint that it continues from: what weights depend on."""
    chosen = dataclasses.asdict(options)
    for changeable in ("checkpoint_every", "validate_every", "workers"):
        del chosen[changeable]
    kept = dataclasses.asdict(settings)
    for changeable in (*CARD, "postprocess"):
        del kept[changeable]
    start = {"images": digest_of_images(images), "init": None if init is None else digest_of_weights(init)}
    return {"options": chosen, "settings": kept, "start": start}


def digest_of_images(samples: Sequence[AnySample]) -> str:
    """Return a digest of the samples' pixels and labels, in their order, wherever the files lie."""
    return EACH + digest(b"".join(sample.digest for sample in samples))


def old_digest_of_images(samples: Sequence[AnySample]) -> str:
    """Return the digest of all pixels in one, which older checkpoints hold; everything is read for it."""
    found = hashlib.blake2b(digest_size=16)
    for sample in samples:
        feed(found, sample.image, sample.labels)
    return found.hexdigest()


def digest_of_weights(path: str | Path) -> str:
    """Return a digest of a model file's weights, as a run starts from them: not of what else the file says."""
    found = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(load_model(path)[0].state_dict().items()):
        found.update(f"{name} {list(tensor.shape)}".encode())
        found.update(tensor.contiguous().numpy().data)
    return WEIGHTS + found.hexdigest()


def is_start(begun: str | None, init: str | Path | None, now: str | None) -> bool:
    """Return whether a run began from the weights of `init`, whose digest is `now`; older ones hold the file's."""
    if begun is None or init is None or begun.startswith(WEIGHTS):
        return begun == now
    return begun == digest(Path(init).read_bytes())


def digest(content: bytes) -> str:
    """Return a digest of a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def completed(value: Any, default: Any) -> Any:
    """Return a value; of a group of options, such as the augmentation, with the defaults of those it does not name."""
    return {**default, **value} if isinstance(value, dict) and isinstance(default, dict) else value


def differences(
    begun: dict[str, Any], now: dict[str, Any], images: Sequence[AnySample] = (), init: str | Path | None = None
) -> list[str]:
    """Return the names of what differs between two identities, but for steps that grew.

    What an older run does not name had its default, or what `OLD` says; images and the model that it started from may
    be any. For a run with an `old_digest_of_images`, that of the `images` is computed.
    """
    defaults = identity(Settings(), Options())
    found = [
        name
        for part in ("options", "settings")
        for name, value in now[part].items()
        if completed(begun[part].get(name, OLD.get(name, defaults[part][name])), defaults[part][name]) != value
    ]
    if begun["options"].get("steps", 0) <= now["options"]["steps"]:
        found = [name for name in found if name != "steps"]
    if "start" in begun:
        start, expected = begun["start"], now["start"]
        each = start["images"].startswith(EACH)
        found += ["images"] if start["images"] != (expected["images"] if each else old_digest_of_images(images)) else []
        found += ["init"] if not is_start(start["init"], init, expected["init"]) else []
    return sorted(found)
