"""Sets of options of :func:`embedseg_ops.postprocess`, by name."""

from typing import TypedDict


class PostprocessOptions(TypedDict, total=False):
    """Keyword arguments of :func:`embedseg_ops.postprocess`; what is absent has the function's default."""

    seed_threshold: float
    max_distance: float
    seed_smoothing: float
    min_seed_size: int
    min_object_size: int
    background_threshold: float | None
    boundary_distance: float
    max_objects: int | None


#: The paper's postprocessing: the function's own defaults.
PAPER: PostprocessOptions = {}

#: Chosen for nuclei, on images held out. What each option does stands in docs/method.md.
TUNED: PostprocessOptions = {
    "seed_threshold": 0.55, "seed_smoothing": 1.0, "min_seed_size": 5, "min_object_size": 10,
    "max_distance": 1.0, "background_threshold": 0.05, "boundary_distance": 0.75,
}  # fmt: skip
