"""What people would use instead, each as a competent user of its package writes it."""

import importlib
from types import ModuleType


def optional(package: str) -> ModuleType | None:
    """Import a package that need not be there; who uses it without is told "not installed" by the harness."""
    try:
        return importlib.import_module(package)
    except ImportError:
        return None
