"""Options of the postprocessing: their types, sets of them by name, and the names that some of them had before."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypedDict, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

#: Names from before, which model files hold: three kinds of distance stood in one signature. They work for one release.
OLD_NAMES = {"max_distance": "max_cosine_distance", "boundary_distance": "min_depth_pixels"}


class PostprocessOptions(TypedDict, total=False):
    """Keyword arguments of :func:`embedseg_ops.postprocess`; what is absent has the function's default."""

    seed_threshold: float
    max_cosine_distance: float
    seed_smoothing: float
    min_seed_size: int
    min_object_size: int
    background_threshold: float | None
    min_depth_pixels: float
    max_objects: int | None


#: Chosen for nuclei, on images held out. What each option does stands in docs/method.md.
TUNED: PostprocessOptions = {
    "seed_threshold": 0.55, "seed_smoothing": 1.0, "min_seed_size": 5, "min_object_size": 10,
    "max_cosine_distance": 1.0, "background_threshold": 0.05, "min_depth_pixels": 0.75,
}  # fmt: skip

#: Where to search for good options, for sliders: from, to, step. `postprocess` takes more than this.
SLIDERS: dict[str, tuple[float, float, float]] = {
    "seed_threshold": (0.0, 1.0, 0.01), "max_cosine_distance": (0.0, 1.0, 0.01), "seed_smoothing": (0.0, 5.0, 0.1),
    "min_seed_size": (1, 200, 1), "min_object_size": (1, 1000, 1), "background_threshold": (0.0, 0.5, 0.01),
    "min_depth_pixels": (0.0, 5.0, 0.05), "max_objects": (1, 10000, 1),
}  # fmt: skip


def current_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by the names that they have now."""
    return {OLD_NAMES.get(name, name): value for name, value in given.items()}


def takes_old_names(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let a function take its options by their old names, too, with a DeprecationWarning."""

    @functools.wraps(function)
    def renamed(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        for old, new in OLD_NAMES.items():
            if old in options:
                if new in options:
                    raise TypeError(f"{old} is the old name of {new}: give one of them")
                warnings.warn(f"{old} is called {new} now", DeprecationWarning, stacklevel=2)
                options[new] = options.pop(old)
        return function(*arguments, **options)

    return renamed
