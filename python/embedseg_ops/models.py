"""Public name of what has to do with models: the paper's network, its head for any backbone, cards, names."""

from embedseg_ops.model.card import model_card as card
from embedseg_ops.model.networks import *  # noqa: F403
from embedseg_ops.model.networks import __all__ as _networks
from embedseg_ops.model.registry import MODELS as NAMED
from embedseg_ops.model.registry import find_model as find

__all__ = [*_networks, "NAMED", "card", "find"]
