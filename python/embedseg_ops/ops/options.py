"""Sets of options of :func:`embedseg_ops.postprocess`, by name."""

#: The paper's postprocessing: the function's own defaults.
PAPER: dict[str, float] = {}

#: Chosen for nuclei, on images held out. What each option does stands in docs/method.md.
TUNED: dict[str, float] = {
    "seed_threshold": 0.55, "seed_smoothing": 1.0, "min_seed_size": 5, "min_object_size": 10,
    "max_distance": 1.0, "background_threshold": 0.05, "boundary_distance": 0.75,
}  # fmt: skip
