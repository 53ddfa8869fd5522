"""Public name of `embedseg_ops.train.losses`: the losses of training."""

from embedseg_ops.train.losses import *  # noqa: F403
