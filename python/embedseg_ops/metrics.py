"""Public name of `embedseg_ops.evaluate.metrics`: measures of predicted labels against the truth."""

from embedseg_ops.evaluate.metrics import *  # noqa: F403
