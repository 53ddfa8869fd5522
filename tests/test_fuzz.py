"""Two thousand random calls on every device; `make fuzz N=…` makes more."""

import pytest
from fuzz.compare import check


@pytest.mark.parametrize("first", range(0, 2000, 100))
def test_random_calls_equal_the_reference(first):
    for seed in range(first, first + 100):
        check(seed)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("first", [2000, 2030])
def test_random_calls_on_every_device(first):
    for seed in range(first, first + 30):
        check(seed)
