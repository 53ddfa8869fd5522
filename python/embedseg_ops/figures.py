"""Public name of `embedseg_ops.evaluate.figures`: pictures of images, embeddings, distance maps and labels."""

from embedseg_ops.evaluate.figures import *  # noqa: F403
