"""The optimiser of a training: Muon for convolutions, AdamW for everything else, and what steps them as one."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

Name = Literal["muon", "adamw"]
MUON_RATE = 3.0  # learning rate of Muon over that of AdamW


class MuonAndAdamW(torch.optim.Optimizer):
    """Muon (Jordan 2024) for the 3×3 (3×3×3) convolutions between features, AdamW for all other parameters.

    Muon makes the singular values of a step equal, so that directions that rarely get a gradient are learned, too.
    Torch's wants matrices: it gets views of the convolutions' weights, ``[outputs, inputs · 9]``, and of their
    gradients, and makes steps that are as long as AdamW's at the same rate. Three times the rate is better.

    Args:
        model: its parameters are trained. Weights may be in any layout, but must stay in it.
        rate: learning rate of AdamW; that of Muon is `MUON_RATE` times as high.
        decay: weight decay of both.
    """

    def __init__(self, model: nn.Module, rate: float, decay: float):
        self.weights = list(hidden_convolutions(model))
        matrices = [nn.Parameter(as_matrix(weight.detach())) for weight in self.weights]
        hidden = {id(weight) for weight in self.weights}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in hidden]
        self.muon = torch.optim.Muon(matrices, MUON_RATE * rate, decay, adjust_lr_fn="match_rms_adamw")
        self.adamw = torch.optim.AdamW(rest, rate, weight_decay=decay)
        super().__init__(model.parameters(), {})
        self.param_groups = [*self.muon.param_groups, *self.adamw.param_groups]  # shared: a schedule writes rates there

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change the parameters by their gradients."""
        for matrix, weight in zip(self.muon.param_groups[0]["params"], self.weights, strict=True):
            matrix.grad = None if weight.grad is None else as_matrix(weight.grad)
        self.muon.step()  # type: ignore[no-untyped-call]
        self.adamw.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        self.adamw.zero_grad(set_to_none)
        for weight in self.weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both."""
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the states of both."""
        self.muon.load_state_dict(state_dict["muon"])
        self.adamw.load_state_dict(state_dict["adamw"])
        self.param_groups = [*self.muon.param_groups, *self.adamw.param_groups]


def hidden_convolutions(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the weights of convolutions of more than one pixel and more than one channel, ``[O, I, *kernel]``."""
    for parameter in model.parameters():
        if parameter.ndim > 2 and parameter.shape[1] > 1 and parameter[0, 0].numel() > 1:
            yield parameter


def as_matrix(weight: Tensor) -> Tensor:
    """Return a view ``[O, …]`` of a weight ``[O, I, *kernel]``, in the order of its memory."""
    return weight.view(len(weight), -1) if weight.is_contiguous() else weight.movedim(1, -1).view(len(weight), -1)


def make_optimizer(
    name: Name, model: nn.Module, rate: float, decay: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.OneCycleLR]:
    """Return an optimiser and its schedule of one cycle, in which rates rise over the first tenth of the steps.

    Args:
        name: ``"muon"`` for `MuonAndAdamW`, or ``"adamw"`` for AdamW alone, whose momentum the schedule changes, too.
        model: what is trained, on its device and in its layout.
        rate: largest learning rate.
        decay: weight decay.
        steps: of the training.
    """
    if name == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)
    else:
        optimizer = MuonAndAdamW(model, rate, decay)
    highest = [group["lr"] for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, highest, total_steps=steps + 1, pct_start=0.1, cycle_momentum=name == "adamw"
    )
    return optimizer, schedule
