"""Public name of `embedseg_ops.model.networks`: the network of the paper and its head for any backbone."""

from embedseg_ops.model.networks import *  # noqa: F403
