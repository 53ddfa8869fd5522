"""What a model's file says of the model, for people."""

import dataclasses
import math
import os
from typing import Any

from embedseg_ops.model.files import opened
from embedseg_ops.model.registry import ModelName, find_model
from embedseg_ops.model.settings import CARD

Card = dict[str, Any]


def model_card(model: ModelName | None = None) -> Card:
    """Return what a model's file says: what for, from which data, under which licence, how good, how to use.

    Only the head of the file is read.

    Args:
        model: as of :func:`embedseg_ops.load_model`.

    Returns:
        ``file``, ``bytes``, ``version`` (of embedseg-ops that wrote it) and ``parameters`` (their number); then the
        fields of `embedseg_ops.model.settings.Settings`, which says what they are: first what is told in words.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the file is no model's.
    """
    path = find_model(model)
    with opened(path) as (file, settings):
        version = file.metadata().get("version", "")
        sizes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  # not a dict
    kept = dataclasses.asdict(settings)
    last = {name: kept.pop(name) for name in ("postprocess", "training")}
    words = {name: kept.pop(name) for name in CARD if name in kept}
    size = {"bytes": os.path.getsize(path), "parameters": sum(map(math.prod, sizes))}
    return {"file": str(path), "version": version, **size, **words, **kept, **last}
