"""The library's own training and prediction, on the operators' definitions."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import embedseg_ops
from embedseg_ops import reference


@contextmanager
def reference_operators() -> Iterator[None]:
    """Put `embedseg_ops.reference` in the operators' place, so that all around them is the same code."""
    definitions = {name: getattr(reference, name) for name in reference.__all__ if hasattr(embedseg_ops, name)}
    with patch.multiple(embedseg_ops, **definitions):
        yield
