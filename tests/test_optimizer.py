"""Muon and AdamW as one optimiser: every parameter moves as torch's own optimisers would move it."""

import copy

import pytest
import torch

from embedseg_ops.model.networks import LAYOUTS, build_model
from embedseg_ops.train.optimizer import MuonAndAdamW, hidden_convolutions, make_optimizer
from embedseg_ops.train.options import Options


def network(dims=2):
    torch.manual_seed(0)
    return build_model(filters=2, spatial_dims=dims, batch_norm=True, foreground=True, residual=1)


def give_gradients(model, seed):
    random = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        gradient = torch.randn(parameter.shape, generator=random)
        parameter.grad = torch.empty_like(parameter).copy_(gradient)  # in the parameter's layout, as torch's own


@pytest.mark.parametrize(("dims", "layout"), [(2, False), (2, True), (3, True)])
def test_every_parameter_moves_as_torchs_own_optimisers_move_it(dims, layout):
    model = network(dims)
    if layout:
        model.to(memory_format=LAYOUTS[dims])
    before = {name: value.detach().clone().contiguous() for name, value in model.named_parameters()}
    optimizer = MuonAndAdamW(model, 1e-3, 0.1)
    for seed in (1, 2):
        give_gradients(model, seed)
        optimizer.step()
    plain = network(dims)
    for name, value in plain.named_parameters():
        value.data.copy_(before[name])
    values = dict(plain.named_parameters())
    kernels = {id(weight) for weight in hidden_convolutions(plain)}
    names = {name for name, value in values.items() if id(value) in kernels}
    assert names == {
        n for n, v in plain.named_parameters() if v.ndim == 2 + dims and v.shape[2] == 3 and v.shape[1] > 1
    }
    order = (0, *range(2, 2 + dims), 1) if layout else tuple(range(2 + dims))  # columns in the order of memory
    matrices = {name: torch.nn.Parameter(before[name].permute(order).flatten(1).clone()) for name in names}
    muon = torch.optim.Muon(matrices.values(), 3e-3, 0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW([value for name, value in values.items() if name not in names], 1e-3, weight_decay=0.1)
    for seed in (1, 2):
        give_gradients(plain, seed)
        for name, matrix in matrices.items():
            matrix.grad = values[name].grad.permute(order).flatten(1)
        muon.step()
        adamw.step()
    for name, moved in model.named_parameters():
        expected = matrices[name] if name in names else values[name]
        found = moved.permute(order).flatten(1) if name in names else moved
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert not torch.equal(moved, before[name])


def test_the_state_of_both_is_kept():
    models = network(), network()
    optimizers = [MuonAndAdamW(model, 1e-3, 0.0) for model in models]
    give_gradients(models[0], 1)
    optimizers[0].step()
    models[1].load_state_dict(models[0].state_dict())
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    for model, optimizer in zip(models, optimizers, strict=True):
        give_gradients(model, 2)
        optimizer.step()
        optimizer.zero_grad()
        assert all(parameter.grad is None for parameter in model.parameters())
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_rates_of_all_parameters_follow_one_cycle(name):
    model = network()
    optimizer, schedule = make_optimizer(name, model, 1e-2, 0.0, 100)
    rates = []
    for _ in range(100):
        rates.append([group["lr"] for group in optimizer.param_groups])
        give_gradients(model, 0)
        optimizer.step()
        schedule.step()
    assert name == "adamw" or all(muon == pytest.approx(3 * adamw) for muon, adamw in rates)
    course = [rate[-1] for rate in rates]
    peak = course.index(max(course))
    assert course[: peak + 1] == sorted(course[: peak + 1])
    assert course[peak:] == sorted(course[peak:], reverse=True)
    assert (peak, course[peak]) == (10, pytest.approx(1e-2, rel=0.01))


def test_another_optimiser_is_refused():
    with pytest.raises(ValueError, match='optimizer must be "muon" or "adamw", got'):
        Options(optimizer="sgd")
