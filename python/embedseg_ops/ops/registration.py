"""What an operator registers with PyTorch, with types that a checker can follow."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def fake_of(name: str) -> Callable[[Function], Function]:
    """Register the decorated function as the operator's fake kernel: shapes and dtypes without values."""
    return cast("Callable[[Function], Function]", torch.library.register_fake(f"embedseg_ops::{name}"))


def vmap_of(name: str) -> Callable[[Function], Function]:
    """Register the decorated function as what torch.vmap does with the operator."""
    return cast("Callable[[Function], Function]", torch.library.register_vmap(f"embedseg_ops::{name}"))


def differentiate(name: str, backward: Callable[..., Any], setup_context: Callable[..., None] | None = None) -> None:
    """Register the operator's backward formula, and what it keeps for it."""
    torch.library.register_autograd(f"embedseg_ops::{name}", backward, setup_context=setup_context)
